import CSQLite
import Glibc
@testable import SQLitePages
import Testing
import TestSupport

@Suite("Snapshots", .ownThread)
struct SnapshotTests {
  let folder: TemporaryFolder
  let path: String
  let scratch: String

  init() throws {
    folder = try TemporaryFolder()
    path = folder.path("app.db")
    scratch = folder.path("scratch")
  }

  private func snapshot(hook: ((DatabaseSnapshot.Step) -> Void)? = nil) throws -> DatabaseSnapshot {
    let connection = try DatabaseConnection(path: path, access: .observer)
    return try DatabaseSnapshot(connection, scratchPath: scratch, hook: hook)
  }

  @Test("An empty file is a database of no pages")
  func empty() throws {
    try folder.write("app.db", [])
    let snapshot = try snapshot()
    #expect(snapshot.geometry.pageCount == 0)
    #expect(snapshot.geometry.imageSize == 0)
    #expect(try snapshot.image() == [])
    #expect(errorKind { try readPages(snapshot, 1, 1) } == .other)
  }

  /// Hazard e1: after a cleanly closed WAL database is opened, the wal-index says 0 pages of size 0.
  @Test("A cleanly closed WAL database is read whole, whatever the empty wal-index reports")
  func emptyHeader() throws {
    let application = try DatabaseFixture(journalMode: "wal").create(at: path)
    let image = try application.image()
    application.close()
    let snapshot = try snapshot()
    #expect(snapshot.position.wal?.maxFrame == 0)
    #expect(image.count > 4096)
    #expect(firstDifference(try snapshot.image(), image, pageSize: 4096) == nil)
  }

