import BackupPolicy

/// `aes-256-gcm`: segments, each authenticated before a byte of it is handed out.
final class GCMSource: PayloadSource {
  private let file: HashingFileReader
  private let cipher: AESGCM
  private var counter: UInt64 = 0
  private var remaining: Int64
  private var sealed = [UInt8](repeating: 0, count: ArchiveHeader.segmentSize + AESGCM.tagSize)
  private var plain = [UInt8](repeating: 0, count: ArchiveHeader.segmentSize)
  private var start = 0
  private var end = 0
  let trailer: ArchiveTrailer?

  /// - Parameters:
  ///   - reader: at the start of the file.
  ///   - file: the same file, to read the trailer at its end first.
  init(
    _ reader: HashingFileReader, file: OpenFile, _ files: any FileOperations, head: SealedHeader,
    credentials: Credentials
  ) throws {
    self.file = reader
    cipher = try AESGCM(key: head.unlock(credentials), encrypts: false)
    let layout = try GCMLayout(size: reader.size, headerSize: head.size, file, files)
    remaining = layout.payloadBytes
    trailer = try layout.openFittingTrailer(cipher, file, files)
    _ = try reader.read(head.size)
  }

  var position: Int64 { file.position }

  func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    var done = 0
    while done < buffer.count {
      if start == end, buffer.count - done >= plain.count, remaining > plain.count {
        // A whole segment goes where it is wanted, without a stop in between.
        done += try openSegment(into: UnsafeMutableRawBufferPointer(rebasing: buffer[done...]))
        continue
      }
      if start == end, try !openSegment() { break }
      let count = min(buffer.count - done, end - start)
      plain.withUnsafeBytes {
        (buffer.baseAddress! + done).copyMemory(from: $0.baseAddress! + start, byteCount: count)
      }
      start += count
      done += count
    }
    return done
  }

  private func openSegment() throws -> Bool {
    guard remaining > 0 else { return false }
    start = 0
    end = try plain.withUnsafeMutableBytes { try openSegment(into: $0) }
    return true
  }

  /// Opens the next segment into `room`, which holds a whole one, and returns how many bytes it has.
  private func openSegment(into room: UnsafeMutableRawBufferPointer) throws -> Int {
    let count = Int(min(remaining, Int64(sealed.count)))
    let ok = try sealed.withUnsafeMutableBytes { input in
      let segment = UnsafeMutableRawBufferPointer(rebasing: input[..<count])
      guard try file.read(into: segment) == count else { return false }
      return try cipher.open(
        UnsafeRawBufferPointer(segment), nonce: SegmentNonce.bytes(counter, last: false),
        into: UnsafeMutableRawBufferPointer(rebasing: room[..<(count - AESGCM.tagSize)]))
    }
    guard ok else {
      throw HoldfastError(.archiveCorrupt, "segment \(counter) is not authentic: the file is damaged or was changed")
    }
    counter += 1
    remaining -= Int64(count)
    return count - AESGCM.tagSize
  }
}

/// Where the parts of an `aes-256-gcm` file lie, from its size and its last four bytes.
struct GCMLayout {
  /// Bytes of all payload segments with their tags.
  let payloadBytes: Int64
  let segments: UInt64
  private let trailerLength: [UInt8]
  private let trailerOffset: Int64
  private let trailerSize: Int

  init(size: Int64, headerSize: Int, _ file: OpenFile, _ files: any FileOperations) throws {
    let length = try Self.bytes(4, at: size - 4, file, files)
    var reader = ByteReader(length)
    let sealedSegment = Int64(ArchiveHeader.segmentSize + AESGCM.tagSize)
    guard size > Int64(headerSize) + 4, let count = reader.integer(UInt32.self), count > AESGCM.tagSize,
      Int64(count) <= sealedSegment, Int64(count) + 4 + Int64(headerSize) <= size
    else { throw HoldfastError(.archiveCorrupt, "it is cut short, extended or damaged at its end") }
    trailerLength = length
    trailerSize = Int(count)
    trailerOffset = size - 4 - Int64(count)
    payloadBytes = trailerOffset - Int64(headerSize)
    let rest = payloadBytes % sealedSegment
    segments = UInt64(payloadBytes / sealedSegment) + (rest > 0 ? 1 : 0)
    guard rest == 0 || rest > AESGCM.tagSize else {
      throw HoldfastError(.archiveCorrupt, "it is cut short or extended")
    }
  }

  func openTrailer(_ cipher: AESGCM, _ file: OpenFile, _ files: any FileOperations) throws -> ArchiveTrailer {
    let sealed = try Self.bytes(trailerSize, at: trailerOffset, file, files)
    var plain = [UInt8](repeating: 0, count: trailerSize - AESGCM.tagSize)
    let ok = try sealed.withUnsafeBytes { input in
      try plain.withUnsafeMutableBytes {
        try cipher.open(
          input, nonce: SegmentNonce.bytes(segments, last: true), associated: trailerLength, into: $0)
      }
    }
    guard ok, let trailer = ArchiveTrailer(plain) else {
      throw HoldfastError(.archiveCorrupt, "its trailer is not authentic: it was cut, extended, damaged or changed")
    }
    return trailer
  }

  /// Bytes of the payload when it is opened.
  var plainBytes: Int64 { payloadBytes - Int64(segments) * Int64(AESGCM.tagSize) }

  /// ``openTrailer(_:_:_:)`` of a file whose segments are to be read: it has to tell of as many bytes as there are.
  func openFittingTrailer(_ cipher: AESGCM, _ file: OpenFile, _ files: any FileOperations) throws -> ArchiveTrailer {
    let trailer = try openTrailer(cipher, file, files)
    guard Int64(clamping: trailer.payloadSize) == plainBytes else {
      throw HoldfastError(.archiveCorrupt, "its size does not fit its trailer: it was cut, extended or changed")
    }
    return trailer
  }

  private static func bytes(
    _ count: Int, at offset: Int64, _ file: OpenFile, _ files: any FileOperations
  ) throws -> [UInt8] {
    guard offset >= 0 else { throw HoldfastError(.archiveCorrupt, "it is cut short") }
    return try [UInt8](unsafeUninitializedCapacity: count) { buffer, done in
      done = try files.read(file, into: UnsafeMutableRawBufferPointer(buffer), at: offset)
    }
  }
}
