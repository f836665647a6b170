import CSQLite
import Names

/// The rows of a table in the order of their keys, one at a time.
///
/// Keys are ordered as SQLite's BINARY collation does, whatever the table's own are: two cursors then agree on the order, and
/// keys that differ only by case are different ones.
final class RowCursor {
  private let statement: OpaquePointer?
  private let connection: DatabaseConnection
  private let keyCount: Int32
  private let columnCount: Int32
  /// The rowid decides between rows whose keys hold NULL, of which SQLite allows many.
  private let hasTieBreak: Bool
  private let encoding: TextEncoding
  private(set) var isAtEnd = false

  /// - Parameters:
  ///   - columns: to compare and to read; the key is read beside them.
  ///   - ranges: whether only the rows whose rowids lie in the ``RowidRanges`` of the connection are wanted.
  init(
    _ shape: TableShape, columns: [Identifier], in connection: DatabaseConnection, encoding: TextEncoding,
    onlyRanges ranges: Bool
  ) throws(DatabaseError) {
    self.connection = connection
    self.encoding = encoding
    hasTieBreak = !shape.keyIsRowid && shape.rowid != nil
    keyCount = Int32(shape.key.count)
    columnCount = Int32(columns.count)
    statement = try connection.prepare(Self.sql(shape, columns, ranges))
    try advance()
  }

  deinit { sqlite3_finalize(statement) }

  private static func sql(_ shape: TableShape, _ columns: [Identifier], _ ranges: Bool) -> SQLText {
    func column(_ name: Identifier) -> SQLText { "t.\(name)" }
    let key = shape.key.map(column)
    let tie = shape.keyIsRowid ? [] : shape.rowid.map { [column($0)] } ?? []
    let wanted = key + columns.map(column) + tie
    let order = shape.keyIsRowid ? key : key.map { "\($0) COLLATE BINARY" } + tie
    let table: SQLText = "main.\(shape.name) AS t"
    let source: SQLText =
      ranges
      ? "temp.\(RowidRanges.table) AS r CROSS JOIN \(table) ON \(column(shape.rowid ?? "rowid")) BETWEEN r.first AND r.last"
      : table
    return "SELECT \(wanted.listed()) FROM \(source) ORDER BY \(order.listed())"
  }

  func advance() throws(DatabaseError) {
    switch sqlite3_step(statement) {
    case SQLITE_ROW: return
    case SQLITE_DONE: isAtEnd = true
    case let result: throw connection.failure(result)
    }
  }

  var key: [DatabaseValue] { (0..<keyCount).map { DatabaseConnection.value(statement, $0) } }
  var values: [DatabaseValue] {
    (keyCount..<keyCount + columnCount).map { DatabaseConnection.value(statement, $0) }
  }

  /// Below 0 where this cursor's key comes first, 0 for the same key.
  func compareKey(_ other: RowCursor) -> Int {
    var hasNull = false
    for column in 0..<keyCount {
      let order = CellComparison.order(statement, other.statement, column, encoding)
      if order != 0 { return order }
      hasNull = hasNull || sqlite3_column_type(statement, column) == SQLITE_NULL
    }
    guard hasNull, hasTieBreak else { return 0 }
    return CellComparison.order(statement, other.statement, keyCount + columnCount, encoding)
  }

  func hasSameValues(_ other: RowCursor) -> Bool {
    (keyCount..<keyCount + columnCount).allSatisfy { CellComparison.isSame(statement, other.statement, $0) }
  }

  /// - Parameter column: among ``values``, from 0.
  func hasSameValue(_ other: RowCursor, in column: Int) -> Bool {
    CellComparison.isSame(statement, other.statement, keyCount + Int32(column))
  }
}

/// Which rows of a rowid table may differ, for a join: a temporary table of the connection's.
enum RowidRanges {
  static let table: Identifier = "holdfast_ranges"

  static func store(_ ranges: [ClosedRange<Int64>], in connection: DatabaseConnection) throws(DatabaseError) {
    try connection.execute(
      """
      PRAGMA temp_store = MEMORY;
      CREATE TEMP TABLE IF NOT EXISTS \(table)(first INTEGER, last INTEGER);
      DELETE FROM temp.\(table)
      """)
    for range in ranges {
      try connection.execute("INSERT INTO temp.\(table) VALUES (\(range.lowerBound), \(range.upperBound))")
    }
  }
}
