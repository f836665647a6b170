import Glibc
import TestSupport
import Testing

@testable import SQLitePages

/// SQLite 3.40 (and others) leaves frames without salts and checksums behind a `ROLLBACK TO` in a
/// transaction that did not fit its cache. Connections read them by the wal-index as if they were
/// intact, and a snapshot must do the same. (A crash loses that transaction.)
@Suite(.ownThread) struct UnsealedFrameTests {
  @Test func framesThatSQLiteForgotToSealAreRead() throws {
    let folder = try TemporaryFolder()
    var found = 0
    for attempt in 1...60 where found < 3 {
      let path = folder.path("\(attempt).db")
      let application = try makeDatabase(path, attempt)
      let connection = try DatabaseConnection(path: path, access: .observer)
      let snapshot = try DatabaseSnapshot(connection, scratchPath: folder.path("scratch"))
      guard hasUnsealedFrame(snapshot) else { continue }
      found += 1
      #expect(try snapshot.image() == application.image())
    }
    try #require(found > 0, "this SQLite seals every frame; the test has nothing to show")
  }

  private func makeDatabase(_ path: String, _ attempt: Int) throws -> DatabaseApplication {
    try DatabaseApplication(
      path,
      """
      PRAGMA page_size = 512; PRAGMA journal_mode = wal; PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 0;
      CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB); CREATE INDEX i ON t (v);
      INSERT INTO t SELECT n, randomblob(300) FROM (\(DatabaseFixture.numbers(150)));
      PRAGMA wal_checkpoint(TRUNCATE);
      PRAGMA cache_size = \(10 + attempt % 40);
      BEGIN; SAVEPOINT s; DELETE FROM t WHERE id < \(60 + attempt * 7 % 100); ROLLBACK TO s;
      UPDATE t SET v = zeroblob(9) WHERE id = \(100 + attempt % 50); COMMIT;
      """)
  }

  private func hasUnsealedFrame(_ snapshot: DatabaseSnapshot) -> Bool {
    guard let journal = SQLiteFile.journal(of: snapshot.connection.handle),
      let last = snapshot.position.wal?.maxFrame, last > 0
    else { return false }
    let log = WALFile(file: journal, pageSize: snapshot.geometry.pageSize)
    return (1...last).contains { log.header(of: $0)?.salts == 0 }
  }
}
