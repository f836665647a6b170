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
  ///   - progress: gets pages copied and pages in all. What it throws before the commit ends the copy.
  ///   - whenLocked: called once the destination's write lock is held and before a page is written; throwing ends it.
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
      // The step that copies the last page commits: from there on nothing may be called a failure.
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
