import BackupPolicy

/// Cuts a payload into pieces and decodes them: our members on all cores, other programs' gzip
/// streams on one.
///
/// `@unchecked Sendable`: the source and `next` are guarded by `reading`.
final class PieceReader: @unchecked Sendable {
  private let source: any PayloadSource
  private let compressed: Bool
  private let tick: () throws -> Void
  private let reading = Monitor()
  private var next: Int64 = 0
  private var cancelled = false

  init(_ source: any PayloadSource, compressed: Bool, tick: @escaping () throws -> Void) {
    self.source = source
    self.compressed = compressed
    self.tick = tick
  }

  func readAll(to assembly: ImageAssembly) throws {
    guard compressed else { return try readImage(to: assembly) }
    var header = [UInt8](repeating: 0, count: GzipMember.headerSize)
    let count = try header.withUnsafeMutableBytes { try source.read(into: $0) }
    header.removeLast(header.count - count)
    if header.withUnsafeBytes({ GzipMember.size($0) }) != nil {
      try readMembers(first: header, to: assembly)
    } else {
      try readStream(first: header, to: assembly)
    }
  }

  private func readImage(to assembly: ImageAssembly) throws {
    try Workers.run(Workers.count) { [self] _ in
      try cancellingOthers {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: GzipMember.chunkSize, alignment: 4096)
        defer { buffer.deallocate() }
        while let (chunk, count) = try claim({ try source.read(into: buffer) }) {
          try assembly.add(UnsafeRawBufferPointer(rebasing: buffer[..<count]), at: chunk * Int64(buffer.count))
        }
      }
    }
  }

  private func readMembers(first: [UInt8], to assembly: ImageAssembly) throws {
    let head = PendingHeader(first)
    try Workers.run(Workers.count) { [self] _ in
      try cancellingOthers {
        let input = UnsafeMutableRawBufferPointer.allocate(byteCount: GzipMember.maximumSize, alignment: 64)
        let output = UnsafeMutableRawBufferPointer.allocate(byteCount: GzipMember.chunkSize, alignment: 4096)
        defer {
          input.deallocate()
          output.deallocate()
        }
        let decoder = GzipMemberDecoder()
        while let (member, size) = try claim({ try readMember(into: input, head) }) {
          let count = try decoder.decode(UnsafeRawBufferPointer(rebasing: input[..<size]), into: output)
          try assembly.add(
            UnsafeRawBufferPointer(rebasing: output[..<count]), at: member * Int64(GzipMember.chunkSize))
        }
      }
    }
  }

  /// Reads one whole member; returns its size, or 0 at the end.
  private func readMember(into input: UnsafeMutableRawBufferPointer, _ head: PendingHeader) throws -> Int {
    try Self.readMember(from: source, into: input, header: head.take())
  }

  /// Reads one whole member into `input`, which has room for any member; returns its size, or 0 at
  /// the end.
  ///
  /// - Parameter known: the member's header, if it was already read.
  static func readMember(
    from source: any PayloadSource, into input: UnsafeMutableRawBufferPointer, header known: [UInt8]? = nil
  ) throws -> Int {
    let header = UnsafeMutableRawBufferPointer(rebasing: input[..<GzipMember.headerSize])
    if let known {
      header.copyBytes(from: known)
    } else if try !source.readExactly(into: header) {
      return 0
    }
    guard let size = GzipMember.size(UnsafeRawBufferPointer(header)) else {
      throw HoldfastError(.archiveCorrupt, "the header of a gzip member is damaged", cause: ArchiveStage.decompression)
    }
    guard try source.readExactly(into: UnsafeMutableRawBufferPointer(rebasing: input[GzipMember.headerSize..<size]))
    else { throw HoldfastError(.archiveCorrupt, "it is cut short", cause: ArchiveStage.decompression) }
    return size
  }

  /// The first member's header, which was read to identify the writer of the stream. Used only
  /// under `reading`.
  private final class PendingHeader: @unchecked Sendable {
    private var bytes: [UInt8]?
    init(_ bytes: [UInt8]) { self.bytes = bytes }
    func take() -> [UInt8]? {
      defer { bytes = nil }
      return bytes
    }
  }

  private func readStream(first: [UInt8], to assembly: ImageAssembly) throws {
    let decoder = try GzipStreamDecoder()
    let joiner = ChunkJoiner(assembly)
    let output = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 64)
    let input = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 17, alignment: 64)
    defer {
      output.deallocate()
      input.deallocate()
    }
    try first.withUnsafeBytes { try decoder.decode($0, buffer: output) { try joiner.add($0) } }
    while case let count = try source.read(into: input), count > 0 {
      try tick()
      try decoder.decode(UnsafeRawBufferPointer(rebasing: input[..<count]), buffer: output) { try joiner.add($0) }
    }
    try decoder.finish()
    try joiner.finish()
  }

  /// Reads one piece while no other thread reads. Returns its number and size; nil at the end or
  /// after a failure in another thread.
  private func claim(_ read: () throws -> Int) throws -> (Int64, Int)? {
    try reading.locked {
      guard !cancelled else { return nil }
      let size = try read()
      guard size > 0 else { return nil }
      try tick()
      defer { next += 1 }
      return (next, size)
    }
  }

  private func cancellingOthers(_ body: () throws -> Void) throws {
    do {
      try body()
    } catch {
      reading.locked { cancelled = true }
      throw error
    }
  }
}

/// Joins a stream's pieces into chunks of 1 MiB, so that whole pages are hashed.
private final class ChunkJoiner {
  private let assembly: ImageAssembly
  private var chunk: [UInt8] = []
  private var offset: Int64 = 0

  init(_ assembly: ImageAssembly) {
    self.assembly = assembly
    chunk.reserveCapacity(GzipMember.chunkSize)
  }

  func add(_ bytes: UnsafeRawBufferPointer) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      let part = rest.prefix(GzipMember.chunkSize - chunk.count)
      chunk.append(contentsOf: part)
      rest = rest.dropFirst(part.count)
      if chunk.count == GzipMember.chunkSize { try finish() }
    }
  }

  func finish() throws {
    try chunk.withUnsafeBytes { try assembly.add($0, at: offset) }
    offset += Int64(chunk.count)
    chunk.removeAll(keepingCapacity: true)
  }
}

/// `aes-256-gcm`: each segment is authenticated before any of its bytes is returned.
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
        // A whole segment is decrypted directly into the caller's buffer.
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

  /// Opens the next segment into `room`, which has space for a whole one, and returns its number of
  /// bytes.
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
      throw HoldfastError.forgedSegment(counter)
    }
    counter += 1
    remaining -= Int64(count)
    return count - AESGCM.tagSize
  }
}

/// The positions of the parts of an `aes-256-gcm` file, from its size and its last four bytes.
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

  /// Bytes of the payload after decryption.
  var plainBytes: Int64 { payloadBytes - Int64(segments) * Int64(AESGCM.tagSize) }

  /// Calls ``openTrailer(_:_:_:)`` for a file whose segments will be read, and requires that the
  /// trailer records the actual payload size.
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
