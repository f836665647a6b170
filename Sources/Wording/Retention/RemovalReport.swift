import BackupEngine
import BackupPolicy

/// The backups that a removal by hand removes, for people and for scripts.
package struct RemovalReport {
  private let plan: RemovalPlan
  private let zone: ZoneRules

  /// - Parameter zone: in which times are shown.
  package init(plan: RemovalPlan, zone: ZoneRules) { (self.plan, self.zone) = (plan, zone) }

  private var children: Int { plan.points.count - 1 }

  /// `backup_…`, or `backup_… and the 3 backups that need it (1.2 MiB)`.
  package var subject: String {
    guard children > 0 else { return "\(plan.point.id)" }
    let others = children == 1 ? "the backup that needs it" : "the \(children.grouped) backups that need it"
    return "\(plan.point.id) and \(others) (\(ByteCount(plan.archiveBytes)))"
  }

  /// The question before the removal.
  package var question: String {
    children == 0 ? "Delete this backup for good?" : "Delete these \(plan.points.count.grouped) backups for good?"
  }

  /// The fields of one backup; for several, a line each in the order of their removal.
  package var lines: [String] {
    guard children > 0 else {
      return PointListing.fields(plan.point.metadata, problems: plan.point.problems, zone: zone)
    }
    return plan.points.map { "    \($0.id)  \(PointLine($0, zone: zone).text)" }
  }

  /// - Parameter deleted: false for a plan.
  package func json(deleted: Bool) -> JSONValue {
    .object([
      "backup_id": .string(plan.point.id.text), "deleted": .bool(deleted),
      "points": .array(plan.points.map { .string($0.id.text) }),
    ])
  }
}
