import CSQLite
import Glibc
import SQLitePages
import Testing
import TestSupport

@Suite("Connections", .ownThread)
struct ConnectionTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test(
    "A database with an odd name opens, and its side files are found beside it",
    arguments: [
      "a b.db", "quo'te\".db", "what?mode=memory.db", "hash#1.db", "per%20cent%.db", "new\nline.db", "ümläut-数.db",
      "semi;colon&and=.db", "-dash.db", "back\\slash.db", "file:x.db", ":memory:",
    ])
  func oddNames(name: String) throws {
    let path = folder.path(name)
    let application = try DatabaseFixture(journalMode: "wal").create(at: path)
    try application.run("INSERT INTO item (name) VALUES ('x')")
    let image = try application.image()
    let before = try names(in: folder.path)
    let connection = try DatabaseConnection(path: path, access: .observer)
    #expect(connection.resolvedPath == path)
    #expect(try connection.integer("SELECT count(*) FROM item") == 61)
    let snapshot = try DatabaseSnapshot(connection, scratchPath: folder.path("scratch"))
    #expect(firstDifference(try snapshot.image(), image, pageSize: 4096) == nil)
    snapshot.end()
    #expect(try names(in: folder.path) == before)
  }

  @Test("A link leads to the database and to the side files beside that")
  func symbolicLink() throws {
    let deep = folder.path("deep")
    mkdir(deep, 0o700)
    let application = try DatabaseFixture(journalMode: "wal").create(at: deep + "/real.db")
    symlink("deep/real.db", folder.path("one"))
    symlink("one", folder.path("two"))
    let connection = try DatabaseConnection(path: folder.path("two"), access: .observer)
    #expect(connection.resolvedPath == deep + "/real.db")
    #expect(connection.path == folder.path("two"))
    let snapshot = try DatabaseSnapshot(connection, scratchPath: folder.path("scratch"))
    #expect(firstDifference(try snapshot.image(), try application.image(), pageSize: 4096) == nil)
    #expect(
      try names(in: folder.path) == ["deep", "one", "two", "deep/real.db", "deep/real.db-wal", "deep/real.db-shm"])
  }

  @Test(
    "A missing database is not created",
    arguments: [DatabaseConnection.Access.observer, .writer, .readOnly, .exclusive])
  func missing(access: DatabaseConnection.Access) throws {
    symlink("nowhere", folder.path("dangling"))
    for name in ["none.db", "no/such/folder.db", "dangling", ""] {
      let path = name.isEmpty ? "" : folder.path(name)
      let kind = errorKind { _ = try DatabaseConnection(path: path, access: access) }
      #expect(kind == .missing, "\(path)")
    }
    #expect(try names(in: folder.path) == ["dangling"])
  }

  @Test("Each kind of file that is not a database gets its own error")
  func notADatabase() throws {
    mkdir(folder.path("folder"), 0o700)
    mkfifo(folder.path("pipe"), 0o600)
    try folder.write("garbage", [UInt8](repeating: 7, count: 10_000))
    try folder.write("short", [1, 2, 3])
    try folder.write("magic", Array("SQLite format 3\0".utf8))
    let expected: [(String, DatabaseError.Kind)] = [
      ("folder", .notAFile), ("pipe", .notAFile), ("garbage", .notADatabase), ("short", .notADatabase),
      ("magic", .notADatabase), ("garbage/x", .missing),
    ]
    let before = try FolderDigest.of(folder.path, times: true, ignoring: ["pipe"])
    for (name, kind) in expected {
      let error = #expect(throws: DatabaseError.self) {
        try DatabaseConnection(path: folder.path(name), access: .observer)
      }
      #expect(error?.kind == kind, "\(name): \(error?.message ?? "")")
      #expect(error?.message.contains(folder.path(name)) == true)
    }
    #expect(before.differences(to: try FolderDigest.of(folder.path, times: true, ignoring: ["pipe"])) == [])
  }

  @Test("A truncated database opens as corrupt and as nothing else")
  func truncated() throws {
    let path = folder.path("app.db")
    try DatabaseFixture().create(at: path).close()
    truncate(path, 9000)
    #expect(errorKind { _ = try DatabaseConnection(path: path, access: .observer) } == .corrupt)
  }

  @Test("An unreadable file is reported as a lack of permission")
  func unreadable() async throws {
    await #expect(processExitsWith: .success) {
      let folder = try TemporaryFolder()
      let path = folder.path("app.db")
      try DatabaseFixture().create(at: path).close()
      chmod(folder.path, 0o755)
      chmod(path, 0)
      becomeNobody()
      #expect(errorKind { _ = try DatabaseConnection(path: path, access: .observer) } == .permission)
      // The folder can only be removed with the rights that it was made with.
      becomeSomebody()
    }
  }

  @Test("An application in exclusive mode is distinguished from one that is busy", arguments: ["wal", "delete"])
  func exclusiveApplication(mode: String) throws {
    let path = folder.path("app.db")
    let application = try DatabaseApplication(
      path,
      "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = \(mode); CREATE TABLE t (a); INSERT INTO t VALUES (1)")
    let kind = errorKind { _ = try DatabaseConnection(path: path, access: .observer, busyTimeout: 50) }
    #expect(kind == (mode == "wal" ? .exclusive : .busy))
    application.close()
    #expect(throws: Never.self) { try DatabaseConnection(path: path, access: .observer, busyTimeout: 50) }
  }

  /// POSIX locks belong to the process: if any second descriptor on a file were closed, all of them
  /// would be lost.
  @Test("Locks of this process survive when we open the database", arguments: ["wal", "delete"])
  func locksSurvive(mode: String) throws {
    let path = folder.path("app.db")
    let application = try DatabaseFixture(journalMode: mode).create(at: path)
    symlink(path, folder.path("link"))
    try application.run("BEGIN IMMEDIATE")
    for name in ["app.db", "link"] {
      let connection = try DatabaseConnection(path: folder.path(name), access: .observer)
      let snapshot = try DatabaseSnapshot(connection, scratchPath: folder.path("scratch"))
      _ = try snapshot.image()
      snapshot.end()
      #expect(connection.filesAreUnchanged)
      connection.close()
      _ = try LiveInstall.journalVersionBytes(of: folder.path(name))
    }
    #expect(errorKind { _ = try ExclusiveAccess(path: path, busyTimeout: 10) } == .busy)
    let intruder = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"
    #expect(try Python.run(script: intruder, arguments: [path]).stderr.contains("locked"))
    try application.run("UPDATE item SET name = 'mine'; COMMIT")
    #expect(try Python.run(script: intruder, arguments: [path]).status == 0)
  }

  @Test("A restored database is flushed with its commit")
  func writerIsDurable() throws {
    let path = folder.path("app.db")
    try DatabaseFixture().create(at: path).close()
    // 3 is EXTRA: SQLite flushes the database, the journal, and the folder after the journal is
    // gone.
    #expect(try DatabaseConnection(path: path, access: .writer).integer("PRAGMA synchronous") == 3)
  }

  @Test("Values are read as they were stored")
  func values() throws {
    let connection = try DatabaseConnection(path: folder.path("new.db"), access: .scratch)
    let row = try connection.rows("SELECT NULL, 5, 2.5, 'a' || char(0) || 'ü', x'00ff', ?", bind: ["it's"]).first
    #expect(row == [.null, .integer(5), .real(2.5), .text("a\u{0}ü"), .blob([0, 255]), .text("it's")])
    #expect(try connection.integer("SELECT 9223372036854775807") == .max)
    #expect(try connection.integer("SELECT x'00'") == nil)
    #expect(try connection.text("SELECT 1 WHERE 0") == nil)
    #expect(try connection.rows(DatabaseFixture.numbers(50), limit: 3).count == 3)
  }

  @Test("A closed connection throws instead of crashing")
  func closed() throws {
    let connection = try DatabaseConnection(path: folder.path("new.db"), access: .scratch)
    connection.close()
    connection.close()
    connection.limitTime(milliseconds: 5)
    #expect(throws: DatabaseError.self) { try connection.execute("SELECT 1") }
    #expect(throws: DatabaseError.self) { try connection.rows("SELECT 1") }
  }

  @Test("A time limit stops a statement, also one that the virtual machine cannot stop, and can be lifted")
  func timeLimit() throws {
    let connection = try DatabaseConnection(path: folder.path("new.db"), access: .scratch)
    let endless = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c"
    connection.limitTime(milliseconds: 10)
    #expect(errorKind { _ = try connection.integer(endless) } == .interrupted)
    #expect(errorKind { _ = try connection.integer(endless) } == .interrupted)
    connection.limitTime(milliseconds: nil)
    #expect(try connection.integer("SELECT max(n) FROM (\(DatabaseFixture.numbers(20_000)))") == 20_000)
  }

  @Test("A private file is read without touching its folder")
  func readOnly() throws {
    let path = folder.path("image.db")
    try DatabaseFixture(journalMode: "wal").create(at: path).close()
    let before = try FolderDigest.of(folder.path, times: true)
    let connection = try DatabaseConnection(path: path, access: .readOnly)
    #expect(connection.isImmutable)
    #expect(try connection.integer("SELECT count(*) FROM item") == 60)
    #expect(errorKind { try connection.execute("DELETE FROM item") } == .permission)
    #expect(before.differences(to: try FolderDigest.of(folder.path, times: true)) == [])
  }
}

/// Gives up root's rights, so that permissions have an effect; for exit tests only.
func becomeNobody() {
  guard geteuid() == 0 else { return }
  setgroups(0, nil)
  guard setegid(65534) == 0, seteuid(65534) == 0 else { exit(1) }
}

/// Takes back the rights that ``becomeNobody()`` gave up.
func becomeSomebody() {
  guard getuid() == 0 else { return }
  seteuid(0)
  setegid(0)
}
