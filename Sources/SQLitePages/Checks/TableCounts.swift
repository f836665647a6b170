extension DatabaseConnection {
  /// Rows of every ordinary table; nil for those that the time did not suffice for.
  ///
  /// Virtual tables and their shadow tables are left out: their modules may be the application's own, and a schema that
  /// somebody else wrote should run no more code here than counting needs. Tables that cannot be counted (an unknown
  /// collation, a corrupt page) are left out too.
  ///
  /// - Parameter milliseconds: for all tables together; replaces and then lifts ``limitTime(milliseconds:)``.
  /// - Throws: where the schema itself cannot be read.
  package func tableCounts(within milliseconds: Int) throws(DatabaseError) -> [String: Int64?] {
    let names = try ordinaryTables()
    var counts: [String: Int64?] = [:]
    limitTime(milliseconds: milliseconds)
    defer { limitTime(milliseconds: nil) }
    for name in names {
      do {
        guard !timeIsUp else {
          counts[name] = .some(nil)
          continue
        }
        if let count = try integer("SELECT count(*) FROM \"main\".\(Self.quoted(name))") { counts[name] = count }
      } catch  where error.kind == .interrupted {
        counts[name] = .some(nil)
      } catch {
        continue
      }
    }
    return counts
  }

  /// Names of tables with a b-tree of their own, in the schema's order.
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

  static func quoted(_ name: String) -> String {
    "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
  }

  private func names(_ condition: String) throws(DatabaseError) -> [String] {
    try rows("SELECT name FROM main.sqlite_schema WHERE \(condition)").compactMap { row in
      if case .text(let name)? = row.first { name } else { nil }
    }
  }
}
