import BackupEngine
import BackupPolicy
import Names

/// The backups that a removal by hand removes, for people and for scripts.
struct RemovalReport {
  let plan: RemovalPlan
  let zone: ZoneRules

  private var children: Int { plan.points.count - 1 }

  /// `backup_…`, or `backup_… and the 3 backups that need it (1.2 MiB)`.
  var subject: String {
    guard children > 0 else { return "\(plan.point.id)" }
    let others = children == 1 ? "the backup that needs it" : "the \(children.grouped) backups that need it"
    return "\(plan.point.id) and \(others) (\(ByteCount(plan.archiveBytes)))"
  }

  var question: String {
    children == 0 ? "Delete this backup for good?" : "Delete these \(plan.points.count.grouped) backups for good?"
  }

  /// The fields of one backup; for several, a line each in the order of their removal.
  var lines: [String] {
    guard children > 0 else {
      return PointListing.fields(plan.point.metadata, problems: plan.point.problems, zone: zone)
    }
    return plan.points.map { "    \($0.id)  \(PointLine($0, zone: zone).text)" }
  }

  func json(deleted: Bool) -> JSONValue {
    .object([
      "backup_id": .string(plan.point.id.text), "deleted": .bool(deleted),
      "points": .array(plan.points.map { .string($0.id.text) }),
    ])
  }
}

/// The decisions of retention, with their reasons.
struct CleanupReport {
  let decision: RetentionDecision
  /// True after a removal, false for a plan.
  let executed: Bool

  var lines: [String] {
    let verb = executed ? "Removed" : "Would remove"
    return section("\(verb): \(decision.remove.count.grouped)", decision.remove)
      + section("Kept: \(decision.keep.count.grouped)", decision.keep)
  }

  private func section(_ title: String, _ verdicts: [RetentionVerdict]) -> [String] {
    [title] + verdicts.map { "  \($0.id)  \($0.reasons.joined(separator: "; ").printable)" }
  }

  var json: JSONValue {
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
