import CSQLite
import Names

/// The reason why this SQLite cannot read a database's schema. The pages can still be read.
package struct SchemaProblem: Hashable, Sendable {
  package enum Kind: Hashable, Sendable {
    /// An object uses syntax that this SQLite does not know; a newer one may know it, or the text of
    /// the object is damaged.
    case notUnderstood
    /// The schema's own pages or entries contradict each other.
    case damaged
  }

  package let kind: Kind
  /// SQLite's message.
  package let words: String

  init(_ error: DatabaseError) {
    words = error.reason
    kind = Self.isOfParser(words) ? .notUnderstood : .damaged
  }

  /// SQLite names the object and then the reason:
  /// `malformed database schema (v) - near "ORDER": syntax error`. These are its own complaints
  /// about entries that contradict each other or are cut off (`prepare.c`, `build.c`); all others
  /// come from its parser.
  private static func isOfParser(_ words: String) -> Bool {
    guard words.hasPrefix("malformed database schema ("), let reason = words.firstRange(of: ") - ") else {
      return false
    }
    return ![
      "rootpage", "orphan index", "already exists", "already another", "object name reserved", "no such table",
      "no such column", "duplicate column name", "incomplete input",
    ].contains { words[reason.upperBound...].contains($0) }
  }
}

extension DatabaseConnection {
  /// Reads the schema, which begins the read transaction of a `BEGIN`.
  ///
  /// If SQLite cannot read the schema, it continues with the objects that it understands, and
  /// ``schemaProblem`` says why: pages need no schema. Nothing may be written through the tables of
  /// such a connection.
  ///
  /// - Throws: ``DatabaseError`` if not even the first page can be read as a database's.
  func readSchema() throws(DatabaseError) {
    do {
      try pastSchema { () throws(DatabaseError) in _ = try rows(.firstRead) }
    } catch {
      // The b-tree of the schema itself is damaged. A header field can still be read, because it
      // needs only the transaction.
      guard error.kind == .corrupt, (try? rows(.userVersion)) != nil else { throw error }
    }
  }

  /// Runs a body that may run twice. If SQLite cannot read the schema, the second run uses the part
  /// of the schema that it understands.
  func pastSchema(_ body: () throws(DatabaseError) -> Void) throws(DatabaseError) {
    do {
      try body()
    } catch {
      guard error.kind == .corrupt, schemaProblem == nil else { throw error }
      // This flag lets SQLite use the objects that it could load. `DEFENSIVE` still keeps the
      // schema of an observer unwritable.
      _ = csqlite_db_config(handle, SQLITE_DBCONFIG_WRITABLE_SCHEMA, 1, nil)
      finalizeStatements()
      schemaProblem = SchemaProblem(error)
      try body()
    }
  }
}

/// The table in which a migration tool keeps the version of the schema.
private struct MigrationTable {
  let table: String
  let query: String
}

/// Each tool's newest entry, by the columns its own sources create.
private let migrationTables = [
  // Alembic
  MigrationTable(table: "alembic_version", query: "SELECT version_num FROM alembic_version LIMIT 1"),
  // Django
  MigrationTable(
    table: "django_migrations", query: "SELECT app || '.' || name FROM django_migrations ORDER BY id DESC LIMIT 1"),
  // Rails (text of one width) and golang-migrate (one row)
  MigrationTable(
    table: "schema_migrations", query: "SELECT version FROM schema_migrations ORDER BY version DESC LIMIT 1"),
  // Flyway; repeatable migrations have no version
  MigrationTable(
    table: "flyway_schema_history",
    query: "SELECT version FROM flyway_schema_history WHERE version IS NOT NULL ORDER BY installed_rank DESC LIMIT 1"),
  // Entity Framework
  MigrationTable(
    table: "__EFMigrationsHistory",
    query: "SELECT MigrationId FROM __EFMigrationsHistory ORDER BY MigrationId DESC LIMIT 1"),
  // GRDB
  MigrationTable(
    table: "grdb_migrations", query: "SELECT identifier FROM grdb_migrations ORDER BY rowid DESC LIMIT 1"),
  // sqlx
  MigrationTable(
    table: "_sqlx_migrations", query: "SELECT version FROM _sqlx_migrations ORDER BY version DESC LIMIT 1"),
  // knex
  MigrationTable(table: "knex_migrations", query: "SELECT name FROM knex_migrations ORDER BY id DESC LIMIT 1"),
]

extension DatabaseConnection {
  /// The migration tool's version of the schema, else `user_version`, as text.
  ///
  /// Safe on schemas of unknown origin: only ordinary tables are queried, a tool counts as absent
  /// if its column is odd or its query takes more than `milliseconds`, and the text is cut at 200
  /// characters.
  package func schemaVersion(within milliseconds: Int = 1000) throws(DatabaseError) -> String {
    let tables = Set(try ordinaryTables())
    let tools = migrationTables.filter { tables.contains(Identifier($0.table)) }
    // A limit costs a thread, and the pragma alone does not need one.
    if !tools.isEmpty { limitTime(milliseconds: milliseconds) }
    defer { limitTime(milliseconds: nil) }
    for tool in tools {
      if let version = try? text(tool.query), !version.isEmpty { return String(version.prefix(200)) }
    }
    return try text(.userVersion) ?? "0"
  }
}
