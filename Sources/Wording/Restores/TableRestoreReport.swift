import BackupEngine
import BackupPolicy
import Names

/// The tables that are copied out of a backup, and their target.
package struct TableRestoreReport {
  private let chosen: ChosenPoint
  private let plan: TableRestorePlan

  package init(chosen: ChosenPoint, plan: TableRestorePlan) { (self.chosen, self.plan) = (chosen, plan) }

  /// The tables, and the warnings to read before a yes.
  package var planLines: [String] {
    let target = plan.request.target.printable
    let what = plan.createsTarget ? "a new file" : "in one transaction"
    return (chosen.choice.map { [$0.words, ""] } ?? []) + ["Tables of \(chosen.id) into \(target), \(what)", ""]
      + plan.tables.map { "  \($0.name.description.printable)\(Self.with($0))" } + warningLines
  }

  private static func with(_ table: TableRestorePlan.Table) -> String {
    func part(_ one: String, _ several: String, _ names: [Identifier]) -> String? {
      names.isEmpty ? nil : "\(names.count == 1 ? one : several) \(names.map(\.description).joined(separator: ", "))"
    }
    let parts = [part("index", "indexes", table.indexes), part("trigger", "triggers", table.triggers)].compactMap(
      \.self)
    return parts.isEmpty ? "" : " with \(parts.joined(separator: " and ").printable)"
  }

  private var warningLines: [String] {
    let warnings = chosen.warnings + plan.warnings
    return warnings.isEmpty ? [] : ["", "Warnings:"] + warnings.map { "  ! \($0.printable)" }
  }

  /// - Parameter counts: the rows that each table got.
  package func resultLines(_ counts: [Identifier: Int64]) -> [String] {
    plan.tables.map { table in
      let rows = counts[table.name] ?? 0
      return "✓ restored \(table.name.description.printable): \(rows.grouped) row\(rows == 1 ? "" : "s")"
    }
  }

  /// - Parameter counts: the rows that each table got; nil if nothing was executed.
  package func json(_ counts: [Identifier: Int64]?) -> JSONValue {
    let tables = plan.tables.map { table in
      JSONValue.object([
        "name": .string(table.name.description),
        "indexes": .array(table.indexes.map { .string($0.description) }),
        "triggers": .array(table.triggers.map { .string($0.description) }), "rows": .optional(counts?[table.name]),
      ])
    }
    return chosen.adding(
      to: .object([
        "backup_id": .string(chosen.id.text),
        "plan": .object([
          "target": .string(plan.request.target), "creates_target": .bool(plan.createsTarget), "tables": .array(tables),
        ]),
        "executed": .bool(counts != nil),
        "warnings": .array((chosen.warnings + plan.warnings).map { .string($0) }),
      ]))
  }
}
