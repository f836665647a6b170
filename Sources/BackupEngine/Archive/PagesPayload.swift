import BackupPolicy

/// Reads the payload of an incremental: the list of its pages, then the pages, decoded by all
/// cores.
///
/// `@unchecked Sendable`: the source and `next` are guarded by `reading`; `head` is filled before
/// any thread starts.
final class PagesPayload: @unchecked Sendable {
  private let source: any PayloadSource
  private let compressed: Bool
  private let tick: () throws -> Void
  private let reading = Monitor()
  private var next = 0
  private var cancelled = false
  /// The first section as far as it was read. It is kept only once, and freed when the list has
  /// been read.
  private var head: [UInt8] = []
  private var start = 0

  init(_ source: any PayloadSource, compressed: Bool, tick: @escaping () throws -> Void) {
    self.source = source
    self.compressed = compressed
    self.tick = tick
  }

  /// Reads the header of an unencrypted archive; must be called before the list is read.
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
    guard count <= pageCount else { throw HoldfastError(.archiveCorrupt, "its page list is longer than the database") }
    let end = start + 4 + 4 * Int(count)
    try fill(end)
    guard head.count == end else { throw HoldfastError(.archiveCorrupt, "there is extra data after its page list") }
    defer { head = [] }
    return try head.withUnsafeBytes {
      try PageList.decode(
        UnsafeRawBufferPointer(rebasing: $0[(start + 4)..<end]), pageCount: pageCount,
        lockPage: PageShape.lockPage(pageSize: pageSize))
    }
  }

  /// Extends `head` to at least `count` bytes. Memory is allocated only for bytes that exist, not
  /// for a claimed length.
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

  /// Passes on all pages from several threads: some numbers of the list and their bytes, one page
  /// after another.
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
      throw HoldfastError(.archiveCorrupt, "there is extra data after its pages")
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
        throw HoldfastError(.archiveCorrupt, "a gzip member of its pages has the wrong size")
      }
      try consume(pages[positions], bytes)
    }
  }

  /// Reads the next piece while no other thread reads; returns nil after the last piece or after a
  /// failure in another thread.
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

/// Encodes changed pages as an incremental's payload: the list, then the pages, compressed on every
/// core.
final class PagesWriter: Sendable {
  private let head: [UInt8]
  private let pages: [UInt32]
  private let source: any ChangedPageSource
  private let level: CompressionLevel?
  private let progress: Progress
  private let cut: PageCut

  /// - Parameters:
  ///   - plainHead: the header of an unencrypted archive; empty for an encrypted one.
  ///   - pages: ascending numbers.
  ///   - level: nil stores the pages as they are.
  init(
    plainHead: [UInt8], pages: [UInt32], _ source: any ChangedPageSource, level: CompressionLevel?, progress: Progress
  ) {
    head = plainHead + PageList.encode(pages)
    self.pages = pages
    self.source = source
    self.level = level
    self.progress = progress
    cut = PageCut(pageSize: source.pageSize, count: pages.count)
  }

  private var headChunks: Int { (head.count + GzipMember.chunkSize - 1) / GzipMember.chunkSize }

  /// Writes the whole payload and the trailer that `trailer` returns; the file is not synced yet.
  func write(
    to sink: any PayloadSink, file: HashingFileWriter, trailer: (OrderedOutput) -> ArchiveTrailer
  ) throws -> (size: Int64, checksum: [UInt8]) {
    let chunks = headChunks + cut.chunks
    // A change of a few pages must not cost the buffers of a whole database.
    let largest = min(GzipMember.chunkSize, max(head.count, pages.count * source.pageSize))
    let order = OrderedOutput(sink, slots: chunks <= 2 ? 1 : min(chunks, Workers.count + 1), largest: largest)
    try Workers.spread(over: chunks) { [self] in
      do {
        let encoder = try level.map { try GzipMemberEncoder(level: $0, largest: largest) }
        while let slot = try order.claim(below: chunks, read) {
          try slot.encode(encoder)
          try order.emit(slot)
          try progress.update(source.activity, Int64(slot.chunk + 1), of: Int64(chunks))
        }
      } catch {
        order.cancel()
        throw error
      }
    }
    try sink.finish(trailer(order))
    return (file.size, try file.finish())
  }

  private func read(_ slot: ChunkSlot) throws {
    guard slot.chunk >= headChunks else {
      let start = slot.chunk * GzipMember.chunkSize
      let part = head[start..<min(head.count, start + GzipMember.chunkSize)]
      slot.count = part.count
      return slot.room.copyBytes(from: part)
    }
    let positions = cut.positions(of: slot.chunk - headChunks)
    slot.count = positions.count * source.pageSize
    try source.read(pages[positions], into: slot.room)
  }
}

/// The source of an incremental's pages. They do not change while it is written. Read by one thread
/// at a time.
protocol ChangedPageSource: Sendable {
  var pageSize: Int { get }
  /// The activity to report while the pages are written.
  var activity: Progress.Activity { get }
  /// Fills `buffer` with these pages, a slice of the whole list, one after another.
  func read(_ pages: ArraySlice<UInt32>, into buffer: UnsafeMutableRawBufferPointer) throws
}

