import CSQLite
import Names

/// How the rows of a table differ between two databases.
package struct TableDifference: Sendable {
  package var name: Identifier
  package var added: Int64 = 0
  package var removed: Int64 = 0
  package var changed: Int64 = 0
  /// The first of these rows, up to the limit, in the order of their keys.
  package var rows: [RowDifference] = []
  /// The columns of the key; `rowid` if no primary key is declared.
  package var key: [Identifier] = []
  /// The reason why the table was not compared, as text.
  package var skipped: String?

  package init(name: Identifier) { self.name = name }

  package var isEmpty: Bool { added == 0 && removed == 0 && changed == 0 && skipped == nil }

  mutating func add(_ row: RowDifference, limit: Int) {
    if rows.count < limit { rows.append(row) }
  }
}

/// One row that differs.
package struct RowDifference: Hashable, Sendable {
  package var key: [DatabaseValue]
  /// By column, in the table's order: all of a removed row, only the changed columns of a changed
  /// row; nil for an added row.
  package var before: [Cell]?
  package var after: [Cell]?

  package struct Cell: Hashable, Sendable {
    package var column: Identifier
    package var value: DatabaseValue
  }
}

/// Compares a table of two databases by merging their rows in the order of their keys.
struct TableComparison {
  let left: DatabaseConnection
  let right: DatabaseConnection
  let encoding: TextEncoding
  /// Maximum number of rows to keep; all are counted.
  let limit: Int
  /// Called now and then.
  let check: () throws -> Void

  /// - Parameter ranges: the rowids at which the tables may differ; nil for all rowids.
  func compare(_ before: TableShape?, _ after: TableShape?, ranges: [ClosedRange<Int64>]? = nil) throws
    -> TableDifference
  {
    var difference = TableDifference(name: after?.name ?? before?.name ?? "")
    difference.key = (after ?? before)?.key ?? []
    // Rows with different keys cannot be paired.
    guard let before, let after, before.key == after.key, before.keyIsRowid == after.keyIsRowid else {
      if let before { try merge(cursor(before, left, before.columns), nil, before.columns, &difference) }
      if let after { try merge(nil, cursor(after, right, after.columns), after.columns, &difference) }
      return difference
    }
    let columns = after.columns.filter { before.columns.contains($0) }
    if let ranges {
      try RowidRanges.store(ranges, in: left)
      try RowidRanges.store(ranges, in: right)
    }
    try merge(
      cursor(before, left, columns, ranges != nil), cursor(after, right, columns, ranges != nil), columns, &difference)
    return difference
  }

  private func cursor(
    _ shape: TableShape, _ connection: DatabaseConnection, _ columns: [Identifier], _ ranges: Bool = false
  ) throws -> RowCursor {
    try RowCursor(shape, columns: columns, in: connection, encoding: encoding, onlyRanges: ranges)
  }

  private func merge(
    _ left: RowCursor?, _ right: RowCursor?, _ columns: [Identifier], _ difference: inout TableDifference
  ) throws {
    var steps = 0
    while true {
      let (before, after) = (left.flatMap { $0.isAtEnd ? nil : $0 }, right.flatMap { $0.isAtEnd ? nil : $0 })
      guard before != nil || after != nil else { return }
      steps += 1
      if steps.isMultiple(of: 4096) { try check() }
      try step(before, after, columns, &difference)
    }
  }

  private func step(
    _ before: RowCursor?, _ after: RowCursor?, _ columns: [Identifier], _ difference: inout TableDifference
  ) throws {
    func cells(_ row: RowCursor) -> [RowDifference.Cell] {
      zip(columns, row.values).map { RowDifference.Cell(column: $0, value: $1) }
    }
    let order = before.map { before in after.map { before.compareKey($0) } ?? -1 } ?? 1
    if order < 0, let before {
      difference.removed += 1
      difference.add(RowDifference(key: before.key, before: cells(before)), limit: limit)
      return try before.advance()
    }
    guard let after else { return }
    if order > 0 {
      difference.added += 1
      difference.add(RowDifference(key: after.key, after: cells(after)), limit: limit)
      return try after.advance()
    }
    guard let before else { return }
    if !before.hasSameValues(after) {
      difference.changed += 1
      if difference.rows.count < limit {
        difference.rows.append(Self.changed(before, after, zip(cells(before), cells(after))))
      }
    }
    try before.advance()
    try after.advance()
  }

  private static func changed(
    _ before: RowCursor, _ after: RowCursor, _ cells: Zip2Sequence<[RowDifference.Cell], [RowDifference.Cell]>
  ) -> RowDifference {
    // By the bytes that SQLite holds, because a text here may not have all of them.
    let pairs = cells.enumerated().filter { !before.hasSameValue(after, in: $0.offset) }.map(\.element)
    return RowDifference(key: after.key, before: pairs.map(\.0), after: pairs.map(\.1))
  }
}

/// The rows of a table in the order of their keys, one at a time.
///
/// Keys are ordered as in SQLite's BINARY collation, whatever the table's own collations are: two
/// cursors then agree on the order, and keys that differ only by case are different.
final class RowCursor {
  private let statement: OpaquePointer?
  private let connection: DatabaseConnection
  private let keyCount: Int32
  private let columnCount: Int32
  /// The rowid decides between rows whose keys hold NULL, because SQLite allows many of them.
  private let hasTieBreak: Bool
  private let encoding: TextEncoding
  private(set) var isAtEnd = false

  /// - Parameters:
  ///   - columns: to compare and to read; the key is also read.
  ///   - ranges: whether to read only the rows whose rowids are in the ``RowidRanges`` of the
  ///     connection.
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

  /// Below 0 if this cursor's key comes first, 0 if the keys are the same.
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

  /// - Parameter column: index in ``values``, from 0.
  func hasSameValue(_ other: RowCursor, in column: Int) -> Bool {
    CellComparison.isSame(statement, other.statement, keyCount + Int32(column))
  }
}

/// The rows of a rowid table that may differ, for a join: a temporary table of the connection.
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
