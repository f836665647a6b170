import BackupEngine
import CSQLite

/// The application's own database, through one connection that stays open.
final class OrderBook {
  private var connection: OpaquePointer?

  init(path: String) throws {
    guard sqlite3_open(path, &connection) == SQLITE_OK else { throw problem() }
    try run("PRAGMA journal_mode = WAL; PRAGMA busy_timeout = 5000")
    try run("CREATE TABLE IF NOT EXISTS orders(id INTEGER PRIMARY KEY, what TEXT)")
  }

  deinit { sqlite3_close(connection) }

  /// Adds this many orders in one transaction.
  func place(_ count: Int) throws {
    try run("BEGIN")
    for _ in 0..<count { try run("INSERT INTO orders(what) VALUES (hex(randomblob(20)))") }
    try run("COMMIT")
  }

  func loseAll() throws { try run("DELETE FROM orders") }

  func count() throws -> Int64 {
    var statement: OpaquePointer?
    defer { sqlite3_finalize(statement) }
    guard sqlite3_prepare_v2(connection, "SELECT count(*) FROM orders", -1, &statement, nil) == SQLITE_OK,
      sqlite3_step(statement) == SQLITE_ROW
    else { throw problem() }
    return sqlite3_column_int64(statement, 0)
  }

  private func run(_ sql: String) throws {
    guard sqlite3_exec(connection, sql, nil, nil, nil) == SQLITE_OK else { throw problem() }
  }

  private func problem() -> HoldfastError {
    HoldfastError(.failed, String(cString: sqlite3_errmsg(connection)))
  }
}
