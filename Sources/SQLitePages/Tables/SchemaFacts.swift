import Names

/// What a table is, beyond its name.
package struct TableFacts: Hashable, Sendable {
  /// The module that a table belongs to keeps its rows there.
  package var isShadow: Bool
  /// The tables that its foreign keys refer to.
  package var refersTo: [Identifier]
}

extension DatabaseConnection {
  /// - Throws: ``DatabaseError``.
  package func facts(ofTable name: Identifier) throws(DatabaseError) -> TableFacts {
    let kind = try read("SELECT type FROM pragma_table_list(?) WHERE schema = 'main'", bind: [name]) { $0.text(0) }
    return TableFacts(
      isShadow: kind.first == "shadow",
      refersTo: try read(
        "SELECT DISTINCT \"table\" FROM pragma_foreign_key_list(?) ORDER BY \"table\"", bind: [name]
      ) { $0.name(0) })
  }
}
