import BackupPolicy
import SQLitePages
import Synchronization

/// Proves by its pages that a database is the one of a backup, at another path: most of them are in
/// that backup, at the same place.
///
/// Databases of one schema, such as those of several tenants, have the same tables and different
/// pages. Their empty tables look alike, so pages without content do not count, and neither does
/// page 1 with the schema.
struct PageContinuity {
  let repository: Repository
  /// The path of the live database.
  let database: String

  /// Reads the whole backup. Needs the repository's exclusive lock.
  ///
  /// - Returns: false also if the backup's chain is damaged.
  /// - Throws: `wrongKey`, `keyMissing`, the failures of the live database.
  func holds(since point: StoredPoint) throws -> Bool {
    let live = try liveMarks()
    let comparison = PageComparison(live)
    do {
      let open = try OpenChain(repository.chain(of: point), in: repository, isLocked: true)
      _ = try ChainReader(
        open: open, files: repository.files, credentials: repository.credentials, progress: Progress()
      ).read(to: comparison)
    } catch is ChainFailure {
      return false
    } catch let error as HoldfastError where error.cause is BrokenLink {
      return false
    }
    return comparison.areMostPagesEqual
  }

  private func liveMarks() throws -> PageMarks {
    let connection = try onDatabase { try DatabaseConnection(path: database, access: .observer) }
    defer { connection.close() }
    let scratch = try repository.scratch()
    let snapshot = try onDatabase { try DatabaseSnapshot(connection, scratchPath: scratch.path(.copy)) }
    defer { snapshot.end() }
    let source = SnapshotSource(snapshot: snapshot)
    var marks = PageMarks(pageSize: source.pageSize)
    guard source.pageCount > 0 else { return marks }
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: source.pageSize, alignment: 4096)
    defer { room.deallocate() }
    for page in 0..<Int64(source.pageCount) {
      // Nobody reads the lock page.
      let isLockPage = UInt32(page) + 1 == PageShape.lockPage(pageSize: source.pageSize)
      if !isLockPage { try source.read(at: page * Int64(source.pageSize), into: room) }
      marks.append(isLockPage ? nil : UnsafeRawBufferPointer(room))
    }
    return marks
  }
}

/// A short hash of each page of a database; 0 for a page that proves nothing.
private struct PageMarks {
  let pageSize: Int
  private(set) var marks: [Int] = []

  init(pageSize: Int) { self.pageSize = pageSize }

  mutating func append(_ page: UnsafeRawBufferPointer?) {
    marks.append(page.map { Self.mark(of: $0, isFirst: marks.isEmpty) } ?? 0)
  }

  /// - Parameter isFirst: page 1 holds the schema, and a counter that changes.
  static func mark(of page: UnsafeRawBufferPointer, isFirst: Bool) -> Int {
    guard !isFirst, !isWithoutContent(page) else { return 0 }
    var hasher = Hasher()
    hasher.combine(bytes: page)
    let mark = hasher.finalize()
    return mark == 0 ? 1 : mark
  }

  /// A leaf of a b-tree without cells, or a page of zeros. See "B-tree Pages" in SQLite's file
  /// format.
  private static func isWithoutContent(_ page: UnsafeRawBufferPointer) -> Bool {
    let isLeaf = page[0] == 0x0a || page[0] == 0x0d
    return (isLeaf && page[3] == 0 && page[4] == 0) || page.allSatisfy { $0 == 0 }
  }
}

/// Receives the pages of a backup and counts those that the live database also has; safe from
/// several threads.
private final class PageComparison: ImageTarget {
  private let live: PageMarks
  private let counts = Mutex((equal: 0, stored: 0))

  init(_ live: PageMarks) { self.live = live }

  var areMostPagesEqual: Bool {
    let most = live.marks.count { $0 != 0 }
    return counts.withLock { 2 * $0.equal > max(most, $0.stored) }
  }

  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws {
    guard live.pageSize > 0 else { return }
    var (equal, stored) = (0, 0)
    for start in stride(from: 0, to: bytes.count, by: live.pageSize) {
      let index = Int((offset + Int64(start)) / Int64(live.pageSize))
      let page = UnsafeRawBufferPointer(rebasing: bytes[start..<min(start + live.pageSize, bytes.count)])
      let mark = PageMarks.mark(of: page, isFirst: index == 0)
      guard mark != 0 else { continue }
      stored += 1
      if index < live.marks.count, live.marks[index] == mark { equal += 1 }
    }
    counts.withLock { $0 = ($0.equal + equal, $0.stored + stored) }
  }
}
