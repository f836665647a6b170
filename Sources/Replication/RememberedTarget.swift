import BackupEngine
import BackupPolicy

/// A target as this host remembers it, without a request. It can be read while another process or
/// thread writes to the target.
package struct RememberedTarget: Sendable {
  /// The next plan, if this memory is right.
  package let plan: ReplicationPlan
  /// The backups of the repository.
  package let points: [Point]
  package let now: Timestamp
  /// The number of the newest backup there; nil if it is not known.
  package let newestSequence: Int64?
  private let policy: ReplicationPolicy

  package init(_ target: Target, _ engine: Engine) throws {
    let facts = try engine.shippingFacts()
    let environment = engine.environment
    let memo = try TargetMemo(
      reading: target.identity(of: facts.repositoryID), in: environment.stateFolder, files: environment.files)
    policy = ReplicationPolicy(target.settings)
    plan = policy.plan(memo.facts(facts))
    (points, now) = (facts.points, facts.now)
    newestSequence = memo.inventory.archives.keys.map(\.sequence).max()
  }

  /// The backups that stay in the repository until the target has them.
  package var awaited: [PointID: [String]] { policy.awaited(plan, points, now: now) }

  /// The backups that compaction must not merge before the target has them.
  package var promised: [PointID: [String]] { policy.promised(plan, points, now: now) }
}
