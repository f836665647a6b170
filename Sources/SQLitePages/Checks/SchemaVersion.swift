import Names

/// Where a migration tool keeps the version of the schema.
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
  /// Safe on schemas that somebody else wrote: only ordinary tables are asked, an odd column or a time of more than
  /// `milliseconds` makes a tool count as absent, and the text is cut at 200 characters.
  package func schemaVersion(within milliseconds: Int = 1000) throws(DatabaseError) -> String {
    let tables = Set(try ordinaryTables())
    let tools = migrationTables.filter { tables.contains(Identifier($0.table)) }
    // A limit costs a thread, and the pragma alone needs none.
    if !tools.isEmpty { limitTime(milliseconds: milliseconds) }
    defer { limitTime(milliseconds: nil) }
    for tool in tools {
      if let version = try? text(tool.query), !version.isEmpty { return String(version.prefix(200)) }
    }
    return try text(.userVersion) ?? "0"
  }
}
