import BackupPolicy

/// Reads the payload of an incremental: the list of its pages, then the pages, decoded by all cores.
///
/// `@unchecked Sendable`: the source and `next` are guarded by `reading`; `head` is filled before any thread starts.
final class PagesPayload: @unchecked Sendable {
  private let source: any PayloadSource
  private let compressed: Bool
  private let tick: () throws -> Void
  private let reading = Monitor()
  private var next = 0
  private var cancelled = false
  /// The first section as far as it was read; nothing of it is kept twice.
  private var head: [UInt8] = []
  private var start = 0

  init(_ source: any PayloadSource, compressed: Bool, tick: @escaping () throws -> Void) {
    self.source = source
    self.compressed = compressed
    self.tick = tick
  }

  /// The head of an unencrypted archive; must be asked for before the list.
  func readPlainHead() throws -> ArchiveHeader {
    try fill(16)
    let size = try head.withUnsafeBytes { try PlainHead.size($0) }
    try fill(size)
    start = size
    return try head.withUnsafeBytes { try PlainHead.decode(UnsafeRawBufferPointer(rebasing: $0[..<size])) }
  }

  /// The numbers of the pages, ascending.
  func readList(pageCount: UInt32, pageSize: Int) throws -> [UInt32] {
    try fill(start + 4)
    let count = head.withUnsafeBytes { UInt32(bigEndian: $0.loadUnaligned(fromByteOffset: start, as: UInt32.self)) }
    guard count <= pageCount else { throw HoldfastError(.archiveCorrupt, "its list of pages is impossibly long") }
    let end = start + 4 + 4 * Int(count)
    try fill(end)
    guard head.count == end else { throw HoldfastError(.archiveCorrupt, "something follows its list of pages") }
    defer { head = [] }
    return try head.withUnsafeBytes {
      try PageList.decode(
        UnsafeRawBufferPointer(rebasing: $0[(start + 4)..<end]), pageCount: pageCount,
        lockPage: PageShape.lockPage(pageSize: pageSize))
    }
  }

  /// Makes `head` at least `count` bytes long. What is claimed and not there is never allocated.
  private func fill(_ count: Int) throws {
    while head.count < count {
      let room = UnsafeMutableRawBufferPointer.allocate(byteCount: GzipMember.chunkSize, alignment: 64)
      defer { room.deallocate() }
      let wanted = compressed ? room.count : min(room.count, count - head.count)
      let part = UnsafeMutableRawBufferPointer(rebasing: room[..<wanted])
      let done = try compressed ? decodeMember(into: part) : source.read(into: part)
      guard done > 0 else { throw HoldfastError(.archiveCorrupt, "it is cut short") }
      head.append(contentsOf: part[..<done])
      try tick()
    }
  }

  private func decodeMember(into output: UnsafeMutableRawBufferPointer) throws -> Int {
    let input = UnsafeMutableRawBufferPointer.allocate(byteCount: GzipMember.maximumSize, alignment: 64)
    defer { input.deallocate() }
    let size = try PieceReader.readMember(from: source, into: input)
    guard size > 0 else { return 0 }
    return try GzipMemberDecoder().decode(UnsafeRawBufferPointer(rebasing: input[..<size]), into: output)
  }

  /// Hands out all pages, from several threads: some numbers of the list and their bytes, one page after another.
  func readPages(
    _ pages: [UInt32], pageSize: Int,
    _ consume: @escaping @Sendable (ArraySlice<UInt32>, UnsafeRawBufferPointer) throws -> Void
  ) throws {
    let cut = PageCut(pageSize: pageSize, count: pages.count)
    try Workers.spread(over: cut.chunks) { [self] in
      do {
        try work(pages, cut, consume)
      } catch {
        reading.locked { cancelled = true }
        throw error
      }
    }
    var extra: UInt8 = 0
    guard try withUnsafeMutableBytes(of: &extra, { try source.read(into: $0) }) == 0 else {
      throw HoldfastError(.archiveCorrupt, "something follows its pages")
    }
  }

  private func work(
    _ pages: [UInt32], _ cut: PageCut, _ consume: (ArraySlice<UInt32>, UnsafeRawBufferPointer) throws -> Void
  ) throws {
    let input = UnsafeMutableRawBufferPointer.allocate(
      byteCount: compressed ? GzipMember.maximumSize : GzipMember.chunkSize, alignment: 4096)
    let output = UnsafeMutableRawBufferPointer.allocate(byteCount: GzipMember.chunkSize, alignment: 4096)
    defer {
      input.deallocate()
      output.deallocate()
    }
    let decoder = compressed ? GzipMemberDecoder() : nil
    while let (positions, size) = try claim(cut, into: input) {
      let piece = UnsafeRawBufferPointer(rebasing: input[..<size])
      let count = try decoder?.decode(piece, into: output) ?? size
      let bytes = decoder == nil ? piece : UnsafeRawBufferPointer(rebasing: output[..<count])
      guard count == positions.count * cut.pageSize else {
        throw HoldfastError(.archiveCorrupt, "a member of its pages has the wrong size")
      }
      try consume(pages[positions], bytes)
    }
  }

  /// Reads the next piece while nobody else reads; nil behind the last one or after a failure elsewhere.
  private func claim(_ cut: PageCut, into input: UnsafeMutableRawBufferPointer) throws -> (Range<Int>, Int)? {
    try reading.locked {
      guard !cancelled, next < cut.chunks else { return nil }
      let positions = cut.positions(of: next)
      next += 1
      let wanted = UnsafeMutableRawBufferPointer(
        rebasing: input[..<(compressed ? input.count : positions.count * cut.pageSize)])
      let size =
        try compressed
        ? PieceReader.readMember(from: source, into: wanted) : source.readExactly(into: wanted) ? wanted.count : 0
      guard size > 0 else { throw HoldfastError(.archiveCorrupt, "it is cut short") }
      try tick()
      return (positions, size)
    }
  }
}
