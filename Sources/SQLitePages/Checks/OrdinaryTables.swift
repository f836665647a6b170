extension DatabaseConnection {
  /// Names of tables with a b-tree of their own, in the schema's order.
  ///
  /// Virtual tables and their shadow tables are left out: their rows are not what a person counts.
  func ordinaryTables() throws(DatabaseError) -> [String] {
    let virtual = try names("type = 'table' AND coalesce(rootpage, 0) = 0")
    let shadows = Set(virtual.flatMap { table in Self.shadowSuffixes.map { "\(table)_\($0)" } })
    let tables = try names("type = 'table' AND rootpage > 0 AND substr(name, 1, 7) <> 'sqlite_'")
    return tables.filter { !shadows.contains($0) }
  }

  /// What FTS3/4, FTS5 and R*Tree name their own tables, after the virtual table's name and an underscore.
  private static let shadowSuffixes = [
    "content", "segments", "segdir", "docsize", "stat", "data", "idx", "config", "node", "parent", "rowid",
  ]

  private func names(_ condition: String) throws(DatabaseError) -> [String] {
    try rows("SELECT name FROM main.sqlite_schema WHERE \(condition)").compactMap { row in
      if case .text(let name)? = row.first { name } else { nil }
    }
  }
}
