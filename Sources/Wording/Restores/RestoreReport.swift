import BackupEngine
import BackupPolicy
import Names

/// A restore's plan and result, for people and for scripts.
package struct RestoreReport {
  private let chosen: ChosenPoint
  package let plan: RestorePlan
  private let undoes: RestoreNote?

  /// - Parameter undoes: the earlier restore that this one undoes; nil for other restores.
  package init(chosen: ChosenPoint, plan: RestorePlan, undoes: RestoreNote? = nil) {
    (self.chosen, self.plan, self.undoes) = (chosen, plan, undoes)
  }

  private var id: PointID { chosen.id }

  /// The plan: the steps in order, and the warnings to read before a yes.
  package var planLines: [String] {
    let target = plan.facts.target.path.printable
    let steps = plan.steps.enumerated().map { number, step in
      "  \(number + 1). \(step.detail.printable)" + (step.bytes.map { " (\(ByteCount($0)))" } ?? "")
    }
    let undone = undoes.map {
      ["Undoes the restore of \($0.point) on \(chosen.zone.stamp($0.began))", ""]
    }
    let introduction = chosen.introduction.isEmpty ? [] : chosen.introduction + [""]
    return introduction + (undone ?? []) + [
      "Restore of \(id) to \(target), \(manner)", "",
    ] + steps
      + warningLines(chosen.warnings + plan.warnings)
  }

  /// A new file replaces no content, so it needs no confirmation.
  package var losesNothing: Bool {
    if case .newFile = plan.request.target { return true }
    return false
  }

  /// The consequence of a yes, before the question; empty if a new file is made.
  package var consequence: String {
    guard plan.install != .newFile else { return "" }
    let target = plan.facts.target.path.lastComponent.printable
    let isKept = plan.steps.contains { [.safetyBackup, .damagedSafetyCopy].contains($0.kind) }
    return
      "The content of \(target) is replaced\(isKept ? ", and kept as a safety backup" : " and lost: no safety backup is made"). "
  }

  private var manner: String {
    switch plan.install {
    case .live: "live"
    case .replace: "by replacing the file"
    case .newFile: "as a new file"
    }
  }

  private func warningLines(_ warnings: [String]) -> [String] {
    warnings.isEmpty ? [] : ["", "Warnings:"] + warnings.map { "  ! \($0.printable)" }
  }

  /// The result, and the warnings that the plan could not know.
  package func resultLines(_ outcome: RestoreOutcome) -> [String] {
    let target = outcome.plan.facts.target.path.printable
    var lines = ["✓ restored \(id) to \(target)"]
    if let safety = outcome.safetyBackupID { lines.append("  The previous content is kept as \(safety)") }
    switch outcome.plan.install {
    case .live: lines.append("  Applications that have it open see the restored content without a restart")
    case .replace: lines.append("  It is another file now: applications that had the old one open must reopen it")
    case .newFile: break
    }
    return lines + newWarnings(outcome)
  }

  /// The warnings that the plan could not know.
  package func newWarnings(_ outcome: RestoreOutcome) -> [String] {
    warningLines(outcome.warnings.filter { !plan.warnings.contains($0) })
  }

  /// - Parameter outcome: nil if nothing was executed.
  package func json(_ outcome: RestoreOutcome?) -> JSONValue {
    let plan = outcome?.plan ?? plan
    let warnings = chosen.warnings + (outcome?.warnings ?? plan.warnings)
    var keys: JSONObject = [
      "backup_id": .string(id.text), "plan": Self.json(plan), "executed": .bool(outcome != nil),
      "safety_backup_id": .optional(outcome?.safetyBackupID?.text),
      "warnings": .array(warnings.map { .string($0) }),
    ]
    if let undoes {
      keys["undoes"] = .object([
        "backup_id": .string(undoes.point.text), "restored_at": .string(undoes.began.iso8601),
      ])
    }
    return chosen.adding(to: .object(keys))
  }

  private static func json(_ plan: RestorePlan) -> JSONValue {
    .object([
      "install": .string(plan.install.rawValue),
      "steps": .array(
        plan.steps.map {
          .object(["step": .string($0.kind.rawValue), "detail": .string($0.detail), "bytes": .optional($0.bytes)])
        }),
    ])
  }

  /// The document for a restore that is refused.
  package static func json(_ refusal: HoldfastError) -> JSONValue {
    .object(["refused": .object(["reason": .string(refusal.message), "hint": .string(refusal.hint ?? "")])])
  }
}
