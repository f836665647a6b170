import BackupPolicy
import SQLitePages
import Synchronization

/// Proves by its pages that a database is the one of a backup, at another path: most of them are in
/// that backup, at the same place.
///
/// Databases of one schema, such as those of several tenants, have the same tables and different
/// pages. Their empty tables look alike, so pages without content do not count, and neither does
/// page 1 with the schema. Tenants that were copied from one template also share its pages. Only the
/// pages that changed since the oldest backup distinguish them, so most of these have to be equal
/// also.
struct PageContinuity {
  let repository: Repository
  /// The path of the live database.
  let database: String
  let progress: Progress

  /// Reads both backups as a whole. Needs the repository's exclusive lock, and 8 bytes of memory for
  /// each page of the live database and of the oldest backup, because it is rare.
  ///
  /// - Parameters:
  ///   - newest: the backup that the live database has to continue.
  ///   - oldest: of the same database; nil or `newest` if there is only one backup.
  /// - Returns: false also if the chain of `newest` is damaged. If that of `oldest` is damaged,
  ///   nothing distinguishes the database.
  /// - Throws: `wrongKey`, `keyMissing`, `interrupted`, the failures of the live database.
  func holds(since newest: StoredPoint, oldest: StoredPoint?) throws -> Bool {
    let live = try liveMarks()
    let first = StoredMarks(pageSize: live.pageSize)
    if let oldest, oldest.id != newest.id, try !read(oldest, to: first) { first.clear() }
    let comparison = PageComparison(live, oldest: first.marks)
    return try read(newest, to: comparison) && comparison.provesContinuity
  }

  /// - Returns: false if the chain is damaged.
  private func read(_ point: StoredPoint, to target: some ImageTarget) throws -> Bool {
    do {
      let open = try OpenChain(repository.chain(of: point), in: repository, isLocked: true)
      _ = try ChainReader(
        open: open, files: repository.files, credentials: repository.credentials, progress: progress
      ).read(to: target)
      return true
    } catch is ChainFailure {
      return false
    } catch let error as HoldfastError where error.cause is BrokenLink {
      return false
    }
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
      if page % 256 == 0 { try progress.update(.comparing, page * Int64(source.pageSize), of: source.imageSize) }
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

/// Receives the pages of a backup and keeps a hash of each; safe from several threads.
private final class StoredMarks: ImageTarget {
  private let pageSize: Int
  private let stored = Mutex<[Int]>([])

  init(pageSize: Int) { self.pageSize = pageSize }

  var marks: [Int] { stored.withLock(\.self) }

  func clear() { stored.withLock { $0 = [] } }

  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws {
    let new = PageMarks.marks(of: bytes, at: offset, pageSize: pageSize)
    guard let last = new.last?.index else { return }
    stored.withLock { stored in
      if stored.count <= last { stored += [Int](repeating: 0, count: last + 1 - stored.count) }
      for (index, mark) in new { stored[index] = mark }
    }
  }
}

extension PageMarks {
  /// Returns the index and the hash of each page of a piece.
  fileprivate static func marks(
    of bytes: UnsafeRawBufferPointer, at offset: Int64, pageSize: Int
  ) -> [(index: Int, mark: Int)] {
    guard pageSize > 0 else { return [] }
    return stride(from: 0, to: bytes.count, by: pageSize).map { start in
      let index = Int((offset + Int64(start)) / Int64(pageSize))
      let page = UnsafeRawBufferPointer(rebasing: bytes[start..<min(start + pageSize, bytes.count)])
      return (index, mark(of: page, isFirst: index == 0))
    }
  }
}

/// Receives the pages of the newest backup and counts those that the live database also has; safe
/// from several threads.
private final class PageComparison: ImageTarget {
  private struct Count {
    var equal = 0
    var stored = 0

    mutating func add(isEqual: Bool) {
      stored += 1
      if isEqual { equal += 1 }
    }
  }

  private let live: PageMarks
  /// Empty if there is no older backup.
  private let oldest: [Int]
  /// Of all pages with content, and of those among them that the oldest backup does not have.
  private let counts = Mutex((all: Count(), changed: Count()))

  init(_ live: PageMarks, oldest: [Int]) {
    self.live = live
    self.oldest = oldest
  }

  /// If no page changed since the oldest backup, or if there is none, nothing distinguishes the
  /// database from others of the same origin, and most of all pages are the only proof.
  var provesContinuity: Bool {
    let most = live.marks.count { $0 != 0 }
    return counts.withLock { counts in
      let (all, changed) = counts
      return 2 * all.equal > max(most, all.stored) && (changed.stored == 0 || 2 * changed.equal > changed.stored)
    }
  }

  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws {
    let pages = PageMarks.marks(of: bytes, at: offset, pageSize: live.pageSize).filter { $0.mark != 0 }
    counts.withLock { counts in
      for (index, mark) in pages {
        let isEqual = index < live.marks.count && live.marks[index] == mark
        counts.all.add(isEqual: isEqual)
        let isOld = oldest.isEmpty || index < oldest.count && oldest[index] == mark
        if !isOld { counts.changed.add(isEqual: isEqual) }
      }
    }
  }
}
