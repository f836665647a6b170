import Names

/// The facts about a table that are needed to read its rows in the order of their keys.
package struct TableShape: Hashable, Sendable {
  package let name: Identifier
  /// Every column that holds or computes a value, in the table's order.
  package let columns: [Identifier]
  /// The columns that can be written: no generated ones.
  package let storedColumns: [Identifier]
  /// The columns that identify a row: the declared primary key, or the rowid's name if there is no
  /// primary key.
  package let key: [Identifier]
  /// A usable name of the rowid; nil for `WITHOUT ROWID` tables, and if columns have taken all of
  /// its names.
  package let rowid: Identifier?
  /// The key is the rowid, under its own name or as `INTEGER PRIMARY KEY`.
  package let keyIsRowid: Bool
  package let isWithoutRowid: Bool

  /// - Parameter name: of an ordinary table.
  /// - Throws: ``DatabaseError``: `.other` if nothing identifies the rows.
  package init(_ name: Identifier, in connection: DatabaseConnection) throws(DatabaseError) {
    let columns = try Self.columns(name, connection)
    let declared = columns.filter { $0.keyPosition > 0 }.sorted { $0.keyPosition < $1.keyPosition }
    let primary = try Self.primaryIndex(name, connection)
    let names = Set(columns.map(\.name))
    let free = (["rowid", "_rowid_", "oid"] as [Identifier]).first { !names.contains($0) }
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
    var name: Identifier
    var keyPosition: Int64
    var hidden: Int64
  }

  private static func columns(_ name: Identifier, _ connection: DatabaseConnection) throws(DatabaseError) -> [Column] {
    try connection.read("SELECT name, pk, hidden FROM pragma_table_xinfo(?) ORDER BY cid", bind: [name]) { row in
      guard let name = row.name(0), let key = row.integer(1), let hidden = row.integer(2), hidden != 1 else {
        return nil
      }
      return Column(name: name, keyPosition: key, hidden: hidden)
    }
  }

  private static func primaryIndex(_ name: Identifier, _ connection: DatabaseConnection) throws(DatabaseError)
    -> Identifier?
  {
    try connection.read("SELECT name FROM pragma_index_list(?) WHERE origin = 'pk'", bind: [name]) { $0.name(0) }.first
  }

  private static func isWithoutRowid(_ name: Identifier, _ connection: DatabaseConnection) throws(DatabaseError) -> Bool
  {
    let flags = try connection.read("SELECT wr FROM pragma_table_list(?) WHERE schema = 'main'", bind: [name]) {
      $0.integer(0)
    }
    return flags.first == 1
  }
}

/// A table, index, view or trigger as stored in the schema.
package struct SchemaObject: Hashable, Sendable {
  /// `table`, `index`, `view` or `trigger`.
  package var type: String
  package var name: Identifier
  /// The table that it belongs to; its own name for tables and views.
  package var table: Identifier
  /// The statement that created it.
  package var sql: SQLText

  /// SQLite's own (`sqlite_sequence`, `sqlite_stat1`).
  package var isInternal: Bool { name.isInternal }
  package var isVirtualTable: Bool {
    type == "table" && sql.description.prefix(21).uppercased().hasPrefix("CREATE VIRTUAL TABLE")
  }
}

extension DatabaseConnection {
  /// Every object in the schema that a statement created, in the schema's order: no automatic
  /// indexes.
  package func schema() throws(DatabaseError) -> [SchemaObject] {
    try read("SELECT type, name, tbl_name, sql FROM main.sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid") { row in
      guard let type = row.text(0), let name = row.name(1), let table = row.name(2), let sql = row.sql(3) else {
        return nil
      }
      return SchemaObject(type: type, name: name, table: table, sql: sql)
    }
  }
}

/// How an object of the schema differs between two databases.
package struct SchemaChange: Hashable, Sendable {
  package var type: String
  package var name: Identifier
  /// The statement that created it before; nil if the object did not exist.
  package var before: SQLText?
  package var after: SQLText?

  /// The objects that differ, in the order of the second schema, then the objects that are gone.
  package static func between(_ left: [SchemaObject], _ right: [SchemaObject]) -> [SchemaChange] {
    struct Key: Hashable {
      var type: String
      var name: Identifier
    }
    func index(_ objects: [SchemaObject]) -> [Key: SQLText] {
      Dictionary(objects.map { (Key(type: $0.type, name: $0.name), $0.sql) }, uniquingKeysWith: { first, _ in first })
    }
    let (before, after) = (index(left), index(right))
    let changes = right.map {
      SchemaChange(type: $0.type, name: $0.name, before: before[Key(type: $0.type, name: $0.name)], after: $0.sql)
    }
    let gone = left.filter { after[Key(type: $0.type, name: $0.name)] == nil }.map {
      SchemaChange(type: $0.type, name: $0.name, before: $0.sql, after: nil)
    }
    return (changes + gone).filter { $0.before != $0.after }
  }
}
