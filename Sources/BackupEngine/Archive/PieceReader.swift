import BackupPolicy

/// Cuts a payload into pieces and has them decoded: members of ours by all cores, other programs' gzip streams by one.
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

  /// Reads one whole member; its size, or 0 at the end.
  private func readMember(into input: UnsafeMutableRawBufferPointer, _ head: PendingHeader) throws -> Int {
    try Self.readMember(from: source, into: input, header: head.take())
  }

  /// Reads one whole member into `input`, which holds any; its size, or 0 at the end.
  ///
  /// - Parameter known: its header, where that was read before.
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

  /// The first member's header, which was read to tell whose stream this is. Touched only under `reading`.
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

  /// Reads one piece while nobody else reads: its number and size; nil at the end or after a failure elsewhere.
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

/// Joins a stream's pieces into chunks of 1 MiB, so that pages are hashed whole.
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
