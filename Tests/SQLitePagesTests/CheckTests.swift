import CSQLite
import Glibc
import SQLitePages
import Testing
import TestSupport

@Suite("Checks of a private file", .ownThread)
struct CheckTests {
  let folder: TemporaryFolder
  let path: String

  init() throws {
    folder = try TemporaryFolder()
    path = folder.path("image.db")
  }

  /// Creates the file in Python, which can define the collations and functions that are unknown here.
  private func create(_ sql: String) throws {
    let script = """
      import sqlite3, sys
      db = sqlite3.connect(sys.argv[1], isolation_level=None)
      db.create_collation("theirs", lambda a, b: (a > b) - (a < b))
      db.create_function("twice", 1, lambda a: a * 2, deterministic=True)
      db.executescript(sys.argv[2])
      """
    let result = try Python.run(script: script, arguments: [path, sql])
    #expect(result.status == 0, "\(result.stderr)")
  }

  @Test("A sound database passes every check", arguments: IntegrityCheck.Kind.allCases)
  func sound(kind: IntegrityCheck.Kind) throws {
    try DatabaseFixture().create(at: path).close()
    #expect(try IntegrityCheck.run(kind, path: path) == .passed)
  }

  @Test("Corrupt pages are found and named")
  func corruptPage() throws {
    try DatabaseFixture(rows: 300).create(at: path).close()
    let file = open(path, O_RDWR)
    let garbage = [UInt8](repeating: 0x5A, count: 4096)
    for page in 5..<20 { #expect(pwrite(file, garbage, 4096, off_t(page * 4096)) == 4096) }
    close(file)
    for kind in [IntegrityCheck.Kind.full, .quick] {
      guard case .failed(let messages) = try IntegrityCheck.run(kind, path: path) else {
        Issue.record("\(kind) did not fail")
        continue
      }
      #expect((1...10).contains(messages.count))
    }
  }

  @Test("A violated CHECK or NOT NULL is found, and nothing is written", arguments: ["delete", "wal"])
  func violatedConstraints(mode: String) throws {
    try DatabaseFixture(journalMode: mode).create(at: path).close()
    try DatabaseApplication(
      path,
      """
      CREATE TABLE t (a INTEGER CHECK (a > 0), b); PRAGMA ignore_check_constraints = ON;
      INSERT INTO t VALUES (1, 1), (-1, 2), (2, NULL); PRAGMA writable_schema = ON;
      UPDATE sqlite_schema SET sql = replace(sql, ', b)', ', b NOT NULL)') WHERE name = 't';
      """
    ).close()
    #expect(try names(in: folder.path) == ["image.db"])
    let before = try FolderDigest.of(folder.path, times: true)
    for kind in [IntegrityCheck.Kind.full, .quick] {
      let outcome = try IntegrityCheck.run(kind, path: path)
      #expect(outcome == .failed(["CHECK constraint failed in t", "NULL value in t.b"]))
    }
    #expect(before.differences(to: try FolderDigest.of(folder.path, times: true)) == [])
  }

  @Test("A violated CHECK is found in a file that has no name any more")
  func unlinked() throws {
    try create(
      "CREATE TABLE t (a CHECK (a > 0)); PRAGMA ignore_check_constraints = ON; INSERT INTO t VALUES (-1)")
    let connection = try DatabaseConnection(path: path, access: .readOnly)
    defer { connection.close() }
    #expect(unlink(path) == 0)
    #expect(try IntegrityCheck.run(.full, on: connection) == .failed(["CHECK constraint failed in t"]))
    #expect(try connection.rows("SELECT name FROM pragma_database_list").count == 1)
  }

  @Test("A CHECK that needs the application's function is left out, and the rest is checked")
  func checkWithFunction() throws {
    try create("CREATE TABLE t (a INTEGER CHECK (twice(a) > 0), b NOT NULL); INSERT INTO t VALUES (1, 1)")
    #expect(try IntegrityCheck.run(.full, path: path) == .passed)
    try create(
      """
      CREATE TABLE u (a); INSERT INTO u VALUES (NULL); PRAGMA writable_schema = ON;
      UPDATE sqlite_schema SET sql = 'CREATE TABLE u (a NOT NULL)' WHERE name = 'u';
      """)
    #expect(try IntegrityCheck.run(.full, path: path) == .failed(["NULL value in u.a"]))
  }

  /// New syntax and a damaged text look the same to the parser, but not these.
  @Test(
    "A schema whose entries contradict each other is damaged, not new",
    arguments: [
      ("DELETE FROM sqlite_schema WHERE name = 't'", true),
      ("UPDATE sqlite_schema SET sql = 'CREATE TABLE t (a,' WHERE name = 't'", true),
      ("UPDATE sqlite_schema SET sql = 'CREATE TABLE t (a, a)' WHERE name = 't'", true),
      ("UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON t (z)' WHERE name = 'i'", true),
      ("UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON t (a) BEYOND' WHERE name = 'i'", false),
      ("UPDATE sqlite_schema SET sql = 'CREATE TABLE t (a) BEYOND' WHERE name = 't'", false),
    ])
  func damagedSchema(statement: String, isDamage: Bool) throws {
    try create("CREATE TABLE t (a); CREATE INDEX i ON t (a); PRAGMA writable_schema = ON; \(statement)")
    switch try IntegrityCheck.run(.full, path: path) {
    case .failed: #expect(isDamage)
    case .skipped(let needs):
      #expect(!isDamage && needs.hasPrefix("a newer SQLite, or a repair of the schema"), "\(needs)")
    case let other: Issue.record("\(other)")
    }
  }

  @Test("A full-text index that disagrees is derived data and hides no other finding")
  func derivedData() {
    // In the words of SQLite 3.44 and later; earlier versions do not ask the module.
    let index = "malformed inverted index for FTS5 table main.notes"
    #expect(IntegrityCheck.judge([]) == .passed)
    #expect(IntegrityCheck.judge([index]) == .derivedDataDiffers([index]))
    let messages = [String](repeating: index, count: 12) + ["NULL value in t.a"]
    #expect(IntegrityCheck.judge(messages) == .failed(["NULL value in t.a"]))
  }

  @Test("A file that is not a database fails, and a missing file throws")
  func noDatabase() throws {
    try folder.write("image.db", [UInt8](repeating: 1, count: 5000))
    guard case .failed = try IntegrityCheck.run(.full, path: path) else {
      Issue.record("garbage did not fail")
      return
    }
    #expect(errorKind { _ = try IntegrityCheck.run(.full, path: folder.path("none")) } == .missing)
  }

  @Test("A check is skipped, not failed, if it needs something that only the application has")
  func missingExtensions() throws {
    try create(
      """
      CREATE TABLE a (x TEXT COLLATE theirs); CREATE INDEX ax ON a (x); INSERT INTO a VALUES ('b'), ('a');
      CREATE TABLE b (x INTEGER); CREATE INDEX bx ON b (twice(x)); INSERT INTO b VALUES (1), (2);
      """)
    guard case .skipped(let needs) = try IntegrityCheck.run(.full, path: path) else {
      Issue.record("not skipped")
      return
    }
    #expect(needs.contains("theirs") || needs.contains("twice"), "\(needs)")
    try DatabaseApplication(path, "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE tbl_name = 'a'").close()
    #expect(try IntegrityCheck.run(.full, path: path) == .skipped(needs: "unknown function: twice()"))
  }

  @Test("Rows with dangling references are named, ten at most")
  func foreignKeys() throws {
    try create(
      """
      CREATE TABLE parent (id INTEGER PRIMARY KEY); CREATE TABLE child (id INTEGER PRIMARY KEY, p REFERENCES parent);
      INSERT INTO child SELECT n, n FROM (\(DatabaseFixture.numbers(30)));
      """)
    guard case .failed(let messages) = try IntegrityCheck.run(.foreignKeys, path: path) else {
      Issue.record("not failed")
      return
    }
    #expect(messages.count == 10)
    #expect(messages.first == "row 1 of child refers to a missing row of parent")
    #expect(try IntegrityCheck.run(.full, path: path) == .passed)
  }

  @Test("A time limit interrupts a check instead of failing it")
  func interrupted() throws {
    try DatabaseFixture(rows: 2000).create(at: path).close()
    let connection = try DatabaseConnection(path: path, access: .readOnly)
    connection.limitTime(milliseconds: 0)
    #expect(errorKind { _ = try IntegrityCheck.run(.full, on: connection) } == .interrupted)
    connection.limitTime(milliseconds: nil)
    #expect(try IntegrityCheck.run(.full, on: connection) == .passed)
  }

  static let migrations: [(String, String)] = [
    (
      "CREATE TABLE alembic_version (version_num VARCHAR(32)); INSERT INTO alembic_version VALUES ('ae1027a6acf')",
      "ae1027a6acf"
    ),
    (
      """
      CREATE TABLE django_migrations (id INTEGER PRIMARY KEY, app TEXT, name TEXT, applied TEXT);
      INSERT INTO django_migrations VALUES (1, 'auth', '0001_initial', ''), (2, 'shop', '0007_price', '')
      """, "shop.0007_price"
    ),
    (
      "CREATE TABLE schema_migrations (version TEXT PRIMARY KEY); INSERT INTO schema_migrations VALUES "
        + "('20240102030405'), ('20230102030405')", "20240102030405"
    ),
    (
      "CREATE TABLE schema_migrations (version INTEGER, dirty INTEGER); INSERT INTO schema_migrations VALUES (12, 0)",
      "12"
    ),
    (
      """
      CREATE TABLE flyway_schema_history (installed_rank INT PRIMARY KEY, version TEXT);
      INSERT INTO flyway_schema_history VALUES (1, '1'), (10, '2.1'), (11, NULL)
      """, "2.1"
    ),
    (
      """
      CREATE TABLE "__EFMigrationsHistory" ("MigrationId" TEXT PRIMARY KEY, "ProductVersion" TEXT);
      INSERT INTO "__EFMigrationsHistory" VALUES ('20240101_B', '8'), ('20230101_A', '7')
      """, "20240101_B"
    ),
    (
      "CREATE TABLE grdb_migrations (identifier TEXT NOT NULL PRIMARY KEY); INSERT INTO grdb_migrations VALUES "
        + "('v2'), ('v1-late')", "v1-late"
    ),
    (
      "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT); INSERT INTO _sqlx_migrations "
        + "VALUES (9, 'a'), (10, 'b')", "10"
    ),
    (
      "CREATE TABLE knex_migrations (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO knex_migrations VALUES "
        + "(1, 'z.js'), (2, 'a.js')", "a.js"
    ),
    ("PRAGMA user_version = 42", "42"),
    ("SELECT 1", "0"),
    // Odd columns, empty tables and look-alikes are passed over.
    ("CREATE TABLE alembic_version (other); PRAGMA user_version = 3", "3"),
    ("CREATE TABLE alembic_version (version_num); PRAGMA user_version = 4", "4"),
    (
      "CREATE TABLE knex_migrations (id, name); INSERT INTO knex_migrations VALUES (1, x'ff'); PRAGMA user_version = 5",
      "5"
    ),
    (
      "CREATE VIEW alembic_version AS WITH RECURSIVE c(version_num) AS (SELECT 1 UNION ALL SELECT version_num + 1 FROM "
        + "c) SELECT max(version_num) AS version_num FROM c; PRAGMA user_version = 6", "6"
    ),
    (
      "CREATE TABLE alembic_version (version_num); INSERT INTO alembic_version VALUES (hex(zeroblob(5000)))",
      String(repeating: "0", count: 200)
    ),
  ]

  @Test("The version is that of the migration tool, or user_version if there is no tool", arguments: migrations)
  func schemaVersion(sql: String, version: String) throws {
    try create(sql)
    let connection = try DatabaseConnection(path: path, access: .readOnly)
    #expect(try connection.schemaVersion() == version)
  }
}
