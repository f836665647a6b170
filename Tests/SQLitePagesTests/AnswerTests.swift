import SQLitePages
import TestSupport
import Testing

@Suite("An assertion's query", .ownThread)
struct AnswerTests {
  private func bed() throws -> (folder: TemporaryFolder, connection: ConfinedConnection) {
    let folder = try TemporaryFolder()
    let path = folder.path("app.db")
    let writer = try DatabaseConnection(path: path, access: .scratch)
    try writer.execute(
      """
      CREATE TABLE t(a, b); INSERT INTO t VALUES (1, 'one'), (2.5, NULL), (x'6162', 1e100), (1.0/3, -7);
      CREATE VIRTUAL TABLE f USING fts5(x); INSERT INTO f VALUES ('the quick fox');
      CREATE VIRTUAL TABLE r USING rtree(id, minX, maxX); INSERT INTO r VALUES (1, 2, 3);
      """)
    writer.close()
    return (folder, try ConfinedConnection(DatabaseConnection(path: path, access: .readOnly)))
  }

  private func answer(_ sql: String, _ connection: ConfinedConnection, within: Int = 10000) throws -> String {
    try connection.answer(sql, within: within)
  }

  @Test(
    "An answer reads as sqlite3 prints it",
    arguments: [
      "SELECT a, b FROM t", "SELECT count(*) FROM t", "SELECT 1 WHERE 0", "SELECT NULL", "SELECT 0.1 + 0.2, 1e15, 1e-7",
      "SELECT ''; -- and no more", "PRAGMA table_info(t)", "PRAGMA user_version",
      "SELECT x FROM f WHERE f MATCH 'quick'",
      "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 4) SELECT i FROM n",
      "SELECT name FROM pragma_table_info('t')", "PRAGMA integrity_check", "SELECT minX FROM r WHERE minX > 0",
    ])
  func text(sql: String) throws {
    let (folder, connection) = try bed()
    defer { connection.close() }
    let printed = try Shell.run("sqlite3", [folder.path("app.db"), sql])
    #expect(try answer(sql, connection) + "\n" == (printed.stdout.isEmpty ? "\n" : printed.stdout))
  }

  @Test(
    "A query can only read this file",
    arguments: [
      "INSERT INTO t VALUES (1, 2)", "DELETE FROM t", "DROP TABLE t", "CREATE TABLE u(a)", "CREATE TEMP TABLE u(a)",
      "ATTACH 'other.db' AS other", "DETACH main", "VACUUM", "VACUUM INTO 'other.db'", "BEGIN", "COMMIT", "SAVEPOINT s",
      "PRAGMA user_version = 3", "PRAGMA writable_schema = ON", "PRAGMA query_only = 0", "PRAGMA journal_mode = delete",
      "PRAGMA temp_store_directory = '/tmp'", "PRAGMA wal_checkpoint", "PRAGMA trusted_schema = 1", "REINDEX",
      "ANALYZE",
      "SELECT load_extension('x')", "SELECT readfile('/etc/passwd')", "SELECT writefile('x', 'y')",
      "SELECT fts3_tokenizer('simple')", "SELECT edit('x')", "EXPLAIN SELECT 1; DELETE FROM t", "SELECT 1; SELECT 2",
      "", "-- nothing", "SELECT 1; ATTACH 'x' AS y", "INSERT INTO f(f) VALUES ('rebuild')",
      "UPDATE sqlite_master SET sql = ''", "INSERT INTO sqlite_master(name) VALUES ('x')",
    ])
  func refused(sql: String) throws {
    let (folder, connection) = try bed()
    defer { connection.close() }
    let before = try folder.read("app.db")
    #expect(throws: StatementError.self, "\(sql)") { try answer(sql, connection) }
    #expect(try folder.read("app.db") == before && folder.read("other.db") == nil)
    #expect(try answer("SELECT count(*) FROM t", connection) == "4")
  }

  @Test("A query is stopped if it takes too long or answers too much")
  func limits() throws {
    let (_, connection) = try bed()
    defer { connection.close() }
    let endless = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT"
    do {
      _ = try answer("\(endless) count(*) FROM n", connection, within: 50)
      Issue.record("it came to an end")
    } catch let error as StatementError {
      #expect(error.reason == .interrupted)
    }
    do {
      _ = try answer("\(endless) i FROM n", connection)
      Issue.record("it came to an end")
    } catch let error as StatementError {
      #expect(error.message == "its answer is larger than 64 KiB")
    }
    #expect(try answer("SELECT 1", connection) == "1")
  }

  @Test("The connection can still be stopped after an answer")
  func staysStoppable() throws {
    let (_, connection) = try bed()
    defer { connection.close() }
    #expect(try answer("SELECT 1", connection) == "1")
    // Before the statement begins, so that only the flag can stop it.
    connection.interrupt()
    let error = #expect(throws: StatementError.self) {
      try connection.run(
        "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT 100000000) SELECT sum(i) FROM n",
        columns: { _ in }, row: { _ in })
    }
    #expect(error?.reason == .interrupted)
  }
}
