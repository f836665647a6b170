import BackupEngine
import BackupPolicy
import ObjectStorage

/// The state of a target as this host knows it without a request.
package struct TargetSummary: Sendable {
  package var usage = TargetUsage()
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

  /// Whether this host ever used the target.
  package var isUsed: Bool { listed != nil || put != nil || !usage.month.isEmpty }
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
    summary.usage = memo.usage
    (summary.listed, summary.put) = (memo.state.listed, memo.state.put)
    let plan = policy.plan(memo.facts(facts))
    (summary.unsent, summary.needsFull, summary.keyProblem) = (plan.unsent, plan.needsFull, facts.keyProblem)
    summary.lag = target.lag.decide(plan.unsent, now: facts.now)
    // Anyone who can write to the target can write a name with a larger number than any of ours.
    summary.newest =
      archives.filter { $0.name.sequence <= facts.newestSequence }
      .max { $0.name.sequence < $1.name.sequence }?.point
    return summary
  }
}

extension TargetMemo {
  var usage: TargetUsage {
    var usage = TargetUsage()
    usage.objects = inventory.archives.count
    usage.bytes = inventory.archives.keys.reduce(0) { $0.addingClamped($1.bytes) }
    usage.newest = inventory.archives.values.max { $0.name.sequence < $1.name.sequence }?.point.created
    (usage.month, usage.requests, usage.sentBytes) = (state.month, state.requests, state.sentBytes)
    return usage
  }
}

extension StoreURL {
  /// The list prices of the store; nil for a folder, and if they are not known.
  package var prices: StorePrices? {
    guard case .s3(let location) = self else { return nil }
    return StorePrices(host: location.endpoint?.host ?? "s3.amazonaws.com")
  }
}

extension Target {
  /// Of the memo: another address is another target.
  func identity(of repositoryID: String) -> String { "\(address)\n\(repositoryID)" }
}
