import CSQLite
import Glibc

/// `sqlite3_backup`: copies all pages of one database into another in one transaction of the second.
struct PageCopy: ~Copyable {
  private var handle: OpaquePointer?
  private let destination: DatabaseConnection

  /// Pages between two calls of progress. The destination's transaction stays open across steps.
  private static let pagesPerStep: Int32 = 2048

  init(from source: DatabaseConnection, into destination: DatabaseConnection) throws {
    self.destination = destination
    handle = sqlite3_backup_init(destination.handle, "main", source.handle, "main")
    guard handle != nil else {
      throw destination.failure(sqlite3_extended_errcode(destination.handle), doing: "copy pages into")
    }
  }

  deinit { sqlite3_backup_finish(handle) }

  /// Copies everything and commits, or throws and leaves the destination as it was.
  ///
  /// - Parameters:
  ///   - patience: milliseconds to wait for locks of others.
  ///   - progress: gets pages copied and total pages. An error that it throws before the commit
  ///     ends the copy.
  ///   - whenLocked: called once the destination's write lock is held and before a page is written;
  ///     throwing ends the copy.
  mutating func run(patience: Int, whenLocked: () throws -> Void = {}, progress: (Int, Int) throws -> Void) throws {
    let end = ContinuousClock.now + .milliseconds(patience)
    var result: Int32
    // No pages: only the locks.
    repeat {
      result = sqlite3_backup_step(handle, 0)
      if Self.isBusy(result) {
        guard ContinuousClock.now < end else { throw failure(result) }
        try progress(0, 0)
        usleep(1000)
      }
    } while Self.isBusy(result)
    if result == SQLITE_OK { try whenLocked() }
    repeat {
      result = sqlite3_backup_step(handle, Self.pagesPerStep)
      let total = Int(sqlite3_backup_pagecount(handle))
      let copied = total - Int(sqlite3_backup_remaining(handle))
      // The step that copies the last page commits; after it, no error may be reported as a
      // failure.
      if result == SQLITE_DONE { try? progress(copied, total) } else { try progress(copied, total) }
      if Self.isBusy(result) {
        guard ContinuousClock.now < end else { break }
        usleep(5000)
      }
    } while result == SQLITE_OK || Self.isBusy(result)
    let finished = sqlite3_backup_finish(handle)
    handle = nil
    guard result == SQLITE_DONE, finished == SQLITE_OK else { throw failure(finished == SQLITE_OK ? result : finished) }
  }

  private static func isBusy(_ result: Int32) -> Bool {
    result & 0xff == SQLITE_BUSY || result & 0xff == SQLITE_LOCKED
  }

  private func failure(_ result: Int32) -> DatabaseError {
    let words = String(cString: sqlite3_errstr(result))
    let code = sqlite3_system_errno(destination.handle)
    return DatabaseError(
      resultCode: result, words: words, systemErrno: code, doing: "copy pages into", path: destination.path)
  }
}

extension LiveInstall {
  /// The bytes of page 1 that `sqlite3_backup` rewrites in its destination: journal version, change
  /// counter, schema cookie, version-valid-for and the library's version.
  package static let rewrittenBytes = [18..<20, 24..<28, 40..<44, 92..<100]

  /// Compares an image with a live database page for page, in one state of the latter.
  ///
  /// - Returns: the first page that differs, or nil. Ignores the bytes of page 1 that SQLite
  ///   rewrites when it installs.
  package static func firstDifference(image: String, live path: String) throws -> UInt32? {
    let source = try DatabaseConnection(path: image, access: .readOnly)
    let target = try DatabaseConnection(path: path, access: .observer)
    let left = try DatabaseSnapshot(source, scratchPath: image + ".scratch-image")
    defer { left.end() }
    let right = try DatabaseSnapshot(target, scratchPath: image + ".scratch-live")
    defer { right.end() }
    return try ImageComparison(left, right).firstDifference()
  }
}

/// Two snapshots, side by side.
struct ImageComparison {
  private let left: DatabaseSnapshot
  private let right: DatabaseSnapshot

  init(_ left: DatabaseSnapshot, _ right: DatabaseSnapshot) {
    self.left = left
    self.right = right
  }

  func firstDifference() throws -> UInt32? {
    let (mine, other) = (left.geometry, right.geometry)
    guard mine.pageSize == other.pageSize else { return 1 }
    let common = min(mine.pageCount, other.pageCount)
    let pagesAtOnce = max(1, (1 << 20) / mine.pageSize)
    // Freed below; it may be uninitialised because `read` fills the compared part.
    let buffers = UnsafeMutableRawBufferPointer.allocate(byteCount: 2 * pagesAtOnce * mine.pageSize, alignment: 4096)
    defer { buffers.deallocate() }
    var first: UInt32 = 1
    while first <= common {
      let count = min(pagesAtOnce, Int(common - first) + 1)
      if let page = try difference(first, count, buffers) { return page }
      first += UInt32(count)
    }
    return mine.pageCount == other.pageCount ? nil : common + 1
  }

  private func difference(_ first: UInt32, _ count: Int, _ buffers: UnsafeMutableRawBufferPointer) throws -> UInt32? {
    let size = left.geometry.pageSize
    let one = UnsafeMutableRawBufferPointer(rebasing: buffers[..<(count * size)])
    let two = UnsafeMutableRawBufferPointer(rebasing: buffers[(buffers.count / 2)..<(buffers.count / 2 + count * size)])
    try left.read(first: first, count: count, into: one)
    try right.read(first: first, count: count, into: two)
    if first == 1 {
      for index in LiveInstall.rewrittenBytes.joined() { one[index] = two[index] }
    }
    guard memcmp(one.baseAddress!, two.baseAddress!, one.count) != 0 else { return nil }
    let page = (0..<count).first { memcmp(one.baseAddress! + $0 * size, two.baseAddress! + $0 * size, size) != 0 }
    return first + UInt32(page ?? 0)
  }
}
