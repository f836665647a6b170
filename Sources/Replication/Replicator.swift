import BackupEngine
import BackupPolicy
import ObjectStorage

/// The result of one run of a plan.
package struct ReplicationOutcome: Sendable {
  /// The plan as it was made before the first step.
  package var plan: ReplicationPlan
  package var put: [RemoteName] = []
  package var removed: [RemoteName] = []
  /// Bytes of the archives that were put.
  package var sentBytes: Int64 = 0
  package var requests = RequestCount()
  /// When to run again although nothing new is stored; nil: never.
  package var next: Timestamp?
}

/// Copies the backups of one database to one target. One thread at a time uses it.
///
/// ``ReplicationPolicy`` decides; this executes. It holds the target's memo, so two processes never
/// write to one target from one machine.
package final class Replicator {
  package let target: Target
  let engine: Engine
  let policy: ReplicationPolicy
  private let store: any ObjectStore
  private var session: ReplicationSession?

  package init(engine: Engine, target: Target, store: any ObjectStore) {
    (self.engine, self.target, self.store) = (engine, target, store)
    policy = ReplicationPolicy(target.settings)
  }

  /// Returns the plan that a run would execute now. Lists the target first, unless this object did before.
  ///
  /// - Throws: the failures of the store as ``StoreError``, others as `HoldfastError`.
  package func plan() throws -> ReplicationPlan {
    let facts = try engine.shippingFacts()
    return policy.plan(try begun(facts).facts(facts))
  }

  /// Makes a plan and executes it, up to the first step that fails.
  ///
  /// - Throws: the failures of the store as ``StoreError``, others as `HoldfastError`. The steps
  ///   before are done and remembered.
  package func run(progress: Progress = Progress()) throws -> ReplicationOutcome {
    for _ in 0..<Self.mostPlans {
      do {
        return try runOnce(progress)
      } catch let error as HoldfastError where [.factsChanged, .pointNotFound].contains(error.code) {
        // Compaction or a removal was faster: the next plan knows the repository as it is.
        try progress.check()
      }
    }
    return try runOnce(progress)
  }

  /// Lets this machine go on after another one wrote to the target. The next backup has to be a
  /// full.
  package func takeOver() throws {
    let facts = try engine.shippingFacts()
    let session = try begun(facts)
    let base = try session.takeOver(facts)
    try engine.continueBehind(sequence: base)
    self.session = nil
  }

  /// Forgets the list of the target, so that the next plan lists it again.
  package func forget() { session = nil }

  private static let mostPlans = 3

  private func runOnce(_ progress: Progress) throws -> ReplicationOutcome {
    let facts = try engine.shippingFacts()
    let session = try begun(facts)
    try session.check(every: target.check, now: facts.now)
    let plan = policy.plan(session.facts(facts))
    return try session.execute(plan, facts, progress)
  }

  private func begun(_ facts: ShippingFacts) throws -> ReplicationSession {
    if let session, session.folder.repositoryID == facts.repositoryID { return session }
    let session = try ReplicationSession(engine, target, store, facts)
    try session.begin(facts)
    self.session = session
    return session
  }
}
