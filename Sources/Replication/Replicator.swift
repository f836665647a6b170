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
  /// Why nothing may be written; nil if that is not so.
  package var obstacle: ReplicationObstacle?
  /// The store allows no removal. All that was owed is there.
  package var refusedRemoval: StoreError?

  package init(plan: ReplicationPlan) { self.plan = plan }

  /// Whether each step of the plan is done.
  var isComplete: Bool {
    obstacle == nil && refusedRemoval == nil && next == nil && put.count == plan.puts.count
      && removed.count == plan.removals.count
  }

  /// Also counts the runs that ended at damaged archives before this one.
  fileprivate func adding(_ before: [ReplicationOutcome]) -> ReplicationOutcome {
    var all = self
    all.put = before.flatMap(\.put) + put
    all.removed = before.flatMap(\.removed) + removed
    for outcome in before {
      all.sentBytes = all.sentBytes.addingClamped(outcome.sentBytes)
      all.requests = all.requests + outcome.requests
    }
    return all
  }

  /// The backups that the target should have and does not, after the run.
  package var unsent: UnsentBackups? { plan.unsent(after: put) }
}

/// Why nothing may be written to a target. The texts are lower case, without a full stop.
package enum ReplicationObstacle: Hashable, Sendable {
  /// It holds backups that this repository never stored.
  case foreign(String)
  /// Another machine writes to it.
  case takenOver(String)
  /// This machine took it over, and has not stored a full since.
  case fullNeeded

  package var reason: String {
    switch self {
    case .foreign(let reason), .takenOver(let reason): reason
    case .fullNeeded: ReplicationPolicy.fullNeeded
    }
  }
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
  /// Nil if the next run needs a plan.
  private var direct: DirectPuts?
  private var doubt = ContentDoubt()
  private let steps = StepCounter()
  /// Whether the store accepted something in the last run, also if the run failed.
  package private(set) var madeProgress = false
  private let isAgent: Bool
  /// The file of this host's memory of the target; nil before the first use.
  package private(set) var memoPath: String?
  /// The content of the target and the requests to it; nil while it is not used.
  package var usage: TargetUsage? { session?.usage }

  /// - Parameter isAgent: this process is an agent, which other processes are told.
  package init(engine: Engine, target: Target, store: any ObjectStore, isAgent: Bool = false) {
    (self.engine, self.target, self.store, self.isAgent) = (engine, target, store, isAgent)
    policy = ReplicationPolicy(target.settings)
  }

  /// Whether a run reads all archives in the target first, and puts those again that are damaged.
  package var audits = false

  /// Whether the next run that makes a plan lists the target first, although it was listed before.
  package var listsFirst = false

  /// Returns the plan that a run would execute now. Lists the target first, unless this object did before.
  /// Beside a process that writes to the target it is the plan of that process.
  ///
  /// - Throws: the failures of the store as ``StoreError``, others as `HoldfastError`.
  package func plan(progress: Progress = Progress()) throws -> ReplicationPlan {
    do {
      let facts = try usableFacts()
      let (session, _) = try begun(facts)
      if audits { try session.audit(progress) }
      return policy.plan(session.facts(facts))
    } catch let error as HoldfastError where error.cause is TargetHolder {
      return try planBesideWriter()
    }
  }

  /// Needs no lock, because nothing is written, not even the memo.
  private func planBesideWriter() throws -> ReplicationPlan {
    let facts = try usableFacts()
    let session = try ReplicationSession(
      engine, target, store, repositoryID: facts.repositoryID, try memo(toRead: facts.repositoryID))
    let newer = try session.begin(facts.now, usableFacts)
    return policy.plan(session.facts(newer))
  }

  private func memo(toRead repositoryID: String) throws -> TargetMemo {
    try TargetMemo(
      reading: target.identity(of: repositoryID), in: engine.environment.stateFolder, files: engine.environment.files)
  }

  private func memo(toWrite repositoryID: String) throws -> TargetMemo {
    try TargetMemo(
      in: engine.environment.stateFolder, identity: target.identity(of: repositoryID), name: target.name,
      isAgent: isAgent, files: engine.environment.files)
  }

  /// - Throws: `wrongKey` if the key opens no backup: nothing could be told from a forgery then.
  private func usableFacts() throws -> ShippingFacts {
    let facts = try engine.shippingFacts()
    if let problem = facts.keyProblem { throw problem }
    return facts
  }

  /// Checks that the folder of the target is the one that this host has used. It costs no request.
  ///
  /// - Throws: `refused` if it is not; `noContainer` if there is no folder.
  package func requireFolder() throws {
    guard target.requiredFolder != nil else { return }
    let facts = try engine.shippingFacts()
    guard let folder = RemoteFolder(store, repositoryID: facts.repositoryID) else { return }
    try FolderMark(folder, memo(toRead: facts.repositoryID), target).find()
  }

  /// Accepts another folder in place of the one that this host has used.
  ///
  /// - Throws: `usage` for a bucket.
  package func acceptFolder() throws {
    guard target.requiredFolder != nil else {
      throw HoldfastError(
        .usage, "the target \(target.name) is a bucket and not a folder", hint: "leave --new-folder out")
    }
    forget()
    let facts = try usableFacts()
    try ReplicationSession(
      engine, target, store, repositoryID: facts.repositoryID, memo(toWrite: facts.repositoryID)
    ).acceptFolder()
  }

  /// Makes a plan and executes it, up to the first step that fails. If nothing but new backups can
  /// make a difference since the last plan, they are put without another one.
  ///
  /// - Parameters:
  ///   - atOnce: the newest backup is sent although the interval of the target is not over.
  ///   - stored: the backups that were stored since the last run, the oldest first; nil if anything
  ///     else may have changed.
  /// - Throws: the failures of the store as ``StoreError``, others as `HoldfastError`. The steps
  ///   before are done and remembered.
  package func run(
    atOnce: Bool = false, stored: [PointMetadata]? = nil, progress: Progress = Progress()
  ) throws -> ReplicationOutcome {
    let before = steps.count
    defer { madeProgress = steps.count != before }
    do {
      let outcome = try runPlans(atOnce, stored, progress)
      doubt.clear()
      return outcome
    } catch let error as StoreError {
      doubt.recordFailure(isAboutContent: error.isAboutContent, at: engine.environment.now())
      throw error
    }
  }

  private func runPlans(_ atOnce: Bool, _ stored: [PointMetadata]?, _ progress: Progress) throws -> ReplicationOutcome {
    for attempt in 0..<Self.mostPlans {
      do {
        if attempt == 0, let stored, let outcome = try runDirectly(stored, atOnce, progress) { return outcome }
        return try runPlan(atOnce, progress)
      } catch is DamagedArchiveHere {
        try progress.check()
      } catch let error as HoldfastError where [.factsChanged, .pointNotFound].contains(error.code) {
        // Compaction or a removal was faster: the next plan knows the repository as it is.
        try progress.check()
      } catch let error as StoreError where error.kind == .missing {
        // An object that the last list showed is gone: the next plan knows the target as it is.
        doubt.recordFailure(isAboutContent: true, at: engine.environment.now())
        try progress.check()
      } catch is ChangedTarget {
        try progress.check()
        session = nil
      }
    }
    do {
      return try runPlan(atOnce, progress)
    } catch is ChangedTarget {
      session = nil
      throw HoldfastError(
        .busy, "other machines begin to write to the target \(target.name) at the same time", hint: "try again")
    }
  }

  /// Lets this machine go on after another one wrote to the target. The next backup is a full, and
  /// nothing is sent before it.
  package func takeOver() throws {
    // Its number must be behind those of all backups that are there now.
    forget()
    let facts = try usableFacts()
    try begun(facts).session.takeOver(facts)
    session = nil
  }

  /// Forgets the list of the target, so that the next plan lists it again.
  package func forget() { (session, direct) = (nil, nil) }

  /// Keeps no file open until the next use. Another process may write to the target meanwhile; then
  /// the next plan lists it again.
  package func rest() { session?.rest() }

  private static let mostPlans = 3
  /// In one run. The next one goes on behind them.
  private static let mostDamaged = 100

  private func runDirectly(
    _ stored: [PointMetadata], _ atOnce: Bool, _ progress: Progress
  ) throws -> ReplicationOutcome? {
    guard let session, let direct else { return nil }
    // After a failure only a plan knows what is missing.
    self.direct = nil
    guard try session.resume() else {
      self.session = nil
      return nil
    }
    let environment = engine.environment
    guard
      let run = try direct.run(
        stored, atOnce: atOnce, at: environment.monotonic(), by: policy, in: session, checkedEvery: target.check,
        now: environment.now(), progress)
    else { return nil }
    self.direct = run.next
    return run.outcome
  }

  /// Plans anew without each backup that turns out to be damaged in the repository.
  private func runPlan(_ atOnce: Bool, _ progress: Progress) throws -> ReplicationOutcome {
    var before: [ReplicationOutcome] = []
    for _ in 0..<Self.mostDamaged {
      do {
        return try runOnce(atOnce, progress).adding(before)
      } catch let damaged as DamagedArchiveHere {
        before += [damaged.before].compactMap(\.self)
        try progress.check()
      }
    }
    throw HoldfastError(
      .archiveCorrupt, "target \(target.name): many archives in the repository are damaged",
      hint: "holdfast verify --all")
  }

  private func runOnce(_ atOnce: Bool, _ progress: Progress) throws -> ReplicationOutcome {
    direct = nil
    let start = engine.environment.monotonic()
    let facts = try usableFacts()
    let (session, isKnown) = try begun(facts)
    if isKnown && listsFirst || doubt.needsList(since: session.listed, now: facts.now) {
      try session.listAgain(facts.now)
    }
    listsFirst = false
    try session.check(every: target.check, now: facts.now)
    session.removeLeftovers(facts.now)
    if audits { try session.audit(progress) }
    var planned = session.facts(facts)
    if atOnce { planned.lastPut = nil }
    let outcome = try session.execute(policy.plan(planned), facts, progress)
    direct = DirectPuts(after: outcome, facts, planned: start)
    return outcome
  }

  /// - Returns: whether the session was used before. A caller that kept the old session would keep its
  ///   lock, and the new one could not begin.
  private func begun(_ facts: ShippingFacts) throws -> (session: ReplicationSession, isKnown: Bool) {
    if let session, session.folder.repositoryID == facts.repositoryID, try session.resume() { return (session, true) }
    self.session = nil
    let session = try ReplicationSession(
      engine, target, store, repositoryID: facts.repositoryID, memo(toWrite: facts.repositoryID), steps: steps)
    memoPath = session.memoPath
    _ = try session.begin(facts.now) { facts }
    self.session = session
    return (session, false)
  }
}

extension StoreError {
  /// Whether the target may not have what it is known to have.
  fileprivate var isAboutContent: Bool {
    switch kind {
    case .missing, .noContainer, .damaged, .outOfRange: true
    default: false
    }
  }
}
