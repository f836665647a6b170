import CSQLite
import Glibc
import SQLitePages
import Testing
import TestSupport

@Suite("An observer leaves no trace", .ownThread)
struct ObserverTests {
  let folder: TemporaryFolder
  let path: String

  init() throws {
    folder = try TemporaryFolder()
    path = folder.path("app.db")
  }

  private func observe() throws {
    let connection = try DatabaseConnection(path: path, access: .observer)
    let snapshot = try DatabaseSnapshot(connection, scratchPath: folder.path("scratch"))
    _ = try snapshot.image()
    snapshot.end()
    connection.close()
  }

  @Test(
    "A closed database keeps its bytes and times, and gets no side files", arguments: ["wal", "delete", "truncate"])
  func closedDatabase(mode: String) throws {
    try DatabaseFixture(journalMode: mode).create(at: path).close()
    // (The folder's own time changes: SQLite makes and removes side files there while the database
    // is open.)
    let before = try FolderDigest.of(path, times: true)
    let beside = try names(in: folder.path)
    for _ in 0..<3 { try observe() }
    #expect(before.differences(to: try FolderDigest.of(path, times: true)) == [])
    #expect(try names(in: folder.path) == beside)
  }

  @Test("A database that fails to open gets no side files either")
  func failedOpening() throws {
    try DatabaseFixture(journalMode: "wal").create(at: path).close()
    truncate(path, 9000)
    let before = try FolderDigest.of(path, times: true)
    #expect(errorKind { try observe() } == .corrupt)
    #expect(before.differences(to: try FolderDigest.of(path, times: true)) == [])
    #expect(try names(in: folder.path) == ["app.db"])
  }

  @Test("An empty file stays empty")
  func emptyFile() throws {
    try folder.write("app.db", [])
    let before = try FolderDigest.of(folder.path, times: true)
    try observe()
    #expect(before.differences(to: try FolderDigest.of(folder.path, times: true)) == [])
  }

  @Test("An open application's database and log keep their bytes and times", arguments: ["wal", "delete", "persist"])
  func openDatabase(mode: String) throws {
    let application = try DatabaseFixture(journalMode: mode).create(at: path)
    try application.run("UPDATE item SET name = 'new' WHERE id < 9")
    let before = try FolderDigest.of(folder.path, times: true, ignoring: ["-shm"])
    try observe()
    #expect(before.differences(to: try FolderDigest.of(folder.path, times: true, ignoring: ["-shm"])) == [])
    try application.run("UPDATE item SET name = 'newer' WHERE id < 9")
  }

  @Test("An observer works if its statements are refused, because it never has to write")
  func noLockAfterwards() throws {
    try DatabaseFixture(journalMode: "wal").create(at: path).close()
    let connection = try DatabaseConnection(path: path, access: .observer)
    let snapshot = try DatabaseSnapshot(connection, scratchPath: folder.path("scratch"))
    snapshot.end()
    let exclusive = """
      import sqlite3, sys
      db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0)
      db.execute("PRAGMA locking_mode=EXCLUSIVE")
      db.execute("BEGIN EXCLUSIVE")
      db.execute("UPDATE item SET name='mine'")
      db.execute("COMMIT")
      """
    #expect(try Python.run(script: exclusive, arguments: [path]).status != 0, "an open connection shows in WAL mode")
    connection.close()
    let result = try Python.run(script: exclusive, arguments: [path])
    #expect(result.status == 0, "\(result.stderr)")
  }

  /// Hazard e8: the log of a crashed application is not folded into the file that replaced its
  /// database.
  @Test("A crashed application's log is never folded into another file", arguments: ["copied over", "moved over"])
  func leftOverLog(how: String) throws {
    try crashInWALMode()
    let replacement = folder.path("new.db")
    let other = try DatabaseApplication(replacement, "CREATE TABLE u (x); INSERT INTO u SELECT hex(zeroblob(800))")
    try other.run("INSERT INTO u SELECT hex(randomblob(800)) FROM (\(DatabaseFixture.numbers(400)))")
    other.close()
    let wanted = try folder.read("new.db")
    // `cp` keeps the inode of the target, `mv` brings its own; a separate program does either, as
    // an operator would.
    let command = how == "copied over" ? "cp" : "mv"
    #expect(try Shell.run(command, [replacement, path]).status == 0)
    // However the old log affects this state, opening it must leave it as it is.
    try? observe()
    #expect(access(path + "-wal", F_OK) == 0, "the log is the operator's to remove")
    unlink(path + "-wal")
    unlink(path + "-shm")
    #expect(try folder.read("app.db") == wanted)
    #expect(try DatabaseApplication(path).value("PRAGMA integrity_check") == "ok")
  }

  @Test("Another file at the path is detected and not read through the old handle")
  func movedOver() throws {
    try DatabaseFixture().create(at: path).close()
    try DatabaseFixture(rows: 3).create(at: folder.path("new.db")).close()
    let connection = try DatabaseConnection(path: path, access: .observer)
    #expect(connection.filesAreUnchanged)
    rename(folder.path("new.db"), path)
    #expect(!connection.filesAreUnchanged)
    #expect(errorKind { _ = try DatabaseSnapshot(connection, scratchPath: folder.path("scratch")) } == .unstable)
  }

  /// Leaves a database in WAL mode with commits in its log, as a killed process does.
  private func crashInWALMode() throws {
    let script = """
      import os, signal, sqlite3, sys
      db = sqlite3.connect(sys.argv[1], isolation_level=None)
      db.execute("PRAGMA journal_mode=WAL")
      db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
      db.execute("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c WHERE n<600) "
                 "INSERT INTO t SELECT n, randomblob(900) FROM c")
      db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
      db.execute("UPDATE t SET v=randomblob(900) WHERE id%3=0")
      os.kill(os.getpid(), signal.SIGKILL)
      """
    #expect(try Python.run(script: script, arguments: [path]).status == 128 + SIGKILL)
    #expect(try names(in: folder.path).contains("app.db-wal"))
  }
}
