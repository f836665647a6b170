import CSQLite

/// An application's own connection to a database, directly on SQLite's C interface: the counterpart
/// of the code under test.
package final class DatabaseApplication {
  package struct Failure: Error, CustomStringConvertible {
    package var resultCode: Int32
    package var description: String
  }

  package let path: String
  private var handle: OpaquePointer?

  /// Opens or creates the database and runs `setup`.
  ///
  /// - Parameters:
  ///   - reserved: bytes to keep free at the end of each page of a new database.
  ///   - busyTimeout: milliseconds.
  ///   - parameters: of a `file:` URI, such as `psow=0`.
  ///   - checkpointsOnClose: if false, the last connection leaves the `-wal` unchanged.
  package init(
    _ path: String, _ setup: String = "", reserved: Int32 = 0, busyTimeout: Int32 = 5000, parameters: String = "",
    checkpointsOnClose: Bool = true
  ) throws {
    self.path = path
    let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
    let result =
      parameters.isEmpty
      ? sqlite3_open_v2(path, &handle, flags, nil)
      : sqlite3_open_v2("file:\(path)?\(parameters)", &handle, flags | SQLITE_OPEN_URI, nil)
    guard result == SQLITE_OK else { throw failure(result, "open") }
    sqlite3_busy_timeout(handle, busyTimeout)
    if !checkpointsOnClose { _ = csqlite_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nil) }
    if reserved > 0 {
      var bytes = reserved
      sqlite3_file_control(handle, "main", SQLITE_FCNTL_RESERVE_BYTES, &bytes)
    }
    try run(setup)
  }

  deinit { close() }

  package func run(_ sql: String) throws {
    let result = attempt(sql)
    guard result == SQLITE_OK else { throw failure(result, sql) }
  }

  /// Runs statements and returns the result code.
  package func attempt(_ sql: String) -> Int32 { sqlite3_exec(handle, sql, nil, nil, nil) }

  /// The first column of the first row, as text.
  package func value(_ sql: String) throws -> String? {
    var statement: OpaquePointer?
    let result = sqlite3_prepare_v2(handle, sql, -1, &statement, nil)
    guard result == SQLITE_OK else { throw failure(result, sql) }
    defer { sqlite3_finalize(statement) }
    let step = sqlite3_step(statement)
    guard step == SQLITE_ROW || step == SQLITE_DONE else { throw failure(step, sql) }
    return step == SQLITE_ROW ? sqlite3_column_text(statement, 0).map { String(cString: $0) } : nil
  }

  /// The whole database as SQLite's pager sees it, in the open transaction or in one of its own.
  package func image() throws -> [UInt8] {
    var size: sqlite3_int64 = 0
    guard let bytes = sqlite3_serialize(handle, "main", &size, 0) else {
      // An empty database serialises to zero bytes.
      return []
    }
    defer { sqlite3_free(bytes) }
    return Array(UnsafeBufferPointer(start: bytes, count: Int(size)))
  }

  /// Copies the database to a new file by `sqlite3_backup`.
  package func backup(to copy: String) throws {
    try backup(into: DatabaseApplication(copy))
  }

  /// Copies to a connection that is already open.
  package func backup(into target: DatabaseApplication) throws {
    let backup = sqlite3_backup_init(target.handle, "main", handle, "main")
    let step = sqlite3_backup_step(backup, -1)
    sqlite3_backup_finish(backup)
    guard step == SQLITE_DONE else { throw target.failure(step, "backup") }
  }

  /// Idempotent.
  package func close() {
    sqlite3_close_v2(handle)
    handle = nil
  }

  private func failure(_ result: Int32, _ what: String) -> Failure {
    Failure(resultCode: result, description: "\(what): \(String(cString: sqlite3_errmsg(handle)))")
  }
}
