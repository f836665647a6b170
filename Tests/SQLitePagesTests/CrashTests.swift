import Glibc
import SQLitePages
import Testing
import TestSupport

@Suite("After an application was killed", .ownThread)
struct CrashTests {
  let folder: TemporaryFolder
  let path: String

  init() throws {
    folder = try TemporaryFolder()
    path = folder.path("app.db")
  }

  /// Runs statements in a process that then kills itself, inside any transaction that they left
  /// open.
  private func crash(_ statements: String...) throws {
    let script = """
      import os, signal, sqlite3, sys
      db = sqlite3.connect(sys.argv[1], isolation_level=None)
      for statement in sys.argv[2:]:
          db.execute(statement).fetchall()
      os.kill(os.getpid(), signal.SIGKILL)
      """
    #expect(try Python.run(script: script, arguments: [path] + statements).status == 128 + SIGKILL)
  }

  @Test("A left-over log is part of the database")
  func leftOverLog() throws {
    try DatabaseFixture(journalMode: "wal").create(at: path).close()
    try crash("PRAGMA wal_autocheckpoint=0", "UPDATE item SET name='committed'", "BEGIN", "UPDATE item SET name='lost'")
    let before = try [path, path + "-wal"].map { try FolderDigest.of($0, times: true) }
    let connection = try DatabaseConnection(path: path, access: .observer)
    let snapshot = try DatabaseSnapshot(connection, scratchPath: folder.path("scratch"))
    #expect(try #require(snapshot.position.wal?.maxFrame) > 0)
    #expect(try snapshot.connection.integer("SELECT count(*) FROM item WHERE name = 'committed'") == 60)
    let image = try snapshot.image()
    snapshot.end()
    connection.close()
    #expect(try [path, path + "-wal"].map { try FolderDigest.of($0, times: true) } == before)
    #expect(firstDifference(image, try DatabaseApplication(path).image(), pageSize: 4096) == nil)
  }

  @Test("A log without its wal-index is recovered")
  func logAlone() throws {
    try DatabaseFixture(journalMode: "wal").create(at: path).close()
    try crash("PRAGMA wal_autocheckpoint=0", "UPDATE item SET name='committed'")
    unlink(path + "-shm")
    let image = try snapshotImage(of: path, scratch: folder.path("scratch"))
    #expect(try names(in: folder.path).contains("app.db-wal"))
    let application = try DatabaseApplication(path)
    #expect(try application.value("SELECT count(*) FROM item WHERE name = 'committed'") == "60")
    #expect(firstDifference(image, try application.image(), pageSize: 4096) == nil)
  }

  @Test("A hot journal is rolled back, as by any other opening", arguments: ["delete", "truncate", "persist"])
  func hotJournal(mode: String) throws {
    let application = try DatabaseFixture(rows: 400).create(at: path)
    // Without free pages, because their content is not journalled.
    try application.run("VACUUM")
    let image = try application.image()
    application.close()
    // A cache of one page spills changed pages into the database file, after writing them to the
    // journal.
    try crash(
      "PRAGMA journal_mode=\(mode)", "PRAGMA cache_size=1", "BEGIN", "UPDATE item SET body=randomblob(1500)")
    #expect(try names(in: folder.path).contains("app.db-journal"))
    #expect(firstDifference(try #require(try folder.read("app.db")), image, pageSize: 4096) != nil)
    let snapshot = try snapshotImage(of: path, scratch: folder.path("scratch"))
    #expect(firstDifference(snapshot, image, pageSize: 4096) == nil)
  }
}
