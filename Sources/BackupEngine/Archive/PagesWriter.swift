import BackupPolicy

/// Turns changed pages into an incremental's payload: the list, then the pages, compressed on every core.
final class PagesWriter: Sendable {
  private let head: [UInt8]
  private let pages: [UInt32]
  private let source: any ChangedPageSource
  private let level: CompressionLevel?
  private let progress: Progress
  private let cut: PageCut

  /// - Parameters:
  ///   - plainHead: what an unencrypted archive begins with; empty for an encrypted one.
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

  /// Writes the whole payload and lets `trailer` make what follows it; the file is not synced yet.
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

/// Where the pages of an incremental come from; they do not change while it is written. Read by one thread at a time.
protocol ChangedPageSource: Sendable {
  var pageSize: Int { get }
  /// What writing them is called while it goes on.
  var activity: String { get }
  /// Fills `buffer` with these pages, a slice of the whole list, one after another.
  func read(_ pages: ArraySlice<UInt32>, into buffer: UnsafeMutableRawBufferPointer) throws
}

extension ChangedPageSource {
  /// The database is not read any more.
  var activity: String { "storing" }
}

/// From a live database's snapshot, neighbours in one read.
struct SnapshotPages: ChangedPageSource {
  let snapshot: SnapshotSource
  var pageSize: Int { snapshot.pageSize }
  var activity: String { "backing up" }

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

/// From memory: the few pages that a small change consists of, kept as they were compared, so that they are read once and the
/// snapshot need not last.
///
/// `@unchecked Sendable`: filled before it is read, and never changed after.
final class KeptPages: ChangedPageSource, @unchecked Sendable {
  let pageSize: Int
  private var bytes: [UInt8] = []
  /// False where there were more than are kept; it must not be read then.
  private(set) var isWhole = true

  init(pageSize: Int) {
    self.pageSize = pageSize
  }

  /// Takes the next page.
  func add(_ page: UnsafeRawBufferPointer) {
    isWhole = isWhole && bytes.count + page.count <= GzipMember.chunkSize
    if isWhole { bytes += page } else { bytes = [] }
  }

  func read(_ pages: ArraySlice<UInt32>, into buffer: UnsafeMutableRawBufferPointer) throws {
    buffer.copyBytes(from: bytes[(pages.startIndex * pageSize)..<(pages.endIndex * pageSize)])
  }
}

/// From a file that holds just these pages, in their order: they were copied so that a rollback-journal database's lock lasts
/// no longer than the copy.
struct StagedPages: ChangedPageSource {
  let file: OpenFile
  let files: any FileOperations
  let pageSize: Int

  func read(_ pages: ArraySlice<UInt32>, into buffer: UnsafeMutableRawBufferPointer) throws {
    guard try files.read(file, into: buffer, at: Int64(pages.startIndex) * Int64(pageSize)) == buffer.count else {
      throw HoldfastError(.failed, "the staged copy \(file.path) is shorter than it was")
    }
  }
}

/// Neighbours among ascending page numbers, as ranges of at most `limit` pages.
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
