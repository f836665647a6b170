import BackupPolicy

/// The payload (image or gzip members) of an archive file, from front to back; used by one thread at a time.
///
/// Every byte that comes out of an authenticated archive has been authenticated before.
protocol PayloadSource: AnyObject {
  /// Fills `buffer` as far as the payload goes; 0 at its end.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int
  /// The authenticated trailer, known from the start; nil for archives without one.
  var trailer: ArchiveTrailer? { get }
  /// Bytes of the archive file read so far.
  var position: Int64 { get }
}

extension PayloadSource {
  /// Fills the whole buffer, or returns false where the payload ends before its first byte.
  ///
  /// - Throws: `archiveCorrupt` where it ends in between.
  func readExactly(into buffer: UnsafeMutableRawBufferPointer) throws -> Bool {
    let count = try read(into: buffer)
    if count == 0 && !buffer.isEmpty { return false }
    guard count == buffer.count else { throw HoldfastError(.archiveCorrupt, "it is cut short") }
    return true
  }
}

/// No encryption.
final class PlainSource: PayloadSource {
  private let file: HashingFileReader
  let trailer: ArchiveTrailer? = nil

  init(_ file: HashingFileReader) {
    self.file = file
  }

  var position: Int64 { file.position }

  func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    try file.read(into: buffer)
  }
}

/// `aes-256-cbc`: salt, IV, ciphertext.
final class CBCSource: PayloadSource {
  private let file: HashingFileReader
  private let cipher: AESCBC
  private var input = [UInt8](repeating: 0, count: 1 << 17)
  private var output = [UInt8](repeating: 0, count: 1 << 17 + AESCBC.blockSize)
  private var start = 0
  private var end = 0
  private var ended = false
  let trailer: ArchiveTrailer? = nil

  init(_ file: HashingFileReader, credentials: Credentials) throws {
    self.file = file
    let salt = try file.read(16)
    let vector = try file.read(AESCBC.blockSize)
    guard vector.count == AESCBC.blockSize, file.size.isMultiple(of: 16), file.size >= 48 else {
      throw HoldfastError(.archiveCorrupt, "its size is not that of an aes-256-cbc archive")
    }
    guard let key = try credentials.master(salt: salt, iterations: AESCBC.iterations) else {
      throw HoldfastError(
        .keyMissing, "it is encrypted with aes-256-cbc, which needs a password, and none is given",
        hint: "set BACKUP_ENCRYPTION_PASSWORD")
    }
    cipher = try AESCBC(key: key, vector: vector, encrypts: false)
  }

  var position: Int64 { file.position }

  func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    var done = 0
    while done < buffer.count {
      if start == end, try !decryptMore() { break }
      let count = min(buffer.count - done, end - start)
      output.withUnsafeBytes {
        (buffer.baseAddress! + done).copyMemory(from: $0.baseAddress! + start, byteCount: count)
      }
      start += count
      done += count
    }
    return done
  }

  private func decryptMore() throws -> Bool {
    while !ended {
      start = 0
      let count = try input.withUnsafeMutableBytes { try file.read(into: $0) }
      end = try output.withUnsafeMutableBytes { room in
        if count > 0 {
          return try input.withUnsafeBytes {
            try cipher.update(UnsafeRawBufferPointer(rebasing: $0[..<count]), into: room)
          }
        }
        ended = true
        guard let last = cipher.finish(into: room) else { throw UndecidedDecryption() }
        return last
      }
      if end > 0 { return true }
    }
    return false
  }
}

/// `aes-256-cbc` did not decrypt to anything sensible. Whether the key is wrong or the file damaged, only the checksum can
/// tell: see ``ArchiveReader``.
struct UndecidedDecryption: Error {}

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
    let trailer = try layout.openTrailer(cipher, file, files)
    guard Int64(clamping: trailer.payloadSize) == layout.payloadBytes - Int64(layout.segments) * Int64(AESGCM.tagSize)
    else {
      throw HoldfastError(.archiveCorrupt, "its size does not fit its trailer: it was cut, extended or changed")
    }
    self.trailer = trailer
    _ = try reader.read(head.size)
  }

  var position: Int64 { file.position }

  func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    var done = 0
    while done < buffer.count {
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
    let count = Int(min(remaining, Int64(sealed.count)))
    let ok = try sealed.withUnsafeMutableBytes { room in
      let segment = UnsafeMutableRawBufferPointer(rebasing: room[..<count])
      guard try file.read(into: segment) == count else { return false }
      let nonce = SegmentNonce.bytes(counter, last: false)
      return try plain.withUnsafeMutableBytes {
        let output = UnsafeMutableRawBufferPointer(rebasing: $0[..<(count - AESGCM.tagSize)])
        return try cipher.open(UnsafeRawBufferPointer(segment), nonce: nonce, into: output)
      }
    }
    guard ok else {
      throw HoldfastError(.archiveCorrupt, "segment \(counter) is not authentic: the file is damaged or was changed")
    }
    counter += 1
    remaining -= Int64(count)
    start = 0
    end = count - AESGCM.tagSize
    return true
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

  private static func bytes(
    _ count: Int, at offset: Int64, _ file: OpenFile, _ files: any FileOperations
  ) throws -> [UInt8] {
    guard offset >= 0 else { throw HoldfastError(.archiveCorrupt, "it is cut short") }
    return try [UInt8](unsafeUninitializedCapacity: count) { buffer, done in
      done = try files.read(file, into: UnsafeMutableRawBufferPointer(buffer), at: offset)
    }
  }
}
