import BackupEngine
import Glibc
import Testing
import TestSupport

@testable import BackupAgent

@Suite struct WatchingTests {
  @Test(arguments: [
    ("app.db", IN_MODIFY, ChangeEvent.changed), ("app.db", IN_CREATE, .changed), ("app.db", IN_MOVED_TO, .changed),
    ("app.db", IN_DELETE, .removed), ("app.db", IN_MOVED_FROM, .removed), ("app.db-wal", IN_MODIFY, .changed),
    ("app.db-journal", IN_DELETE, .changed), ("app.db-journal", IN_MODIFY, .changed), ("", IN_Q_OVERFLOW, .overflow),
    ("", IN_DELETE_SELF, .folderLost), ("", IN_MOVE_SELF, .folderLost), ("", IN_UNMOUNT, .folderLost),
  ])
  func eventsThatCount(name: String, mask: Int32, event: ChangeEvent) {
    #expect(ChangeEvent(mask: UInt32(mask), name: name, database: "app.db") == event)
  }

  /// What opening, reading and closing causes, and what is about other files.
  @Test(arguments: [
    ("app.db", IN_ATTRIB), ("app.db", IN_CLOSE_WRITE), ("app.db", IN_OPEN), ("app.db-wal", IN_CREATE),
    ("app.db-wal", IN_DELETE), ("app.db-wal", IN_CLOSE_WRITE), ("app.db-shm", IN_MODIFY), ("app.db-shm", IN_DELETE),
    ("app.db-journal", IN_CREATE), ("other.db", IN_MODIFY), ("app.db2", IN_MOVED_TO), ("", IN_ATTRIB),
  ])
  func eventsThatDoNot(name: String, mask: Int32) {
    #expect(ChangeEvent(mask: UInt32(mask), name: name, database: "app.db") == nil)
  }

  @Test func theWatcherSeesRealWritesAndNotReading() throws {
    let folder = try TemporaryFolder()
    let path = folder.path("app.db")
    let watcher = try InotifyWatcher.open(WatchedPath(path))
    try watcher.start(WatchedPath(path))
    _ = try Python.run(
      script: "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('PRAGMA journal_mode=wal'); "
        + "c.execute('CREATE TABLE t(n)'); c.close()", arguments: [path])
    #expect(watcher.drain() == [.changed])
    _ = try DatabaseState.read(path, scratchPath: folder.path("scratch"), busyTimeout: 1000)
    #expect(watcher.drain() == [])
    try SystemFileOperations().rename(path, to: folder.path("away.db"))
    #expect(watcher.drain() == [.removed])
  }

  @Test func linksAreFollowedAsSQLiteDoes() throws {
    let folder = try TemporaryFolder()
    try SystemFileOperations().makeFolder(folder.path("real"))
    #expect(symlink("real", folder.path("alias")) == 0)
    #expect(symlink("alias/app.db", folder.path("one")) == 0)
    #expect(symlink(folder.path("one"), folder.path("two")) == 0)
    #expect(symlink("loop", folder.path("loop")) == 0)
    // The file is not there yet.
    #expect(WatchedPath(folder.path("two")).resolved == folder.path("real/app.db"))
    try folder.write("real/app.db", [1])
    #expect(WatchedPath(folder.path("two")).resolved == folder.path("real/app.db"))
    #expect(WatchedPath(folder.path("loop")).name == "loop")
    #expect(WatchedPath("/app.db").folder == "/")
  }
}
