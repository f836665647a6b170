import Names

/// A table, index, view or trigger as the schema keeps it.
package struct SchemaObject: Hashable, Sendable {
  /// `table`, `index`, `view` or `trigger`.
  package var type: String
  package var name: Identifier
  /// The table that it belongs to; its own name for tables and views.
  package var table: Identifier
  /// The statement that made it.
  package var sql: SQLText

  /// SQLite's own (`sqlite_sequence`, `sqlite_stat1`).
  package var isInternal: Bool { name.isInternal }
  package var isVirtualTable: Bool {
    type == "table" && sql.description.prefix(21).uppercased().hasPrefix("CREATE VIRTUAL TABLE")
  }
}

extension DatabaseConnection {
  /// Everything in the schema that a statement made, in its order: no automatic indexes.
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
  /// The statement that made it before; nil where there was none.
  package var before: SQLText?
  package var after: SQLText?

  /// What differs, in the order of the second schema, then what is gone.
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
