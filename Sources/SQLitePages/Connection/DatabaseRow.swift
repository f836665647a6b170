import CSQLite
import Names

/// The current row of a statement; its values are valid until the next one.
package struct DatabaseRow {
  fileprivate let statement: OpaquePointer?

  /// - Parameter column: from 0.
  package subscript(column: Int32) -> DatabaseValue { DatabaseConnection.value(statement, column) }

  /// A text as a name; nil if the value is not a text.
  package func name(_ column: Int32) -> Identifier? { bytes(column).map { Identifier(bytes: $0) } }

  /// A text as a statement; nil if the value is not a text.
  package func sql(_ column: Int32) -> SQLText? { bytes(column).map { SQLText(bytes: $0) } }

  package func text(_ column: Int32) -> String? {
    if case .text(let text) = self[column] { text } else { nil }
  }

  package func integer(_ column: Int32) -> Int64? {
    if case .integer(let value) = self[column] { value } else { nil }
  }

  private func bytes(_ column: Int32) -> [UInt8]? {
    guard sqlite3_column_type(statement, column) == SQLITE_TEXT, let start = sqlite3_column_text(statement, column)
    else { return nil }
    // Requested after the pointer, as SQLite's documentation requires.
    return Array(UnsafeBufferPointer(start: start, count: Int(sqlite3_column_bytes(statement, column))))
  }
}

/// Statements with names of tables and columns, which keep every byte of those names.
extension DatabaseConnection {
  /// Compiles one statement; the caller finalizes it.
  func prepare(_ sql: SQLText) throws(DatabaseError) -> OpaquePointer? {
    var statement: OpaquePointer?
    let result = sql.bytes.withUnsafeBytes { bytes in
      sqlite3_prepare_v2(
        handle, bytes.bindMemory(to: CChar.self).baseAddress, Int32(clamping: bytes.count), &statement, nil)
    }
    guard result == SQLITE_OK else { throw failure(result) }
    return statement
  }

  /// The results of `body` for each row of one statement, without nils.
  ///
  /// - Parameter bind: names for the statement's parameters, in order.
  package func read<Item>(
    _ sql: SQLText, bind: [Identifier] = [], _ body: (DatabaseRow) -> Item?
  ) throws(DatabaseError) -> [Item] {
    let statement = try prepare(sql)
    defer { sqlite3_finalize(statement) }
    for (index, name) in bind.enumerated() {
      let bound = name.bytes.withUnsafeBytes {
        csqlite_bind_bytes(statement, Int32(index + 1), $0.baseAddress, Int32(clamping: $0.count))
      }
      guard bound == SQLITE_OK else { throw failure(bound) }
    }
    return try read(statement, body)
  }

  /// The same for a statement that is compiled once.
  package func read<Item>(
    _ statement: CachedStatement, _ body: (DatabaseRow) -> Item?
  ) throws(DatabaseError) -> [Item] {
    let compiled = try compiled(statement)
    // If it were not reset, it would keep the transaction open.
    defer { sqlite3_reset(compiled) }
    return try read(compiled, body)
  }

  private func read<Item>(
    _ statement: OpaquePointer?, _ body: (DatabaseRow) -> Item?
  ) throws(DatabaseError) -> [Item] {
    var items: [Item] = []
    while true {
      let result = sqlite3_step(statement)
      if result == SQLITE_DONE { return items }
      guard result == SQLITE_ROW else { throw failure(result) }
      if let item = body(DatabaseRow(statement: statement)) { items.append(item) }
    }
  }

  /// The first column of the first row; nil if there is no row or the value is not an integer.
  package func integer(_ sql: SQLText) throws(DatabaseError) -> Int64? {
    try read(sql) { $0.integer(0) }.first
  }
}
