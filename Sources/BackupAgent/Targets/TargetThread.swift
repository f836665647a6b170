import BackupEngine
import BackupPolicy
import ObjectStorage
import Replication

/// Identifies a target of a database in messages; never reused.
struct TargetID: Hashable, Sendable {
  var database: DatabaseID
  var number: Int
}

/// The thread that copies backups to one target. A store that does not answer delays nothing but
/// this thread.
///
/// Without an order it sleeps in a condition, without a timeout: the event loop has the timers.
final class TargetThread: Sendable {
  private enum Order: Sendable {
    case run(atOnce: Bool, stored: [PointMetadata]?, Progress)
    case end
  }

  private let monitor = Monitor()
  // Guarded by `monitor`.
  private nonisolated(unsafe) var orders: [Order] = []

  /// - Parameters:
  ///   - inbox: gets `.shipped` after each run, and `.targetEnded` at the end.
  ///   - work: called on the thread.
  /// - Throws: if the system has no thread left.
  init(_ id: TargetID, _ inbox: Mailbox<LoopMessage>, _ work: @escaping @Sendable () -> TargetWork) throws {
    try AgentThread("holdfast-target") { [self] in
      serve(id, inbox, work)
      inbox.post(.targetEnded(id))
    }.detach()
  }

  /// Sends what is missing, after the orders before.
  ///
  /// - Parameter stored: as `Replicator.run` takes it.
  func run(atOnce: Bool, stored: [PointMetadata]?, _ progress: Progress) {
    post(.run(atOnce: atOnce, stored: stored, progress))
  }

  /// Ends the thread after the orders before.
  func end() { post(.end) }

  /// The memo of the target is released when this returns.
  private func serve(_ id: TargetID, _ inbox: Mailbox<LoopMessage>, _ work: () -> TargetWork) {
    let work = work()
    while case .run(let atOnce, let stored, let progress) = next() {
      inbox.post(.shipped(id, work.run(atOnce: atOnce, stored: stored, progress)))
    }
  }

  private func post(_ order: Order) {
    monitor.locked {
      orders.append(order)
      monitor.wakeAll()
    }
  }

  private func next() -> Order {
    monitor.locked {
      while orders.isEmpty { monitor.wait() }
      return orders.removeFirst()
    }
  }
}

/// The result of one run of a target's thread.
struct ShippingReport: Sendable {
  /// Nil if there is no repository yet.
  var ending: Result<ReplicationOutcome?, any Error>
  /// The record of the target after the run.
  var record: TargetRecord
  /// After a failure: the backups that are newer than those that the target is known to have.
  var unsent: UnsentBackups?
}

/// One target as its thread sees it. Blocks.
final class TargetWork {
  private let engine: Engine
  private let target: Target
  private let replicator: Replicator
  private var record: TargetRecord

  init(_ engine: Engine, _ target: Target, _ store: any ObjectStore) {
    (self.engine, self.target) = (engine, target)
    replicator = Replicator(engine: engine, target: target, store: store)
    record = TargetRecord.load(target, engine) ?? TargetRecord(target)
  }

  func run(atOnce: Bool, stored: [PointMetadata]?, _ progress: Progress) -> ShippingReport {
    let ending = Result { try ship(atOnce: atOnce, stored: stored, progress) }
    var report = ShippingReport(ending: ending, record: record)
    switch ending {
    case .success(let outcome?): record.update(outcome, at: engine.environment.now())
    case .success(nil): return report
    case .failure(let error):
      if HoldfastError.isInterruption(error) { return report }
      report.unsent = recordFailure(error)
    }
    readMemo()
    save()
    report.record = record
    return report
  }

  private func ship(
    atOnce: Bool, stored: [PointMetadata]?, _ progress: Progress
  ) throws -> ReplicationOutcome? {
    guard try engine.environment.files.status(engine.folder) != nil else { return nil }
    let outcome = try replicator.run(atOnce: atOnce, stored: stored, progress: progress)
    // A person may now let another process take the target over, and that needs the memo.
    if outcome.obstacle != nil { replicator.forget() }
    return outcome
  }

  /// - Returns: the backups that are newer than those that the target is known to have.
  private func recordFailure(_ error: any Error) -> UnsentBackups? {
    (record.lastFailure, record.lastError) = (engine.environment.now(), "\(error)")
    guard let known = try? RememberedTarget(target, engine) else { return nil }
    (record.unsent, record.unsentSince) = (known.plan.unsent?.count ?? 0, known.plan.unsent?.since)
    return known.plan.unsent
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
