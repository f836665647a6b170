import CSQLite
import Glibc
import SQLitePages
import Testing
import TestSupport

@Suite("Restoring into a live database", .ownThread)
struct LiveInstallTests {
  let folder: TemporaryFolder
  let path: String
  let image: String

  init() throws {
    folder = try TemporaryFolder()
    path = folder.path("app.db")
    image = folder.path("image.db")
  }

  /// A private image with 25 rows, its journal-version bytes those of the target.
  private func makeImage(_ fixture: DatabaseFixture = DatabaseFixture(rows: 25), for mode: String) throws {
    try fixture.create(at: image).close()
    let bytes = mode == "wal" ? [2, 2] as [UInt8] : [1, 1]
    let file = open(image, O_RDWR)
    defer { close(file) }
    #expect(pwrite(file, bytes, 2, 18) == 2)
  }

  @Test(
    "Open applications see the new content without reopening", arguments: ["wal", "delete", "truncate", "persist"],
    [512, 4096, 65_536])
  func openApplications(mode: String, pageSize: Int) throws {
    let writer = try DatabaseFixture(pageSize: pageSize, journalMode: mode).create(at: path)
    try writer.run("UPDATE item SET name = 'old'")
    let reader = try DatabaseApplication(path)
    #expect(try reader.value("SELECT count(*) FROM item") == "60")
    try makeImage(DatabaseFixture(pageSize: pageSize, rows: 25), for: mode)
    let inode = FileFacts(path: path)?.identity
    let before = try FolderDigest.of(image, times: true)
    var last = (0, 0)
    _ = try LiveInstall.run(image: image, into: path, busyTimeout: 1000, progress: { last = ($0, $1) })
    #expect(last.0 == last.1 && last.1 > 0)
    #expect(FileFacts(path: path)?.identity == inode)
    #expect(before.differences(to: try FolderDigest.of(image, times: true)) == [])
    #expect(try LiveInstall.firstDifference(image: image, live: path) == nil)
    for application in [writer, reader] {
      #expect(try application.value("SELECT count(*) FROM item") == "25")
      #expect(
        try application.value("PRAGMA journal_mode") == (application === writer || mode == "wal" ? mode : "delete"))
    }
    for application in [writer, reader] { try application.run("INSERT INTO item (name) VALUES ('after')") }
    #expect(try reader.value("SELECT count(*) FROM item") == "27")
    #expect(try reader.value("PRAGMA integrity_check") == "ok")
  }

  @Test("A reader in WAL mode keeps its state until its transaction ends")
  func openReader() throws {
    let reader = try DatabaseFixture(journalMode: "wal").create(at: path)
    try reader.run("BEGIN")
    #expect(try reader.value("SELECT count(*) FROM item") == "60")
    try makeImage(for: "wal")
    _ = try LiveInstall.run(image: image, into: path, busyTimeout: 1000)
    #expect(try reader.value("SELECT count(*) FROM item") == "60")
    try reader.run("COMMIT")
    #expect(try reader.value("SELECT count(*) FROM item") == "25")
  }

  @Test(
    "If a transaction does not end, the restore reports busy and changes nothing",
    arguments: [
      ("wal", "BEGIN IMMEDIATE"), ("wal", "PRAGMA locking_mode = EXCLUSIVE; UPDATE item SET name = 'mine'"),
      ("delete", "BEGIN; SELECT count(*) FROM item"), ("delete", "BEGIN IMMEDIATE"),
      ("truncate", "BEGIN EXCLUSIVE"),
    ])
  func busy(mode: String, transaction: String) throws {
    let application = try DatabaseFixture(journalMode: mode).create(at: path)
    try makeImage(for: mode)
    try application.run(transaction)
    let before = try FolderDigest.of(path, times: true)
    let kind = errorKind { _ = try LiveInstall.run(image: image, into: path, busyTimeout: 60) }
    #expect(kind == .busy)
    #expect(before.differences(to: try FolderDigest.of(path, times: true)) == [])
    _ = application.attempt("COMMIT")
    #expect(try application.value("SELECT count(*) FROM item") == "60")
    try application.run("INSERT INTO item (name) VALUES ('after')")
  }

  @Test("A transaction that ends in time is waited for")
  func waits() async throws {
    let application = try DatabaseFixture(journalMode: "delete").create(at: path)
    application.close()
    try makeImage(for: "delete")
    let holder = try ProcessInBackground(
      "python3",
      [
        "-c",
        """
        import sqlite3, sys, time
        db = sqlite3.connect(sys.argv[1], isolation_level=None)
        db.execute("BEGIN")
        db.execute("SELECT count(*) FROM item").fetchall()
        print("held", flush=True)
        time.sleep(0.3)
        db.execute("COMMIT")
        """, path,
      ])
    try holder.waitForLine("held")
    _ = try LiveInstall.run(image: image, into: path, busyTimeout: 20_000)
    #expect(try DatabaseApplication(path).value("SELECT count(*) FROM item") == "25")
  }

  /// Hazards e11 and e13: SQLite would accept some of these, and the applications would fail or change their mode.
  @Test(
    "If page size, encoding or journal mode differs, the image is refused and nothing changes",
    arguments: [
      (DatabaseFixture(pageSize: 8192), "wal", "wal"), (DatabaseFixture(pageSize: 8192), "delete", "delete"),
      (DatabaseFixture(encoding: "UTF-16le"), "wal", "wal"),
      (DatabaseFixture(encoding: "UTF-16be"), "delete", "delete"),
      (DatabaseFixture(), "wal", "delete"), (DatabaseFixture(), "delete", "wal"),
    ])
  func mismatch(fixture: DatabaseFixture, imageMode: String, targetMode: String) throws {
    let application = try DatabaseFixture(journalMode: targetMode).create(at: path)
    try makeImage(fixture, for: imageMode)
    let before = try FolderDigest.of(path, times: true)
    let error = #expect(throws: DatabaseError.self) { try LiveInstall.run(image: image, into: path, busyTimeout: 100) }
    #expect(error?.kind == .other && error?.message.contains(path) == true, "\(error?.message ?? "")")
    #expect(before.differences(to: try FolderDigest.of(path, times: true)) == [])
    #expect(try application.value("SELECT count(*) FROM item") == "60")
  }

  @Test("The bytes that an image must carry are reported", arguments: ["wal", "delete"])
  func journalVersion(mode: String) throws {
    let application = try DatabaseFixture(journalMode: mode).create(at: path)
    let wanted: (UInt8, UInt8) = mode == "wal" ? (2, 2) : (1, 1)
    #expect(try LiveInstall.journalVersionBytes(of: path) == wanted)
    application.close()
    #expect(try LiveInstall.journalVersionBytes(of: path) == wanted)
  }

  @Test("The first page that differs is found, in the file and in the log", arguments: ["wal", "delete"])
  func difference(mode: String) throws {
    let application = try DatabaseFixture(journalMode: mode, rows: 300).create(at: path)
    try application.backup(to: image)
    #expect(try LiveInstall.firstDifference(image: image, live: path) == nil)
    let file = open(image, O_RDWR)
    for page in [40, 7, 1] {
      var byte: UInt8 = 0
      let offset = off_t((page - 1) * 4096 + 3000)
      #expect(pread(file, &byte, 1, offset) == 1)
      byte ^= 1
      #expect(pwrite(file, &byte, 1, offset) == 1)
      #expect(try LiveInstall.firstDifference(image: image, live: path) == UInt32(page))
    }
    close(file)
    try application.backup(to: folder.path("second.db"))
    try application.run("INSERT INTO item (body) VALUES (zeroblob(100000)); UPDATE item SET id = id WHERE id = 1")
    #expect(try LiveInstall.firstDifference(image: folder.path("second.db"), live: path) != nil)
    #expect(try names(in: folder.path).filter { $0.contains("scratch") } == [])
  }
}
