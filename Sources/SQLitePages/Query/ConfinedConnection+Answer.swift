import CSQLite

extension ConfinedConnection {
  /// Answers are compared with what a person wrote into a file: larger ones are a mistake.
  package static let largestAnswer = 1 << 16

  /// What a query answers, as `sqlite3` prints it in its list mode: columns with `|` between them, a line for each row, nothing
  /// for NULL.
  ///
  /// - Throws: ``StatementError``: `interrupted` where it took longer than `milliseconds`, `failed` for an answer larger than
  ///   ``largestAnswer``.
  package func answer(_ sql: String, within milliseconds: Int) throws(StatementError) -> String {
    let statement = try prepare(sql)
    defer { sqlite3_finalize(statement) }
    connection.limitTime(milliseconds: milliseconds)
    // The limit's own handler had taken the place of the one that asks the flag.
    defer {
      connection.limitTime(milliseconds: nil)
      askWhetherToStop()
    }
    var lines: [String] = []
    var bytes = 0
    while true {
      let result = sqlite3_step(statement)
      if result == SQLITE_DONE { return lines.joined(separator: "\n") }
      guard result == SQLITE_ROW else { throw failure(result, sql) }
      let line = (0..<sqlite3_column_count(statement)).map { Self.text(statement, $0) }.joined(separator: "|")
      lines.append(line)
      bytes += line.utf8.count + 1
      guard bytes <= Self.largestAnswer else {
        throw StatementError(.failed, "its answer is larger than \(Self.largestAnswer >> 10) KiB")
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
}
