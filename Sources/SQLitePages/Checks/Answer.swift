import CSQLite

/// What a query answers, as text.
package enum Answer {
  /// Answers are compared with what a person wrote into a file: larger ones are a mistake.
  package static let largestBytes = 1 << 16

  /// Runs one statement that only reads, on a private file, and gives its rows as `sqlite3` prints them in its list mode: columns
  /// with `|` between them, a line for each row, nothing for NULL.
  ///
  /// The statement can neither write nor leave the file, whatever it says: see ``QueryPermit``.
  ///
  /// - Throws: ``DatabaseError``: SQLite's own, `interrupted` where it took longer than `milliseconds`, and `other` for no
  ///   statement, more than one, or an answer larger than ``largestBytes``.
  package static func text(
    _ sql: String, on connection: DatabaseConnection, within milliseconds: Int
  ) throws(DatabaseError) -> String {
    QueryPermit.restrict(connection)
    defer { QueryPermit.lift(connection) }
    let statement = try prepare(sql, connection)
    defer { sqlite3_finalize(statement) }
    connection.limitTime(milliseconds: milliseconds)
    defer { connection.limitTime(milliseconds: nil) }
    return try rows(of: statement, connection)
  }

  private static func prepare(_ sql: String, _ connection: DatabaseConnection) throws(DatabaseError) -> OpaquePointer {
    var statement: OpaquePointer?
    var rest = ""
    let result = sql.withCString { start in
      var tail: UnsafePointer<CChar>?
      let result = sqlite3_prepare_v2(connection.handle, start, -1, &statement, &tail)
      rest = tail.map { String(cString: $0) } ?? ""
      return result
    }
    guard result == SQLITE_OK else { throw connection.failure(result) }
    guard let statement else { throw refusal("there is no statement in it", connection) }
    if hasStatement(rest, connection) || sqlite3_stmt_readonly(statement) == 0 {
      sqlite3_finalize(statement)
      throw refusal("it must be one statement that reads", connection)
    }
    return statement
  }

  /// Whether there is more than space, comments and semicolons.
  private static func hasStatement(_ text: String, _ connection: DatabaseConnection) -> Bool {
    text.withCString { start in
      var next: UnsafePointer<CChar>? = start
      while let text = next, text.pointee != 0 {
        var statement: OpaquePointer?
        let result = sqlite3_prepare_v2(connection.handle, text, -1, &statement, &next)
        sqlite3_finalize(statement)
        if result != SQLITE_OK || statement != nil { return true }
      }
      return false
    }
  }

  private static func rows(
    of statement: OpaquePointer, _ connection: DatabaseConnection
  ) throws(DatabaseError) -> String {
    var lines: [String] = []
    var bytes = 0
    while true {
      let result = sqlite3_step(statement)
      if result == SQLITE_DONE { return lines.joined(separator: "\n") }
      guard result == SQLITE_ROW else { throw connection.failure(result) }
      let line = (0..<sqlite3_column_count(statement)).map { text(statement, $0) }.joined(separator: "|")
      lines.append(line)
      bytes += line.utf8.count + 1
      guard bytes <= largestBytes else {
        throw refusal("its answer is larger than \(largestBytes >> 10) KiB", connection)
      }
    }
  }

  /// SQLite's own conversion: that of numbers is what `sqlite3` prints.
  private static func text(_ statement: OpaquePointer, _ column: Int32) -> String {
    guard let start = sqlite3_column_text(statement, column) else { return "" }
    // Asked after the pointer, as SQLite's documentation requires; the bytes are lent until the next step.
    let count = Int(sqlite3_column_bytes(statement, column))
    return String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
  }

  private static func refusal(_ words: String, _ connection: DatabaseConnection) -> DatabaseError {
    DatabaseError(.other, path: connection.path, message: words)
  }
}
