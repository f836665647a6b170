/// What to know of a table to read its rows in the order of their keys.
package struct TableShape: Hashable, Sendable {
  package let name: String
  /// Every column that holds or computes a value, in the table's order.
  package let columns: [String]
  /// Those that can be written: no generated ones.
  package let storedColumns: [String]
  /// By which rows are told apart: the declared primary key, or the rowid's name where there is none.
  package let key: [String]
  /// What the rowid can be called; nil for `WITHOUT ROWID` tables, and where columns have taken all of its names.
  package let rowid: String?
  /// The key is the rowid, under its own name or as `INTEGER PRIMARY KEY`.
  package let keyIsRowid: Bool
  package let isWithoutRowid: Bool

  /// - Parameter name: of an ordinary table.
  /// - Throws: ``DatabaseError``: `.other` where the rows cannot be told apart.
  package init(_ name: String, in connection: DatabaseConnection) throws(DatabaseError) {
    let columns = try Self.columns(name, connection)
    let declared = columns.filter { $0.keyPosition > 0 }.sorted { $0.keyPosition < $1.keyPosition }
    let primary = try Self.primaryIndex(name, connection)
    let names = Set(columns.map { $0.name.lowercased() })
    let free = ["rowid", "_rowid_", "oid"].first { !names.contains($0) }
    self.name = name
    self.columns = columns.map(\.name)
    storedColumns = columns.filter { $0.hidden == 0 }.map(\.name)
    isWithoutRowid = try Self.isWithoutRowid(name, connection)
    rowid = isWithoutRowid ? nil : free
    // Only an INTEGER PRIMARY KEY needs no index of its own.
    keyIsRowid = !isWithoutRowid && (declared.isEmpty || primary == nil)
    if declared.isEmpty {
      guard let free else {
        throw DatabaseError(
          .other, path: connection.path,
          message: "columns have taken every name of its rowid, and it has no primary key")
      }
      key = [free]
    } else {
      key = declared.map(\.name)
    }
  }

  private struct Column {
    var name: String
    var keyPosition: Int64
    var hidden: Int64
  }

  private static func columns(_ name: String, _ connection: DatabaseConnection) throws(DatabaseError) -> [Column] {
    try connection.rows("SELECT name, pk, hidden FROM pragma_table_xinfo(?) ORDER BY cid", bind: [name])
      .compactMap { row in
        guard case .text(let name) = row[0], case .integer(let key) = row[1], case .integer(let hidden) = row[2],
          hidden != 1
        else { return nil }
        return Column(name: name, keyPosition: key, hidden: hidden)
      }
  }

  private static func primaryIndex(_ name: String, _ connection: DatabaseConnection) throws(DatabaseError) -> String? {
    let rows = try connection.rows("SELECT name FROM pragma_index_list(?) WHERE origin = 'pk'", bind: [name])
    if case .text(let index)? = rows.first?.first { return index }
    return nil
  }

  private static func isWithoutRowid(_ name: String, _ connection: DatabaseConnection) throws(DatabaseError) -> Bool {
    let rows = try connection.rows(
      "SELECT wr FROM pragma_table_list(?) WHERE schema = 'main'", bind: [name])
    return rows.first?.first == .integer(1)
  }
}