extension ChangedPageSource {
  /// The database is no longer read.
  var activity: Progress.Activity { .storing }
}

/// The pages of a live database's snapshot; adjacent pages are read at once.
struct SnapshotPages: ChangedPageSource {
  let snapshot: SnapshotSource
  var pageSize: Int { snapshot.pageSize }
  var activity: Progress.Activity { .backingUp }

  func read(_ pages: ArraySlice<UInt32>, into buffer: UnsafeMutableRawBufferPointer) throws {
    var done = 0
    for run in PageRuns(pages, limit: Int.max) {
      let count = run.count * pageSize
      try snapshot.read(
        at: Int64(run.lowerBound - 1) * Int64(pageSize),
        into: UnsafeMutableRawBufferPointer(rebasing: buffer[done..<(done + count)]))
      done += count
    }
  }
}

/// Pages in memory: the few pages of a small change, kept when they were compared, so that they are
/// read once and the snapshot can end.
///
/// `@unchecked Sendable`: filled before it is read, and never changed after.
final class KeptPages: ChangedPageSource, @unchecked Sendable {
  let pageSize: Int
  private var bytes: [UInt8] = []
  /// False if there were too many pages to keep; then it must not be read.
  private(set) var isWhole = true

  init(pageSize: Int) {
    self.pageSize = pageSize
  }

  /// Adds the next page.
  func add(_ page: UnsafeRawBufferPointer) {
    isWhole = isWhole && bytes.count + page.count <= GzipMember.chunkSize
    if isWhole { bytes += page } else { bytes = [] }
  }

  func read(_ pages: ArraySlice<UInt32>, into buffer: UnsafeMutableRawBufferPointer) throws {
    buffer.copyBytes(from: bytes[(pages.startIndex * pageSize)..<(pages.endIndex * pageSize)])
  }
}

/// Pages in a file that holds only these pages, in order. They were copied so that the lock on a
/// database with a rollback journal lasts no longer than the copy.
struct StagedPages: ChangedPageSource {
  let file: OpenFile
  let files: any FileOperations
  let pageSize: Int

  func read(_ pages: ArraySlice<UInt32>, into buffer: UnsafeMutableRawBufferPointer) throws {
    guard try files.read(file, into: buffer, at: Int64(pages.startIndex) * Int64(pageSize)) == buffer.count else {
      throw HoldfastError.truncated("the staged copy \(file.path)")
    }
  }
}

/// Adjacent pages among ascending page numbers, as ranges of at most `limit` pages.
struct PageRuns: Sequence, IteratorProtocol {
  private var rest: ArraySlice<UInt32>
  private let limit: Int

  init(_ pages: ArraySlice<UInt32>, limit: Int) {
    rest = pages
    self.limit = limit
  }

  mutating func next() -> Range<UInt32>? {
    guard let first = rest.first else { return nil }
    var count = 1
    while count < limit, count < rest.count, rest[rest.startIndex + count] == first + UInt32(count) { count += 1 }
    rest = rest.dropFirst(count)
    return first..<(first + UInt32(count))
  }
}

/// The pages that an incremental holds: a count and the differences of their ascending numbers,
/// four bytes each.
enum PageList {
  static func encode(_ pages: [UInt32]) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: 4 + 4 * pages.count) { buffer, done in
      let table = UnsafeMutableRawBufferPointer(buffer)
      table.storeBytes(of: UInt32(pages.count).bigEndian, as: UInt32.self)
      var before: UInt32 = 0
      for (index, page) in pages.enumerated() {
        table.storeBytes(of: (page - before).bigEndian, toByteOffset: 4 + 4 * index, as: UInt32.self)
        before = page
      }
      done = buffer.count
    }
  }

  /// Reads the differences (without the count).
  ///
  /// - Throws: `archiveCorrupt` if the numbers do not ascend, or exceed the database.
  static func decode(_ differences: UnsafeRawBufferPointer, pageCount: UInt32, lockPage: UInt32) throws -> [UInt32] {
    var page: UInt32 = 0
    return try (0..<(differences.count / 4)).map { index in
      let step = UInt32(bigEndian: differences.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self))
      let (next, overflow) = page.addingReportingOverflow(step)
      guard step > 0, !overflow, next <= pageCount, next < .max, next != lockPage else {
        throw HoldfastError(.archiveCorrupt, "its page list contains invalid page numbers")
      }
      page = next
      return next
    }
  }
}

/// How the pages of an incremental are divided: into members of at most 1 MiB with whole pages.
struct PageCut {
  let pageSize: Int
  let count: Int

  var pagesPerChunk: Int { GzipMember.chunkSize / pageSize }
  var chunks: Int { (count + pagesPerChunk - 1) / pagesPerChunk }

  /// Positions in the list of pages.
  func positions(of chunk: Int) -> Range<Int> {
    chunk * pagesPerChunk..<min(count, (chunk + 1) * pagesPerChunk)
  }
}
