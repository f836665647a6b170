import BackupEngine
import BackupPolicy

/// The state of a target as this host knows it without a request.
package struct TargetSummary: Sendable {
  /// Archives there.
  package var objects = 0
  /// Bytes of all of them.
  package var bytes: Int64 = 0
  /// The newest backup there; nil if it is unknown.
  package var newest: Point?
  /// The backups that it should have and does not, which may be older than that; nil without any.
  package var unsent: UnsentBackups?
  package var lag = TargetLag.upToDate
  /// Whether the target was taken over, and waits for a full.
  package var needsFull = false
  /// Why the key is wrong, so that nothing is sent; nil if it is not.
  package var keyProblem: HoldfastError?
  /// When the target was last listed.
  package var listed: Timestamp?
  /// When the newest backup was last put.
  package var put: Timestamp?
  /// Since the start of the UTC month ``month``, by this host.
  package var requests = RequestCount()
  package var sentBytes: Int64 = 0
  /// Such as 2026-11; empty before the first request.
  package var month = ""
}

extension Replicator {
  /// Reads this host's memo of the target, also while another process writes to it.
  package func summary() throws -> TargetSummary {
    let facts = try engine.shippingFacts()
    let environment = engine.environment
    let memo = try TargetMemo(
      reading: target.identity(of: facts.repositoryID), in: environment.stateFolder, files: environment.files)
    var summary = TargetSummary()
    let archives = memo.inventory.archives.values
    summary.objects = archives.count
    summary.bytes = archives.reduce(0) { $0.addingClamped($1.name.bytes) }
    (summary.listed, summary.put) = (memo.state.listed, memo.state.put)
    (summary.month, summary.requests, summary.sentBytes) = (
      memo.state.month, memo.state.requests, memo.state.sentBytes
    )
    let plan = policy.plan(memo.facts(facts))
    (summary.unsent, summary.needsFull, summary.keyProblem) = (plan.unsent, plan.needsFull, facts.keyProblem)
    summary.lag = LagPolicy(maxLag: target.maxLag, interval: target.settings.interval).decide(
      plan.unsent, now: facts.now)
    summary.newest = archives.max { $0.name.sequence < $1.name.sequence }?.point
    return summary
  }
}

extension Target {
  /// Of the memo: another address is another target.
  func identity(of repositoryID: String) -> String { "\(address)\n\(repositoryID)" }
}
