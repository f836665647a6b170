import BackupEngine
import BackupPolicy

/// What a removal by hand takes away, for people and for scripts.
struct RemovalReport {
  let plan: RemovalPlan
  let zone: ZoneRules

  private var children: Int { plan.points.count - 1 }

  /// `backup_…`, or `backup_… and the 3 points that need it (1.2 MiB)`.
  var subject: String {
    guard children > 0 else { return "\(plan.point.id)" }
    let others = children == 1 ? "the point that needs it" : "the \(children.grouped) points that need it"
    return "\(plan.point.id) and \(others) (\(ByteCount(plan.archiveBytes)))"
  }

  var question: String {
    children == 0 ? "Delete this backup for good?" : "Delete these \(plan.points.count.grouped) backups for good?"
  }

  /// One point's fields; of several a line each, in the order in which they go.
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
