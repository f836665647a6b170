import BackupEngine
import BackupPolicy
import Logging

/// What the workers do for a database, one thing at a time: who is next, and what is given to them.
extension DatabaseGuard {
  /// Does what the machine says.
  func act(_ action: TriggerAction) {
    switch action {
    case .start(let trigger, let reason):
      next = BackupOrder(trigger: trigger, reason: reason)
      pump()
    case .renew(let advice, let reason):
      next = BackupOrder(trigger: .change, reason: reason, ends: advice.chain)
      pump()
    case .skip(let reason): logger.info("skipped: \(reason)")
    case .wait(let deadline): logger.debug("waiting", metadata: ["until": "\(deadline.map { "\($0)" } ?? "an event")"])
    case .stop:
      hasMachineStopped = true
      pump()
    }
  }

  /// Gives the worker what is to be done next, if it is free.
  func pump() {
    guard job == nil else { return }
    if let next {
      self.next = nil
      begin(next)
    } else if owesAssessment, !isStopping {
      owesAssessment = false
      run(.assessing) { $0.assess($1) }
    } else if isStopping {
      finishStopping()
    } else if housekeeping == nil, drills.running == nil {
      beginDrill()
      beginHousekeeping()
    }
  }

  private func beginHousekeeping() {
    guard drills.running == nil, !isStopping else { return }
    var order = HousekeepingOrder()
    if settings.retention != nil, cleaningRhythm.begin(at: clock.monotonic) { order.retention = settings.retention }
    if settings.thinning != nil, thinningRhythm.begin(at: clock.monotonic) { order.thinning = settings.thinning }
    guard !order.isEmpty else { return }
    let progress = Progress()
    housekeeping = progress
    shared.housekeeping.submit(id) { [id, work, order] in .keptHouse(id, work.keepHouse(order, progress)) }
  }

  private func begin(_ wanted: BackupOrder) {
    var order = wanted
    if order.trigger == .change, order.ends == nil { order.reason = startReason ?? order.reason }
    startReason = nil
    if isStopping {
      guard !isAbandoned else { return act(machine.receive(.finished(.failed(.interrupted)), at: clock.moment)) }
      owesLastLook = false
    }
    do {
      try lock.ensure()
      clearAlarms([.otherAgent])
    } catch {
      return prevent(order.trigger, error)
    }
    noteKeyFiles()
    release = ReleaseWatch()
    let progress = ReadingReport.progress(shared.inbox, id)
    let coversChange = isChangeOwed
    isChangeOwed = false
    logger.info("backing up \(database.name): \(order.reason)")
    run(.backingUp(progress, order.trigger, coversChange: coversChange)) { [order] in $0.backUp(order, progress, $1) }
  }

  /// The machine is told by a message, for it may be asking at this moment.
  private func prevent(_ trigger: Trigger, _ error: any Error) {
    let error = error as? HoldfastError ?? HoldfastError(.failed, "\(error)")
    job = .backingUp(Progress(), trigger, coversChange: isChangeOwed)
    shared.inbox.post(.finished(id, .prevented(error)))
  }

  func run(_ job: Job, _ body: @escaping @Sendable (DatabaseWork, HoldTerms) -> JobResult) {
    hear()
    if case .looking = job { followUp.beginLook() }
    self.job = job
    let terms = prepareHold(for: job)
    shared.workers.submit(id) { [id, work] in .finished(id, body(work, terms)) }
  }

  /// Takes what the worker has done.
  func finish(_ result: JobResult) {
    guard let ended = job else { return }
    job = nil
    endReading()
    endHold()
    lock.rest()
    take(result, of: ended)
    pump()
  }

  func finish(_ result: HousekeepingResult) {
    guard housekeeping != nil else { return }
    housekeeping = nil
    if let isFinished = result.isFinished { thinningRhythm.end(isFinished: isFinished) }
    note(clockDoubt: result.clockDoubt)
    note(result.advice)
    pump()
  }
}
