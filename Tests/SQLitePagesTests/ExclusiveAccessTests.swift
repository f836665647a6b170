import CSQLite
import Glibc
import SQLitePages
import Testing
import TestSupport

@Suite("Exclusive access to a database before its replacement", .ownThread)
struct ExclusiveAccessTests {
  let folder: TemporaryFolder
  let path: String

  init() throws {
    folder = try TemporaryFolder()
    path = folder.path("app.db")
  }

  @Test("Exclusive access locks out all others until it ends", arguments: ["wal", "delete"])
  func keepsOut(mode: String) throws {
    try DatabaseFixture(journalMode: mode).create(at: path).close()
    let hold = try ExclusiveAccess(path: path, busyTimeout: 100)
    let probe = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('SELECT * FROM item').fetchall()"
    let refused = try Python.run(script: probe, arguments: [path])
    #expect(refused.stderr.contains("locked"), "\(refused.stderr)")
    hold.release()
    hold.release()
    #expect(try Python.run(script: probe, arguments: [path]).status == 0)
  }

  @Test("In WAL mode any open connection prevents exclusive access")
  func openConnection() throws {
    let application = try DatabaseFixture(journalMode: "wal").create(at: path)
    #expect(errorKind { _ = try ExclusiveAccess(path: path, busyTimeout: 50) } == .busy)
    application.close()
    #expect(throws: Never.self) { try ExclusiveAccess(path: path, busyTimeout: 50).release() }
  }

  @Test("With a rollback journal a transaction prevents exclusive access")
  func openTransaction() throws {
    let application = try DatabaseFixture().create(at: path)
    try application.run("BEGIN")
    #expect(try application.value("SELECT count(*) FROM item") == "60")
    #expect(errorKind { _ = try ExclusiveAccess(path: path, busyTimeout: 50) } == .busy)
    try application.run("COMMIT")
    #expect(throws: Never.self) { try ExclusiveAccess(path: path, busyTimeout: 50).release() }
  }

  @Test("The log is emptied into the database file, which then contains everything alone")
  func emptiesLog() throws {
    try leaveLog()
    let hold = try ExclusiveAccess(path: path, busyTimeout: 100)
    try hold.emptyWAL()
    #expect(FileFacts(path: path + "-wal")?.size == 0)
    #expect(try Shell.run("cp", [path, folder.path("alone.db")]).status == 0)
    #expect(
      try DatabaseApplication(folder.path("alone.db")).value("SELECT count(*) FROM item WHERE name = 'log'") == "60")
    hold.release()
    #expect(FileFacts(path: path + "-wal") == nil)
  }

  @Test("If exclusive access ends without emptying the log, database and log stay as they were")
  func leavesLog() throws {
    try leaveLog()
    let before = try [path, path + "-wal"].map { try FolderDigest.of($0, times: true) }
    try ExclusiveAccess(path: path, busyTimeout: 100).release()
    #expect(try [path, path + "-wal"].map { try FolderDigest.of($0, times: true) } == before)
  }

  /// SQLite gives an empty file its first page with the first transaction that may write and
  /// commits, whatever the transaction contains.
  @Test("An empty file stays empty and counts as unchanged")
  func empty() throws {
    _ = try folder.write("app.db", [])
    let observer = try DatabaseConnection(path: path, access: .observer)
    let snapshot = try DatabaseSnapshot(observer, scratchPath: folder.path("scratch"))
    let position = snapshot.position
    snapshot.end()
    observer.close()
    let hold = try ExclusiveAccess(path: path, busyTimeout: 100)
    #expect(try hold.isUnchanged(since: position))
    try hold.emptyWAL()
    hold.release()
    #expect(try folder.read("app.db") == [])
    #expect(try names(in: folder.path) == ["app.db"])
  }

  @Test("A replaced file is left alone when exclusive access to the old one ends")
  func replacedMeanwhile() throws {
    try leaveLog()
    try DatabaseFixture(rows: 5).create(at: folder.path("new.db")).close()
    let wanted = try folder.read("new.db")
    let hold = try ExclusiveAccess(path: path, busyTimeout: 100)
    try hold.emptyWAL()
    rename(folder.path("new.db"), path)
    for suffix in ["-wal", "-shm"] { unlink(path + suffix) }
    hold.release()
    #expect(try folder.read("app.db") == wanted)
    #expect(try names(in: folder.path) == ["app.db"])
  }

  /// A database with a log of commits, as a killed application leaves it.
  private func leaveLog() throws {
    let application = try DatabaseFixture(journalMode: "wal").create(at: path)
    try application.run("PRAGMA wal_checkpoint(TRUNCATE); UPDATE item SET name = 'log'")
    // Copies of the open files are the files that a crash would leave.
    for suffix in ["", "-wal"] {
      #expect(try Shell.run("cp", [path + suffix, folder.path("kept" + suffix)]).status == 0)
    }
    application.close()
    for suffix in ["", "-wal"] { rename(folder.path("kept" + suffix), path + suffix) }
  }
}
