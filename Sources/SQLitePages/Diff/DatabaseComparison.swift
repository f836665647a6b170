import Names

/// How two databases differ: rows of each table, and the schema.
package struct DatabaseDifference: Sendable {
  /// The tables whose rows differ, or that could not be compared, by name.
  package var tables: [TableDifference] = []
  package var schema: [SchemaChange] = []

  package var isEmpty: Bool { tables.isEmpty && schema.isEmpty }
}

/// Compares two databases that do not change meanwhile.
package struct DatabaseComparison {
  let left: DatabaseConnection
  let right: DatabaseConnection
  let limit: Int
  /// Names of tables; nil for all.
  let only: Set<Identifier>?
  let check: () throws -> Void

  /// - Parameters:
  ///   - only: compare the rows of these tables; empty for all of them.
  ///   - limit: rows to keep of each table.
  ///   - check: called now and then; an error that it throws ends the comparison.
  package init(
    _ left: DatabaseConnection, _ right: DatabaseConnection, only: [Identifier] = [], limit: Int,
    check: @escaping () throws -> Void = {}
  ) {
    self.left = left
    self.right = right
    self.only = only.isEmpty ? nil : Set(only)
    self.limit = limit
    self.check = check
  }

  /// - Parameter ranges: the rowids at which each table of both may differ. If nil, or if a table
  ///   has no entry, everything is compared.
  /// - Throws: ``DatabaseError``, and the errors of `check`.
  package func run(_ ranges: RangesByTable? = nil) throws -> DatabaseDifference {
    let (before, after) = (try left.schema(), try right.schema())
    let encoding = try commonEncoding(before, after)
    let comparison = TableComparison(left: left, right: right, encoding: encoding, limit: limit, check: check)
    var difference = DatabaseDifference(
      schema: SchemaChange.between(before.filter(isWanted), after.filter(isWanted)))
    let old = Set(tables(before))
    let new = Set(tables(after))
    for name in old.union(new).sorted() where only?.contains(name) ?? true {
      try check()
      let table = try compare(name, old.contains(name), new.contains(name), comparison, ranges)
      if !table.isEmpty { difference.tables.append(table) }
    }
    return difference
  }

  /// Every table of either database, to check names.
  package func tableNames() throws -> Set<Identifier> { Set(tables(try left.schema()) + tables(try right.schema())) }

  private func isWanted(_ object: SchemaObject) -> Bool {
    !object.isInternal && (only?.contains(object.table) ?? true)
  }

  /// Tables with rows of their own. The rows of a virtual table are those of its shadow tables,
  /// which are included.
  private func tables(_ schema: [SchemaObject]) -> [Identifier] {
    schema.filter { $0.type == "table" && !$0.isInternal && !$0.isVirtualTable }.map(\.name)
  }

  private func compare(
    _ name: Identifier, _ old: Bool, _ new: Bool, _ comparison: TableComparison, _ ranges: RangesByTable?
  ) throws -> TableDifference {
    // No row of the table differs, so there is nothing to look up.
    if old, new, ranges?.ranges(of: name)?.isEmpty == true { return TableDifference(name: name) }
    do {
      let before = old ? try TableShape(name, in: left) : nil
      let after = new ? try TableShape(name, in: right) : nil
      let known = old && new && after?.rowid != nil ? ranges?.ranges(of: name) : nil
      return try comparison.compare(before, after, ranges: known)
    } catch let error as DatabaseError where [.missingExtension, .other].contains(error.kind) {
      var difference = TableDifference(name: name)
      difference.skipped =
        missingCollations(of: name) ?? (error.kind == .missingExtension ? "needs \(error.missing)" : error.reason)
      return difference
    }
  }

  /// If the collation of a table's key is missing here, SQLite reports only "no query solution" and
  /// does not name the collation.
  private func missingCollations(of table: Identifier) -> String? {
    let missing = Set([left, right].flatMap { $0.missingCollations(of: table) }).sorted()
    guard !missing.isEmpty else { return nil }
    return
      "needs the collation\(missing.count == 1 ? "" : "s") \(missing.joined(separator: ", ")), which only the application has"
  }

  /// Texts are ordered by their stored bytes, so both databases must use the same encoding; an
  /// empty database has no encoding yet.
  private func commonEncoding(_ before: [SchemaObject], _ after: [SchemaObject]) throws -> TextEncoding {
    let (first, second) = (try left.text("PRAGMA encoding") ?? "UTF-8", try right.text("PRAGMA encoding") ?? "UTF-8")
    guard first == second || before.isEmpty || after.isEmpty else {
      throw DatabaseError(
        .other, path: right.path,
        message: "one stores text as \(first) and the other as \(second): they cannot be compared")
    }
    return TextEncoding(rawValue: before.isEmpty ? second : first) ?? .utf8
  }
}

/// The rowids at which tables may differ.
package struct RangesByTable: Sendable {
  private let known: [Identifier: [ClosedRange<Int64>]]
  /// Tables without known ranges.
  private let unknown: Set<Identifier>

  /// - Parameters:
  ///   - known: ascending, without overlaps; a table that is in neither parameter does not differ.
  package init(known: [Identifier: [ClosedRange<Int64>]], unknown: Set<Identifier>) {
    self.known = known
    self.unknown = unknown
  }

  func ranges(of table: Identifier) -> [ClosedRange<Int64>]? { unknown.contains(table) ? nil : known[table] ?? [] }
}

extension DatabaseConnection {
  /// The collations of a table's indexes, its primary key included, that are not SQLite's own.
  /// (`pragma_collation_list` names the collations that a schema mentions, whether they exist or
  /// not.)
  fileprivate func missingCollations(of table: Identifier) -> [String] {
    let names = try? read(
      """
      SELECT DISTINCT x.coll FROM pragma_index_list(?) AS i, pragma_index_xinfo(i.name) AS x
      WHERE upper(x.coll) NOT IN ('BINARY', 'NOCASE', 'RTRIM')
      """, bind: [table]
    ) { $0.name(0) }
    return (names ?? []).map { "\($0)" }
  }
}
