/// What a table is, beyond its name.
package struct TableFacts: Hashable, Sendable {
  /// The module that a table belongs to keeps its rows there.
  package var isShadow: Bool
  /// The tables that its foreign keys refer to.
  package var refersTo: [String]
}

extension DatabaseConnection {
  /// - Throws: ``DatabaseError``.
  package func facts(ofTable name: String) throws(DatabaseError) -> TableFacts {
    let kind = try rows("SELECT type FROM pragma_table_list(?) WHERE schema = 'main'", bind: [name]).first?.first
    let keys = try rows(
      "SELECT DISTINCT \"table\" FROM pragma_foreign_key_list(?) ORDER BY \"table\"", bind: [name])
    return TableFacts(
      isShadow: kind == .text("shadow"),
      refersTo: keys.compactMap { if case .text(let table)? = $0.first { table } else { nil } })
  }
}