  @Test("The state stays the same while an application writes, checkpoints and shrinks")
  func isolation() throws {
    let application = try DatabaseFixture(journalMode: "wal", rows: 300).create(at: path)
    try application.run("UPDATE item SET name = 'before'")
    let image = try application.image()
    let snapshot = try snapshot()
    for round in 0..<5 {
      try application.run("UPDATE item SET name = 'after \(round)', body = randomblob(2000)")
      try application.run("PRAGMA wal_checkpoint(PASSIVE)")
    }
    try application.run("DELETE FROM item; VACUUM; PRAGMA wal_checkpoint(PASSIVE)")
    #expect(firstDifference(try snapshot.image(), image, pageSize: 4096) == nil)
    #expect(try snapshot.connection.integer("SELECT count(*) FROM item WHERE name = 'before'") == 300)
    snapshot.end()
    #expect(
      firstDifference(try snapshotImage(of: path, scratch: scratch), try application.image(), pageSize: 4096) == nil)
  }

  /// Hazard e5. If the log is wholly in the database file, the transaction holds read lock 0, which
  /// lets a writer start the log anew. If that happens between the two reads of the wal-index, the
  /// state must not be made of new frames.
  @Test(
    "A log that starts anew while the snapshot begins does not mix states",
    arguments: [DatabaseSnapshot.Step.headerRead, .begun, .backfillRead])
  func restartInBetween(step: DatabaseSnapshot.Step) throws {
    let application = try DatabaseFixture(journalMode: "wal", rows: 300).create(at: path)
    try application.run("PRAGMA wal_checkpoint")
    var restarts = 0
    let snapshot = try snapshot { now in
      guard now == step, restarts == 0 else { return }
      restarts += 1
      // Some pages of the new state, so that a mixture of both would be detected.
      #expect(application.attempt("UPDATE item SET name = 'new', body = randomblob(2900) WHERE id < 100") == SQLITE_OK)
    }
    #expect(restarts == 1)
    #expect(firstDifference(try snapshot.image(), try snapshot.connection.image(), pageSize: 4096) == nil)
    #expect(try snapshot.connection.integer("SELECT count(*) FROM item WHERE name = 'new'") == 99)
  }

  /// The transaction may hold read lock 0 here, which does not stop a writer from starting the log anew.
  @Test("A log that starts anew under a snapshot of a checkpointed state does not mix states")
  func restartUnderSnapshot() throws {
    let application = try DatabaseFixture(journalMode: "wal", rows: 300).create(at: path)
    try application.run("PRAGMA wal_checkpoint")
    let image = try application.image()
    let snapshot = try snapshot()
    #expect(try #require(snapshot.position.wal?.maxFrame) > 0)
    let salts = snapshot.position.wal?.salts
    try application.run("UPDATE item SET name = 'new', body = randomblob(2900)")
    #expect(firstDifference(try snapshot.image(), image, pageSize: 4096) == nil)
    snapshot.end()
    let later = try self.snapshot()
    #expect(later.position.wal?.salts != salts)
    #expect(firstDifference(try later.image(), try application.image(), pageSize: 4096) == nil)
  }

  @Test("If a database never rests, the snapshot gives up in time and the connection stays usable")
  func unstable() throws {
    let application = try DatabaseFixture(journalMode: "wal").create(at: path)
    let connection = try DatabaseConnection(path: path, access: .observer)
    let kind = errorKind {
      _ = try DatabaseSnapshot(connection, scratchPath: scratch, patience: 30) { step in
        if step == .begun { _ = application.attempt("UPDATE item SET name = name || 'x' WHERE id = 1") }
      }
    }
    #expect(kind == .unstable)
    #expect(throws: Never.self) { try DatabaseSnapshot(connection, scratchPath: scratch).end() }
  }

  @Test("A database may change its journal mode between two snapshots of one connection")
  func modeChange() throws {
    let application = try DatabaseFixture(journalMode: "delete").create(at: path)
    let connection = try DatabaseConnection(path: path, access: .observer)
    let first = try DatabaseSnapshot(connection, scratchPath: scratch)
    #expect(first.position.wal == nil)
    first.end()
    try application.run("PRAGMA journal_mode = wal; UPDATE item SET name = 'wal'")
    let second = try DatabaseSnapshot(connection, scratchPath: scratch)
    #expect(second.position.wal != nil)
    #expect(firstDifference(try second.image(), try application.image(), pageSize: 4096) == nil)
  }

  @Test("With a rollback journal a writer waits for the snapshot and no longer")
  func blocksWriters() throws {
    let application = try DatabaseFixture().create(at: path)
    let snapshot = try snapshot()
    #expect(snapshot.blocksWriters)
    try application.run("PRAGMA busy_timeout = 0")
    #expect(application.attempt("UPDATE item SET name = 'x'") == SQLITE_BUSY)
    snapshot.end()
    #expect(application.attempt("UPDATE item SET name = 'x'") == SQLITE_OK)
  }

  @Test("A snapshot reads pages only while it holds its state, and only its own pages")
  func misuse() throws {
    let application = try DatabaseFixture(journalMode: "wal").create(at: path)
    let snapshot = try snapshot()
    let count = snapshot.geometry.pageCount
    #expect(errorKind { try readPages(snapshot, 0, 1) } == .other)
    #expect(errorKind { try readPages(snapshot, count, 2) } == .other)
    #expect(errorKind { try readPages(snapshot, .max, .max) } == .other)
    #expect(errorKind { try readPages(snapshot, 1, 0) } == nil)
    try snapshot.connection.execute("COMMIT")
    #expect(errorKind { try readPages(snapshot, 1, 1) } == .other)
    snapshot.connection.close()
    #expect(errorKind { try readPages(snapshot, 1, 1) } == .other)
    snapshot.end()
    snapshot.end()
    application.close()
  }

  @Test("Several threads read one snapshot while its rows are counted")
  func threads() async throws {
    let application = try DatabaseFixture(journalMode: "wal", rows: 400).create(at: path)
    try application.run("PRAGMA wal_checkpoint; UPDATE item SET body = randomblob(1500) WHERE id % 3 = 0")
    let image = try application.image()
    let snapshot = try snapshot()
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for pagesAtOnce in [1, 3, 16, 50] {
        group.addTask { firstDifference(try snapshot.image(pagesAtOnce: pagesAtOnce), image, pageSize: 4096) == nil }
      }
      for _ in 0..<20 { #expect(try snapshot.connection.integer("SELECT count(*) FROM item") == 400) }
      for try await isSame in group { #expect(isSame) }
    }
  }

  @Test("A log of many blocks of the wal-index is read whole")
  func longLog() throws {
    let application = try DatabaseApplication(
      path,
      """
      PRAGMA page_size = 512; PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = OFF;
      CREATE TABLE t (id INTEGER PRIMARY KEY, v);
      INSERT INTO t SELECT n, randomblob(300) FROM (\(DatabaseFixture.numbers(6000)));
      UPDATE t SET v = randomblob(290) WHERE id % 2 = 0;
      UPDATE t SET v = randomblob(280) WHERE id % 5 = 0;
      """)
    let snapshot = try snapshot()
    #expect(try #require(snapshot.position.wal?.maxFrame) > 2 * 4096)
    #expect(firstDifference(try snapshot.image(pagesAtOnce: 100), try application.image(), pageSize: 512) == nil)
  }

  /// The lock page contains no data, so its bytes must not be read: the file is given some.
  @Test("The lock page at 1 GiB is read as zeros", arguments: ["wal", "delete"], [65_536, 4096])
  func lockPage(journalMode: String, pageSize: Int) throws {
    let lockPage = 1_073_741_824 / pageSize + 1
    // Without free pages, so that the new row is stored at the end.
    let small = try DatabaseFixture(pageSize: pageSize, journalMode: journalMode).create(at: path)
    try small.run("VACUUM")
    small.close()
    try extend(toPage: lockPage - 3, pageSize: pageSize)
    let application = try DatabaseApplication(path, "PRAGMA synchronous = OFF; PRAGMA cache_size = 10")
    try application.run("INSERT INTO item VALUES (999, 'end', randomblob(\(8 * pageSize)))")
    try application.run("PRAGMA wal_checkpoint; UPDATE item SET name = 'End' WHERE id = 999")
    let before = try application.value("SELECT sum(length(body)) FROM item")

    let snapshot = try snapshot()
    #expect(Int(snapshot.geometry.lockPage) == lockPage)
    let first = UInt32(lockPage - 2)
    let count = Int(snapshot.geometry.pageCount) - lockPage + 3
    try #require(count > 8)
    let together = try readPages(snapshot, first, count)
    #expect(together[2 * pageSize..<3 * pageSize].allSatisfy { $0 == 0 })
    for page in 0..<count where page != 2 {
      let alone = try readPages(snapshot, first + UInt32(page), 1)
      #expect(alone.contains { $0 != 0 } && alone[...] == together[page * pageSize..<(page + 1) * pageSize])
    }
    #expect(try readPages(snapshot, UInt32(lockPage), 1).allSatisfy { $0 == 0 })
    #expect(try snapshot.connection.text("SELECT sum(length(body)) FROM item") == before)
  }

  /// Makes a closed database larger without writing: a hole, a new size in the header, and garbage on the lock page.
  private func extend(toPage page: Int, pageSize: Int) throws {
    let file = open(path, O_RDWR)
    defer { close(file) }
    let pages = UInt32(page).bigEndian
    _ = withUnsafeBytes(of: pages) { pwrite(file, $0.baseAddress, 4, 28) }
    ftruncate(file, off_t(page) * off_t(pageSize))
    let garbage = [UInt8](repeating: 0xEE, count: 512)
    #expect(pwrite(file, garbage, garbage.count, 1_073_741_824) == 512)
  }

  @discardableResult
  private func readPages(_ snapshot: DatabaseSnapshot, _ first: UInt32, _ count: Int) throws -> [UInt8] {
    let size = count < 1000 ? count * snapshot.geometry.pageSize : 4096
    var bytes = [UInt8](repeating: 0xAA, count: size)
    try bytes.withUnsafeMutableBytes { try snapshot.read(first: first, count: count, into: $0) }
    return bytes
  }
}

extension DatabaseConnection {
  /// The whole database as SQLite's pager sees it in the open transaction.
  func image() throws -> [UInt8] {
    var size: sqlite3_int64 = 0
    guard let bytes = sqlite3_serialize(handle, "main", &size, 0) else { return [] }
    defer { sqlite3_free(bytes) }
    return Array(UnsafeBufferPointer(start: bytes, count: Int(size)))
  }
}
