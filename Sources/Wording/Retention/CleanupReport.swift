import BackupEngine
import BackupPolicy
import Names

/// The decisions of retention, with their reasons.
package struct CleanupReport {
  package let decision: RetentionDecision
  private let executed: Bool

  /// - Parameter executed: true after a removal, false for a plan.
  package init(decision: RetentionDecision, executed: Bool) {
    (self.decision, self.executed) = (decision, executed)
  }

  /// The removed backups, then the kept ones.
  package var lines: [String] {
    let verb = executed ? "Removed" : "Would remove"
    return section("\(verb): \(decision.remove.count.grouped)", decision.remove)
      + section("Kept: \(decision.keep.count.grouped)", decision.keep)
  }

  private func section(_ title: String, _ verdicts: [RetentionVerdict]) -> [String] {
    [title] + verdicts.map { "  \($0.id)  \($0.reasons.joined(separator: "; ").printable)" }
  }

  /// The same for scripts, and `refused` if nothing may be removed.
  package var json: JSONValue {
    var keys: JSONObject = ["keep": Self.json(decision.keep), "remove": Self.json(decision.remove)]
    if let refused = decision.refused { keys["refused"] = .string(refused) }
    return .object(keys)
  }

  private static func json(_ verdicts: [RetentionVerdict]) -> JSONValue {
    .array(
      verdicts.map {
        .object(["backup_id": .string($0.id.text), "reasons": .array($0.reasons.map { .string($0) })])
      })
  }
}
