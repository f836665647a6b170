import BackupEngine
import Glibc
import Testing
import TestSupport

@testable import BackupAgent

@Suite(.ownThread) struct WatchingTests {
  @Test(arguments: [
    ("app.db", IN_MODIFY, ChangeEvent.changed), ("app.db", IN_CREATE, .changed), ("app.db", IN_MOVED_TO, .changed),
    ("app.db", IN_DELETE, .removed), ("app.db", IN_MOVED_FROM, .removed), ("app.db-wal", IN_MODIFY, .changed),
    ("app.db-journal", IN_DELETE, .changed), ("app.db-journal", IN_MODIFY, .changed),
  ])
  func eventsThatCount(name: String, mask: Int32, event: ChangeEvent) throws {
    #expect(try read(name, mask) == event)
  }

  /// Events of opening, reading and closing, and events of other files.
  @Test(arguments: [
    ("app.db", IN_ATTRIB), ("app.db", IN_CLOSE_WRITE), ("app.db", IN_OPEN), ("app.db-wal", IN_CREATE),
    ("app.db-wal", IN_DELETE), ("app.db-wal", IN_CLOSE_WRITE), ("app.db-shm", IN_MODIFY), ("app.db-shm", IN_DELETE),
    ("app.db-journal", IN_CREATE), ("other.db", IN_MODIFY), ("app.db2", IN_MOVED_TO), ("", IN_ATTRIB),
    ("app.d", IN_MODIFY),
  ])
  func eventsThatDoNot(name: String, mask: Int32) throws {
    #expect(try read(name, mask) == nil)
  }

  private func read(_ name: String, _ mask: Int32) throws -> ChangeEvent? {
    let plan = WatchPlan(WatchedPath("/somewhere/app.db"), SystemFileOperations())
    return Array(name.utf8).withUnsafeBytes { plan.role(of: $0) }.flatMap { ChangeEvent(UInt32(mask), of: $0) }
  }

  @Test func linksAreFollowedAsSQLiteDoes() throws {
    let folder = try TemporaryFolder()
    try SystemFileOperations().makeFolder(folder.path("real"))
    #expect(symlink("real", folder.path("alias")) == 0)
    #expect(symlink("alias/app.db", folder.path("one")) == 0)
    #expect(symlink(folder.path("one"), folder.path("two")) == 0)
    #expect(symlink("loop", folder.path("loop")) == 0)
    // The file does not exist yet.
    #expect(WatchedPath(folder.path("two")).resolved == folder.path("real/app.db"))
    try folder.write("real/app.db", [1])
    #expect(WatchedPath(folder.path("two")).resolved == folder.path("real/app.db"))
    #expect(WatchedPath(folder.path("loop")).name == "loop")
    #expect(WatchedPath("/app.db").folder == "/")
  }
}
