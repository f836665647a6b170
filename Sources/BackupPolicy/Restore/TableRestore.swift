import Names

/// Some tables of a point, to be copied into another database.
package struct TableRestoreRequest: Hashable, Sendable {
  package var pointID: PointID
  /// As a person wrote them.
  package var tables: [Identifier]
  /// The file to copy them into: created if it is missing.
  package var target: String

  package init(pointID: PointID, tables: [Identifier], target: String) {
    self.pointID = pointID
    self.tables = tables
    self.target = target
  }
}

/// An object of a schema, with the facts that copying a table needs.
package struct SchemaEntry: Hashable, Sendable {
  package enum Kind: String, Hashable, Sendable {
    case table, virtualTable, shadowTable, view, index, trigger
  }

  package var kind: Kind
  package var name: Identifier
  /// The table that it belongs to.
  package var table: Identifier
  /// The tables that a table's foreign keys refer to.
  package var refersTo: [Identifier]

  package init(kind: Kind, name: Identifier, table: Identifier, refersTo: [Identifier] = []) {
    self.kind = kind
    self.name = name
    self.table = table
    self.refersTo = refersTo
  }
}

/// The facts for ``TableRestorePolicy``.
package struct TableRestoreFacts: Hashable, Sendable {
  /// The point's schema, in its order.
  package var source: [SchemaEntry]
  /// The target's schema; nil if there is no such file.
  package var target: [SchemaEntry]?
  /// The target is the database that the agent backs up.
  package var targetIsDatabase: Bool

  package init(source: [SchemaEntry], target: [SchemaEntry]?, targetIsDatabase: Bool) {
    self.source = source
    self.target = target
    self.targetIsDatabase = targetIsDatabase
  }
}

/// The tables to copy, with their objects, and the target.
package struct TableRestorePlan: Hashable, Sendable {
  package struct Table: Hashable, Sendable {
    package var name: Identifier
    package var indexes: [Identifier]
    package var triggers: [Identifier]
  }

  package var request: TableRestoreRequest
  /// The copy creates the target.
  package var createsTarget: Bool
  /// In the order of the point's schema.
  package var tables: [Table]
  /// Warnings to know before confirming: lower case, no full stop.
  package var warnings: [String]
  /// The facts behind the plan.
  package var facts: TableRestoreFacts
}

/// Decides which tables of a point are copied, or why the copy is refused.
///
/// Nothing is ever overwritten: the names must be free in the target. The database itself is not
/// allowed as a target, because its application would find unknown tables in the middle of its
/// work.
package enum TableRestorePolicy {
  /// - Throws: the reason why it must not be done.
  package static func decide(
    _ request: TableRestoreRequest, _ facts: TableRestoreFacts
  ) throws(RestoreRefusal) -> TableRestorePlan {
    guard !facts.targetIsDatabase else {
      throw RestoreRefusal(
        .refused,
        "\(request.target) is the database itself, and its application does not expect a table from elsewhere",
        hint: "copy into another file with --to PATH, then copy the rows that you need from there")
    }
    var chosen: [SchemaEntry] = []
    for name in request.tables {
      let table = try self.table(name, facts.source, request)
      if !chosen.contains(table) { chosen.append(table) }
    }
    let ordered = facts.source.filter { chosen.contains($0) }
    let tables = ordered.map { Self.parts(of: $0, facts.source) }
    if let target = facts.target { try requireFree(tables, target, request) }
    return TableRestorePlan(
      request: request, createsTarget: facts.target == nil, tables: tables, warnings: warnings(ordered, facts),
      facts: facts)
  }

  private static func table(
    _ name: Identifier, _ source: [SchemaEntry], _ request: TableRestoreRequest
  ) throws(RestoreRefusal) -> SchemaEntry {
    let named = source.first { $0.kind != .index && $0.kind != .trigger && $0.name == name }
    let whole = "holdfast restore \(request.pointID) --to PATH restores the whole database to another file"
    switch named?.kind {
    case .table: return named!
    case .virtualTable:
      throw RestoreRefusal(.refused, "\(name) is a virtual table, whose rows are kept by its module", hint: whole)
    case .shadowTable:
      throw RestoreRefusal(.refused, "\(name) belongs to a virtual table and means nothing without it", hint: whole)
    case .view: throw RestoreRefusal(.refused, "\(name) is a view, which has no rows of its own", hint: whole)
    default:
      throw RestoreRefusal(
        .usage, "\(request.pointID) has no table \(name)", hint: "holdfast show --schema \(request.pointID) lists them")
    }
  }

  private static func parts(of table: SchemaEntry, _ source: [SchemaEntry]) -> TableRestorePlan.Table {
    func names(_ kind: SchemaEntry.Kind) -> [Identifier] {
      source.filter { $0.kind == kind && $0.table == table.name }.map(\.name)
    }
    return TableRestorePlan.Table(name: table.name, indexes: names(.index), triggers: names(.trigger))
  }

  private static func requireFree(
    _ tables: [TableRestorePlan.Table], _ target: [SchemaEntry], _ request: TableRestoreRequest
  ) throws(RestoreRefusal) {
    // SQLite has one space of names for tables, indexes and views, and one for triggers.
    let triggers = Set(target.filter { $0.kind == .trigger }.map(\.name))
    let others = Set(target.filter { $0.kind != .trigger }.map(\.name))
    for table in tables {
      let taken =
        ([table.name] + table.indexes).first { others.contains($0) }
        ?? table.triggers.first { triggers.contains($0) }
      guard let taken else { continue }
      throw RestoreRefusal(
        .refused, "\(request.target) already has an object named \(taken), and nothing is overwritten",
        hint: "name another file with --to PATH, or rename the existing object")
    }
  }

  private static func warnings(_ tables: [SchemaEntry], _ facts: TableRestoreFacts) -> [String] {
    let present = Set((tables + (facts.target ?? []).filter { $0.kind == .table }).map(\.name))
    return tables.flatMap { table in
      table.refersTo.filter { !present.contains($0) }.map {
        "\(table.name) refers to \($0), which the target does not have"
      }
    }
  }
}
