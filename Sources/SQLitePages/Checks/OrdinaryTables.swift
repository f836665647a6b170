import Names

extension DatabaseConnection {
  /// Names of tables with a b-tree of their own, in the schema's order.
  ///
  /// Virtual tables and their shadow tables are left out: their rows are not what a person counts.
  func ordinaryTables() throws(DatabaseError) -> [Identifier] {
    let tables = try tables()
    let shadows = Set(
      tables.filter(\.isVirtual).flatMap { table in
        Self.shadowSuffixes.map { Identifier(bytes: table.name.bytes + "_\($0)".utf8) }
      })
    return tables.filter { !$0.isVirtual && !$0.name.isInternal && !shadows.contains($0.name) }.map(\.name)
  }

  /// Names of all tables, SQLite's own included, in the schema's order.
  package func tableNames() throws(DatabaseError) -> [Identifier] {
    try tables().map(\.name)
  }

  /// What FTS3/4, FTS5 and R*Tree name their own tables, after the virtual table's name and an underscore.
  private static let shadowSuffixes = [
    "content", "segments", "segdir", "docsize", "stat", "data", "idx", "config", "node", "parent", "rowid",
  ]

  private func tables() throws(DatabaseError) -> [(name: Identifier, isVirtual: Bool)] {
    try read(.tables) { row in
      if let name = row.name(0), let root = row.integer(1) { (name, root <= 0) } else { nil }
    }
  }
}
