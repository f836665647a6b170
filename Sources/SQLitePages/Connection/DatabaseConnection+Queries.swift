import CSQLite

/// A value of a result column.
package enum DatabaseValue: Hashable, Sendable {
  case null
  case integer(Int64)
  case real(Double)
  case text(String)
  case blob([UInt8])

  /// Texts are the same if their bytes are, as for SQLite's BINARY; `String` takes two spellings of one character for the same.
  package static func == (left: DatabaseValue, right: DatabaseValue) -> Bool {
    switch (left, right) {
    case (.null, .null): true
    case (.integer(let one), .integer(let other)): one == other
    case (.real(let one), .real(let other)): one == other
    case (.text(let one), .text(let other)): one.utf8.elementsEqual(other.utf8)
    case (.blob(let one), .blob(let other)): one == other
    default: false
    }
  }

  package func hash(into hasher: inout Hasher) {
    switch self {
    case .null: break
    case .integer(let value): hasher.combine(value)
    case .real(let value): hasher.combine(value)
    case .text(let text): for byte in text.utf8 { hasher.combine(byte) }
    case .blob(let bytes): hasher.combine(bytes)
    }
  }
}

extension DatabaseConnection {
  /// Runs statements that return nothing of interest.
  package func execute(_ sql: String) throws(DatabaseError) {
    let result = sqlite3_exec(handle, sql, nil, nil, nil)
    guard result == SQLITE_OK else { throw failure(result) }
  }

  /// The journal mode as `PRAGMA journal_mode` spells it. A connection without locks is itself in no such mode: there the
  /// database's header says it.
  package func journalMode() throws(DatabaseError) -> String {
    guard isImmutable else { return try text(.journalMode) ?? "" }
    return SQLiteFile.database(of: handle)?.hasWALFormat == true ? "wal" : "delete"
  }

  /// The first column of the first row; nil without a row or for NULL.
  package func integer(_ sql: String) throws(DatabaseError) -> Int64? {
    switch try rows(sql, limit: 1).first?.first {
    case .integer(let value): value
    case .real(let value): Int64(exactly: value.rounded())
    case .text(let value): Int64(value)
    default: nil
    }
  }

  /// The first column of the first row as text; nil without a row, for NULL and for blobs.
  package func text(_ sql: String) throws(DatabaseError) -> String? {
    switch try rows(sql, limit: 1).first?.first {
    case .text(let value): value
    case .integer(let value): String(value)
    case .real(let value): String(value)
    default: nil
    }
  }

  /// Rows of one statement, all in memory: for small results.
  ///
  /// - Parameters:
  ///   - bind: texts for the statement's parameters, in order.
  ///   - limit: at most so many rows; the statement is not run further.
  package func rows(_ sql: String, bind: [String] = [], limit: Int = .max) throws(DatabaseError) -> [[DatabaseValue]] {
    var statement: OpaquePointer?
    let prepared = sqlite3_prepare_v2(handle, sql, -1, &statement, nil)
    guard prepared == SQLITE_OK else { throw failure(prepared) }
    defer { sqlite3_finalize(statement) }
    for (index, text) in bind.enumerated() {
      let bound = csqlite_bind_text(statement, Int32(index + 1), text)
      guard bound == SQLITE_OK else { throw failure(bound) }
    }
    return try rows(of: statement, limit: limit)
  }

  /// What is left of a statement that has been prepared.
  func rows(of statement: OpaquePointer?, limit: Int) throws(DatabaseError) -> [[DatabaseValue]] {
    var rows: [[DatabaseValue]] = []
    while rows.count < limit {
      let result = sqlite3_step(statement)
      if result == SQLITE_DONE { break }
      guard result == SQLITE_ROW else { throw failure(result) }
      rows.append((0..<sqlite3_column_count(statement)).map { Self.value(statement, $0) })
    }
    return rows
  }

  /// The error behind a result code that a call on this connection just returned.
  func failure(_ result: Int32, doing verb: String = "read") -> DatabaseError {
    guard let handle else {
      return DatabaseError(.other, path: path, message: "cannot \(verb) \(path): the connection is closed")
    }
    let words = String(cString: sqlite3_errmsg(handle))
    var error = DatabaseError(
      resultCode: result, words: words, systemErrno: sqlite3_system_errno(handle), doing: verb, path: path)
    // In WAL mode readers and writers do not block each other; only exclusive locking keeps a reader out.
    if result == SQLITE_BUSY, access == .observer, FileFacts(path: resolvedPath + "-wal") != nil {
      error.kind = .exclusive
      error.message = "cannot \(verb) \(path): an application holds it in locking_mode=EXCLUSIVE (\(words))"
    }
    return error
  }

  static func value(_ statement: OpaquePointer?, _ column: Int32) -> DatabaseValue {
    switch sqlite3_column_type(statement, column) {
    case SQLITE_INTEGER: .integer(sqlite3_column_int64(statement, column))
    case SQLITE_FLOAT: .real(sqlite3_column_double(statement, column))
    case SQLITE_TEXT:
      .text(String(decoding: bytes(sqlite3_column_text(statement, column), statement, column), as: UTF8.self))
    case SQLITE_BLOB: .blob(Array(bytes(sqlite3_column_blob(statement, column), statement, column)))
    default: .null
    }
  }

  /// The bytes SQLite lends until the next step; the count is asked after the pointer, as its documentation requires.
  private static func bytes(
    _ start: UnsafeRawPointer?, _ statement: OpaquePointer?, _ column: Int32
  ) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : Int(sqlite3_column_bytes(statement, column)))
  }
}
