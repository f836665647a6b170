import CSQLite
import Names

/// Copies tables of one database into another, in one transaction: definition, rows with their
/// rowids, counter of an AUTOINCREMENT, indexes, and triggers last, so that they do not fire.
package struct TableCopy {
  let source: DatabaseConnection
  let target: DatabaseConnection
  /// Called now and then.
  let check: () throws -> Void

  /// - Parameters:
  ///   - source: `.readOnly`.
  ///   - target: `.writer` or `.scratch`.
  package init(from source: DatabaseConnection, into target: DatabaseConnection, check: @escaping () throws -> Void) {
    self.source = source
    self.target = target
    self.check = check
  }

  /// Gives a new, empty target the page size and encoding of the source.
  package func adoptShape() throws {
    let pageSize = try source.integer("PRAGMA page_size") ?? 4096
    let encoding = try source.text("PRAGMA encoding") ?? "UTF-8"
    try target.execute("PRAGMA page_size = \(pageSize); PRAGMA encoding = '\(encoding)'")
  }

  /// Copies the tables. If it throws, the target is unchanged.
  ///
  /// - Parameters:
  ///   - tables: names of ordinary tables.
  ///   - confirm: called inside the transaction before anything is written.
  /// - Returns: rows copied, by table.
  /// - Throws: ``DatabaseError``, and the errors of the closures.
  package func run(_ tables: [Identifier], confirm: () throws -> Void) throws -> [Identifier: Int64] {
    let handle = target.handle
    _ = csqlite_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nil)
    _ = csqlite_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nil)
    // Rows are copied as they are, even those that a present constraint would reject.
    try target.execute("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON; BEGIN IMMEDIATE")
    do {
      try confirm()
      var counts: [Identifier: Int64] = [:]
      for table in tables { counts[table] = try copy(table) }
      try target.execute("COMMIT")
      return counts
    } catch {
      try? target.execute("ROLLBACK")
      throw error
    }
  }

  private func copy(_ table: Identifier) throws -> Int64 {
    let objects = try source.schema().filter { $0.table == table }
    for object in objects where object.type == "table" { try make(object) }
    let count = try copyRows(TableShape(table, in: source))
    try copyCounter(table)
    for object in objects where object.type == "index" { try make(object) }
    for object in objects where object.type == "trigger" { try make(object) }
    return count
  }

  /// Runs the single statement that created an object; further statements that a damaged or forged
  /// schema holds after it are not run.
  private func make(_ object: SchemaObject) throws(DatabaseError) {
    let statement: OpaquePointer?
    do {
      statement = try target.prepare(object.sql)
    } catch {
      throw target.failure(error.resultCode, doing: "create \(object.name) in")
    }
    defer { sqlite3_finalize(statement) }
    let done = sqlite3_step(statement)
    guard done == SQLITE_DONE else { throw target.failure(done, doing: "create \(object.name) in") }
  }

  private func copyRows(_ shape: TableShape) throws -> Int64 {
    // An INTEGER PRIMARY KEY among the columns is the rowid; any other rowid table's is copied under its own name.
    let isColumn = shape.keyIsRowid && shape.key.allSatisfy { shape.columns.contains($0) }
    let names = (isColumn ? [] : shape.rowid.map { [$0] } ?? []) + shape.storedColumns
    let list = names.map { "\($0)" as SQLText }.listed()
    let marks = names.map { _ in "?" as SQLText }.listed()
    let from = try source.prepare("SELECT \(list) FROM main.\(shape.name)")
    defer { sqlite3_finalize(from) }
    let into = try target.prepare("INSERT INTO main.\(shape.name)(\(list)) VALUES (\(marks))")
    defer { sqlite3_finalize(into) }
    var count: Int64 = 0
    while try step(from, source) {
      for column in 0..<Int32(names.count) { sqlite3_bind_value(into, column + 1, sqlite3_column_value(from, column)) }
      _ = try step(into, target)
      sqlite3_reset(into)
      count += 1
      if count.isMultiple(of: 4096) { try check() }
    }
    return count
  }

  private func copyCounter(_ table: Identifier) throws(DatabaseError) {
    let hasCounters: Int64? = try source.integer("SELECT 1 FROM main.sqlite_schema WHERE name = 'sqlite_sequence'")
    guard hasCounters != nil,
      let value = try source.read(
        "SELECT seq FROM main.sqlite_sequence WHERE name = ?", bind: [table],
        {
          $0.integer(0)
        }
      ).first
    else { return }
    func change(_ sql: SQLText) throws(DatabaseError) { _ = try target.read(sql, bind: [table]) { _ in Never?.none } }
    try change("DELETE FROM main.sqlite_sequence WHERE name = ?")
    try change("INSERT INTO main.sqlite_sequence(name, seq) VALUES (?, \(value))")
  }

  private func step(_ statement: OpaquePointer?, _ connection: DatabaseConnection) throws(DatabaseError) -> Bool {
    switch sqlite3_step(statement) {
    case SQLITE_ROW: return true
    case SQLITE_DONE: return false
    case let result: throw connection.failure(result, doing: connection.access == .readOnly ? "read" : "write")
    }
  }
}

/// The facts about a table, beyond its name.
package struct TableFacts: Hashable, Sendable {
  /// It is a shadow table: a module keeps the rows of its virtual table there.
  package var isShadow: Bool
  /// The tables that its foreign keys refer to.
  package var refersTo: [Identifier]
}

extension DatabaseConnection {
  /// - Throws: ``DatabaseError``.
  package func facts(ofTable name: Identifier) throws(DatabaseError) -> TableFacts {
    let kind = try read("SELECT type FROM pragma_table_list(?) WHERE schema = 'main'", bind: [name]) { $0.text(0) }
    return TableFacts(
      isShadow: kind.first == "shadow",
      refersTo: try read(
        "SELECT DISTINCT \"table\" FROM pragma_foreign_key_list(?) ORDER BY \"table\"", bind: [name]
      ) { $0.name(0) })
  }
}
