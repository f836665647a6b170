import CSQLite

/// Statements that are run for every snapshot. A connection compiles each of them once, for that costs more than running it.
///
/// Pragmas that SQLite evaluates while it compiles them (`page_size`, `encoding`) must not be among them: they would give the
/// same answer for ever.
package enum StandingStatement: String, Sendable {
  case begin = "BEGIN"
  case commit = "COMMIT"
  /// Reads the schema, which is what begins the read transaction.
  case firstRead = "SELECT count(*) FROM (SELECT 1 FROM sqlite_schema LIMIT 1)"
  case journalMode = "PRAGMA journal_mode"
  case pageCount = "PRAGMA page_count"
  case freePages = "PRAGMA main.freelist_count"
  case userVersion = "PRAGMA user_version"
  /// Name and root page of every table, in the schema's order; virtual tables have no root page.
  case tables = "SELECT name, coalesce(rootpage, 0) FROM main.sqlite_schema WHERE type = 'table'"
}

extension DatabaseConnection {
  /// The first column of the first row; nil without a row or for anything but an integer.
  package func integer(_ statement: StandingStatement) throws(DatabaseError) -> Int64? {
    if case .integer(let value)? = try rows(statement, limit: 1).first?.first { value } else { nil }
  }

  /// The first column of the first row as text; nil without a row or for anything else.
  package func text(_ statement: StandingStatement) throws(DatabaseError) -> String? {
    switch try rows(statement, limit: 1).first?.first {
    case .text(let value): value
    case .integer(let value): String(value)
    default: nil
    }
  }

  /// All rows, in memory.
  @discardableResult
  package func rows(
    _ statement: StandingStatement, limit: Int = .max
  ) throws(DatabaseError) -> [[DatabaseValue]] {
    let compiled = try compiled(statement)
    // One that is not reset would keep the transaction open.
    defer { sqlite3_reset(compiled) }
    return try rows(of: compiled, limit: limit)
  }

  func compiled(_ statement: StandingStatement) throws(DatabaseError) -> OpaquePointer? {
    if let known = standing[statement] { return known }
    var compiled: OpaquePointer?
    let result = sqlite3_prepare_v3(
      handle, statement.rawValue, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &compiled, nil)
    guard result == SQLITE_OK else { throw failure(result) }
    standing[statement] = compiled
    return compiled
  }

  func finalizeStatements() {
    for compiled in standing.values { sqlite3_finalize(compiled) }
    standing = [:]
  }
}
