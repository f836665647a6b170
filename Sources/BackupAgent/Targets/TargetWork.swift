import BackupEngine
import BackupPolicy
import ObjectStorage
import Replication

/// The result of one run for a target.
struct ShippingReport: Sendable {
  /// Nil if there is no repository yet.
  var ending: Result<ReplicationOutcome?, any Error>
  /// The record of the target after the run.
  var record: TargetRecord
  /// The chain that a full must end before anything is sent; nil if that is not so.
  var outdatedChain: PointID?
  /// Milliseconds that the store's clock is ahead of this machine's; nil if it is not known.
  var clockOffset: Int64?
  /// The file of the target's memo; nil before the first list.
  var memoPath: String?
  /// After a failure: the backups that the target should have and is not known to have.
  var unsent: UnsentBackups?
  /// Whether the store accepted something, also if the run failed.
  var madeProgress = false

  /// Another machine writes to the target, or did.
  var isRefused: Bool {
    guard case .success(let outcome?) = ending, let obstacle = outcome.obstacle else { return false }
    return obstacle != .fullNeeded
  }
}

/// One target as the threads see it. One thread at a time uses it; it blocks.
final class TargetWork {
  private let engine: Engine
  private let target: Target
  private let store: any ObjectStore
  private let replicator: Replicator
  private var record: TargetRecord

  init(_ engine: Engine, _ target: Target, _ store: any ObjectStore) {
    (self.engine, self.target, self.store) = (engine, target, store)
    replicator = Replicator(engine: engine, target: target, store: store, isAgent: true)
    record = TargetRecord.load(target, engine) ?? TargetRecord(target)
  }

  func run(_ order: TargetOrder, _ progress: Progress) -> ShippingReport {
    let ending = Result { try ship(order, progress) }
    // Until the next try, a command may use the target.
    let hasFailed = (try? ending.get()) == nil
    defer { if !order.keepsLock || hasFailed { replicator.rest() } }
    var report = ShippingReport(ending: ending, record: record)
    report.clockOffset = (store as? S3Store).map { $0.clockOffset == 0 ? $0.observedDrift ?? 0 : $0.clockOffset }
    (report.memoPath, report.madeProgress) = (replicator.memoPath, replicator.madeProgress)
    switch ending {
    case .success(let outcome?):
      record.update(outcome, at: engine.environment.now())
      if outcome.obstacle == .fullNeeded { report.outdatedChain = newestChain() }
    case .success(nil): return report
    case .failure(let error):
      if HoldfastError.isInterruption(error) { return report }
      report.unsent = recordFailure(error)
    }
    readMemo()
    if let usage = replicator.usage { record.usage = usage }
    save()
    report.record = record
    return report
  }

  private func ship(_ order: TargetOrder, _ progress: Progress) throws -> ReplicationOutcome? {
    // The order may have waited for a thread, and may have been given up meanwhile.
    try progress.check()
    guard try engine.environment.files.status(engine.folder) != nil else { return nil }
    if order.lists { replicator.listsFirst = true }
    let outcome = try replicator.run(atOnce: order.atOnce, stored: order.stored, progress: progress)
    // A person may now let another process take the target over, and that needs the memo.
    if let obstacle = outcome.obstacle, obstacle != .fullNeeded { replicator.forget() }
    return outcome
  }

  /// - Returns: the backups that the target should have and is not known to have.
  private func recordFailure(_ error: any Error) -> UnsentBackups? {
    (record.lastFailure, record.lastError) = (engine.environment.now(), "\(error)")
    guard let known = try? RememberedTarget(target, engine) else { return nil }
    (record.unsent, record.unsentSince) = (known.plan.unsent?.count ?? 0, known.plan.unsent?.since)
    return known.plan.unsent
  }

  private func newestChain() -> PointID? {
    guard let newest = try? engine.newestReadable() else { return nil }
    return newest.metadata.chainID ?? newest.id
  }

  /// The first run may find everything there.
  private func readMemo() {
    if record.newestSequence == nil { record.newestSequence = try? RememberedTarget(target, engine).newestSequence }
  }

  private func save() {
    do {
      try record.save(engine)
    } catch {
      engine.environment.logger.debug("the state of the target \(record.name) was not saved: \(error)")
    }
  }
}

extension HoldfastError {
  /// Whether a run ended because the agent asked for it.
  static func isInterruption(_ error: any Error) -> Bool {
    if let error = error as? StoreError { return error.kind == .cancelled }
    return (error as? HoldfastError)?.code == .interrupted
  }
}
