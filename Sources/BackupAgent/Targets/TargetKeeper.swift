import BackupEngine
import BackupPolicy
import Logging
import ObjectStorage
import Replication

/// One target's side of the event loop: passes events to the ``ShippingMachine`` and carries out its
/// decisions, and owns the target's alarms and lines in the log. Belongs to the loop's thread.
final class TargetKeeper {
  let id: TargetID
  let target: Target
  private var record: TargetRecord
  private let engine: Engine
  private let shared: LoopContext
  private let alarms: AlarmBook
  private let logger: Logger
  private var machine: ShippingMachine
  private let meter = TrafficMeter()
  private var lane: TargetLane?
  private var progress: Progress?
  /// The backups that were stored since the last run began; nil if anything else happened too, and
  /// before the first run.
  private var stored: [PointMetadata]?
  /// Since when runs fail, when the next line about it is due, and when the end of it is logged,
  /// monotonic: nil while runs fail.
  private var trouble: (since: Timestamp, nextLine: Int64, calm: Int64?)?
  /// Commands that wait for the end of a run.
  private var waiters = RunWaiters()
  /// When to check for the folder of the target that was not there, monotonic.
  private var folderCheckTime: Int64?
  private var missingFolders: [String] = []
  /// The last run was stopped, so nothing was found out about what is missing.
  private var wasStopped = false
  /// The memo when the target was found to belong to another machine: a take-over changes it.
  private var memoBefore: (path: String, status: FileStatus?)?
  /// Until then the end of the lane is waited for.
  private var patienceEnd: Int64?
  private(set) var isDone = false

  init(_ id: TargetID, _ target: Target, _ engine: Engine, _ shared: LoopContext, _ alarms: AlarmBook, _ logger: Logger)
  {
    (self.id, self.target, self.engine, self.shared) = (id, target, engine, shared)
    (self.alarms, self.logger) = (alarms, logger)
    record = TargetRecord(target)
    machine = ShippingMachine(
      ShippingMachine.Settings(lag: target.lag, check: target.settings.access == .writeOnly ? 0 : target.check))
  }

  private var clock: LoopClock { shared.clock }
  var isRunning: Bool { machine.isRunning }

  /// As the last run found it, and with the backups since.
  var status: TargetRecord {
    var status = record
    (status.unsent, status.unsentSince) = (machine.unsent?.count ?? 0, machine.unsent?.since)
    status.nextTry = machine.nextTry(at: clock.moment)
    return status
  }

  /// The requests so far; nil for a folder, which gets no requests.
  var traffic: TargetTraffic? { target.requiredFolder == nil ? meter.traffic : nil }

  /// When something is due by a clock.
  var deadline: Deadline {
    guard !isDone else { return Deadline() }
    return machine.deadline(at: clock.now).earlier(Deadline(monotonic: patienceEnd ?? folderCheckTime))
      .earlier(Deadline(monotonic: trouble?.calm))
  }

  /// Whether the target needs no new thread after a reload.
  func isUnchanged(_ target: Target, _ engine: Engine) -> Bool {
    self.target.isEqual(target) && self.engine.credentials.matches(engine.credentials)
  }

  // MARK: Events

  func recordBackup(_ point: PointMetadata) {
    stored?.append(point)
    receive(.stored(point.id, point.created))
  }

  func receive(_ event: ShippingEvent) {
    guard !isDone else { return }
    if [.changed, .requested, .sync].contains(event) { stored = nil }
    if let patienceEnd {
      if patienceEnd <= clock.monotonic { leave() }
      return
    }
    if let calm = trouble?.calm, calm <= clock.monotonic { logEnd() }
    perform(machine.receive(event, at: clock.moment))
    if lane == nil, machine.isOver { isDone = true }
    if let folderCheckTime, folderCheckTime <= clock.monotonic {
      self.folderCheckTime = nil
      lane?.checkFolders(missingFolders, engine.environment.files)
    }
    updateLag()
  }

  /// A person asks for the copies now. The reply is answered when a run that begins from now on has
  /// ended.
  func sync(_ reply: ControlReply) {
    guard !isDone, !machine.isOver, patienceEnd == nil else { return reply.send(Self.stopped) }
    waiters.add(reply)
    receive(.sync)
  }

  /// The client of a reply has ended.
  func forget(reply: Int) { waiters.forget(reply) }

  private static let stopped = HoldfastError(.refused, "the agent is stopping")

  /// A check of the folder of the target has ended.
  func finishFolderCheck(isThere: Bool) {
    if isThere { return receive(.requested) }
    if !isDone, !isRunning { folderCheckTime = clock.monotonic.addingClamped(Self.folderCheckPause) }
  }

  /// Ends the pause if a person let this machine go on, with a command.
  func poll() {
    guard let memoBefore, memoStatus(memoBefore.path) != memoBefore.status else { return }
    receive(.requested)
  }

  private func memoStatus(_ path: String) -> FileStatus? {
    (try? engine.environment.files.status(path)) ?? nil
  }

  /// A run has ended.
  func finish(_ report: ShippingReport) {
    progress = nil
    record = report.record
    updateClock(report)
    memoBefore = report.isRefused ? report.memoPath.map { ($0, memoStatus($0)) } : nil
    waiters.answer(report.ending, target)
    receive(.finished(result(of: report)))
  }

  /// The lane has ended.
  func finish() {
    (lane, patienceEnd, isDone) = (nil, nil, true)
    waiters.refuse(Self.stopped)
  }

  /// Stops the run, and begins no other one. Its thread may be in a call that nothing interrupts; its
  /// end is waited for only briefly.
  func abandon() {
    guard !isDone, patienceEnd == nil else { return }
    wasStopped = wasStopped || isRunning
    progress?.stop()
    guard let lane else { return isDone = true }
    if !machine.isOver { try? lane.end() }
    patienceEnd = clock.monotonic.addingClamped(Self.patience)
  }

  /// Milliseconds between two looks for a folder that is not there.
  private static let folderCheckPause: Int64 = 5000
  /// Milliseconds that an abandoned lane may take to end.
  private static let patience: Int64 = 2000

  private func leave() {
    logger.warning("target \(target.name): a call has not ended; the put that it makes may be incomplete")
    finish()
  }

  // MARK: Actions

  private func perform(_ action: ShippingAction) {
    switch action {
    case .wait: break
    case .run(let atOnce): run(atOnce: atOnce)
    case .end: endLane()
    }
  }

  /// Called at the end of the agent.
  func reportUnsent() {
    if trouble?.calm != nil { logEnd() }
    // A run that was stopped has sent some of the backups that were missing when it began.
    guard let unsent = wasStopped ? unsentAfterStop() : machine.unsent else { return }
    let count = unsent.count == 1 ? "1 backup is" : "\(unsent.count) backups are"
    logger.warning(
      "target \(target.name): stopped while \(count) not there yet",
      metadata: ["hint": "the next start sends what is missing"])
  }

  /// The memory of the target knows each put of a run that was stopped.
  private func unsentAfterStop() -> UnsentBackups? {
    do {
      return try RememberedTarget(target, engine).plan.unsent
    } catch {
      return machine.unsent
    }
  }

  private func run(atOnce: Bool) {
    do {
      folderCheckTime = nil
      let lists = waiters.begin()
      let lane = lane ?? makeLane()
      self.lane = lane
      let progress = Progress()
      self.progress = progress
      try lane.run(
        TargetOrder(atOnce: atOnce, lists: lists, stored: stored, keepsLock: shared.descriptors.keepsLocks), progress)
      stored = []
    } catch {
      waiters.answer(.failure(error), target)
      receive(.finished(failed(error, nil)))
    }
  }

  private func makeLane() -> TargetLane {
    let (engine, target, store) = (engine, target, shared.openStore(target, meter))
    return TargetLane(id, shared.targetThreads, shared.inbox) { TargetWork(engine, target, store) }
  }

  private func endLane() {
    do {
      try lane?.end()
    } catch {
      finish()
    }
  }

  // MARK: Results

  private func result(of report: ShippingReport) -> ShippingResult {
    switch report.ending {
    case .success(nil): return .noRepository
    case .success(let outcome?): return succeeded(outcome)
    case .failure(let error): return failed(error, report.unsent, madeProgress: report.madeProgress)
    }
  }

  private func succeeded(_ outcome: ReplicationOutcome) -> ShippingResult {
    endTrouble()
    log(outcome)
    updateContent(outcome)
    switch outcome.obstacle {
    case .foreign, .takenOver: return .failed(pause: ShippingFailure.hour, unsent: outcome.unsent)
    // The full starts the next run.
    case .fullNeeded, nil: return .done(unsent: outcome.unsent, next: outcome.next)
    }
  }

  private func failed(_ error: any Error, _ unsent: UnsentBackups?, madeProgress: Bool = false) -> ShippingResult {
    // Then no other run follows.
    if HoldfastError.isInterruption(error) {
      wasStopped = true
      return .failed(pause: 0, unsent: nil)
    }
    let failure = ShippingFailure(
      error, of: target, attempt: machine.attempt(madeProgress: madeProgress), random: Double.random(in: 0..<1))
    let isSaid = failure.alarm.map { alarm in
      defer { alarms.raise(alarm, failure.error, of: target.name) }
      return !alarms.contains(alarm, of: target.name)
    }
    log(failure.error, isSaid: isSaid ?? false)
    missingFolders = failure.missingFolders
    folderCheckTime = failure.isFolderMissing ? clock.monotonic.addingClamped(Self.folderCheckPause) : nil
    return .failed(pause: failure.pause, unsent: unsent, madeProgress: madeProgress)
  }

  private func updateLag() {
    guard case .behind(_, let reason) = machine.lag(at: clock.now) else {
      if machine.isKnown { alarms.clear([.targetBehind], of: target.name) }
      return
    }
    let cause = trouble == nil ? nil : record.lastError.map { "; last error: \($0)" }
    let error = HoldfastError(
      .ioError, "target \(target.name): \(reason)\(cause ?? "")", hint: "holdfast sync \(target.name)")
    alarms.raise(.targetBehind, error, of: target.name)
  }

  /// The alarms about the content of the target.
  private func updateContent(_ outcome: ReplicationOutcome) {
    let name = target.name
    alarms.update(.targetIncomplete, lost(outcome.plan.lost) ?? blocked(outcome.plan.blocked), of: name)
    let hint = "holdfast targets take-over \(name) lets this machine go on with a full backup"
    switch outcome.obstacle {
    case .foreign(let reason): alarms.raise(.targetForeign, refused(reason, hint), of: name)
    case .takenOver(let reason): alarms.raise(.targetTakenOver, refused(reason, hint), of: name)
    case .fullNeeded, nil: alarms.clear([.targetForeign, .targetTakenOver], of: name)
    }
    if let refusal = outcome.refusedRemoval {
      let hint = "allow removals, then holdfast sync \(name); if another machine removes, set access = \"append\""
      alarms.raise(.targetRetention, refused(refusal.message, hint), of: name)
    } else if !outcome.removed.isEmpty || outcome.plan.removals.isEmpty && outcome.next == nil {
      alarms.clear([.targetRetention], of: name)
    }
  }

  /// A store refuses requests whose time differs too much from its own. They are signed with its
  /// time then, but a wrong clock also harms the rules about age.
  private func updateClock(_ report: ShippingReport) {
    guard case .success = report.ending else { return }
    let offset = report.clockOffset ?? 0
    let error = RetryDecision.isSkewToReport(offset) ? StoreError.clockSkew(by: offset).error(at: target.name) : nil
    alarms.update(.clockWrong, error, of: target.name)
  }

  private func refused(_ reason: String, _ hint: String) -> HoldfastError {
    HoldfastError(.refused, "target \(target.name): \(reason)", hint: hint)
  }

  private func lost(_ ids: [PointID]) -> HoldfastError? {
    guard let first = ids.first else { return nil }
    let names = ids.prefix(3).map(\.text).joined(separator: ", ") + (ids.count > 3 ? ", …" : "")
    let count = ids.count == 1 ? "\(first) cannot be restored" : "\(ids.count) backups cannot be restored (\(names))"
    return HoldfastError(
      .pointNotFound, "target \(target.name): \(count), because archives are missing there and here",
      hint: "holdfast list --from \(target.address.shellWord)")
  }

  private func blocked(_ ids: [PointID]) -> HoldfastError? {
    guard let first = ids.first else { return nil }
    let count = ids.count == 1 ? "\(first) is" : "\(ids.count) backups, from \(first) on, are"
    return HoldfastError(
      .archiveCorrupt, "target \(target.name): \(count) not sent, because an archive here is damaged",
      hint: "holdfast verify \(first) shows the damage; holdfast create makes a full that needs no other backup")
  }

  // MARK: Log

  private func log(_ outcome: ReplicationOutcome) {
    for name in outcome.put { logger.debug("target \(target.name): sent \(name.id), \(ByteCount(name.bytes))") }
    for name in outcome.removed { logger.debug("target \(target.name): removed \(name.id)") }
  }

  /// A failing target gets one line at first and one an hour.
  ///
  /// - Parameter isSaid: a new alarm has said it.
  private func log(_ error: HoldfastError, isSaid: Bool) {
    let next = clock.monotonic.addingClamped(ShippingFailure.hour)
    let facts = Logger.Metadata.about(.targetFails, target: target.name, error)
    guard let trouble else {
      if !isSaid { logger.warning("\(error)", metadata: facts) }
      return self.trouble = (clock.now, next, nil)
    }
    self.trouble?.calm = nil
    guard trouble.nextLine <= clock.monotonic else { return logger.debug("still: \(error)") }
    self.trouble?.nextLine = next
    logger.warning("since \(trouble.since.iso8601): \(error)", metadata: facts)
  }

  private func endTrouble() {
    let ending: Set<Alarm> = [.targetDenied, .targetFull, .targetMissing, .key]
    let isSaid = ending.contains { alarms.contains($0, of: target.name) }
    alarms.clear(ending, of: target.name)
    // The end of an alarm has its own line.
    if isSaid { return trouble = nil }
    if trouble?.calm == nil { trouble?.calm = clock.monotonic.addingClamped(AlarmBook.quiet) }
  }

  private func logEnd() {
    guard let trouble else { return }
    logger.notice(
      "target \(target.name): it works again; it had failed since \(trouble.since.iso8601)",
      metadata: .about(.targetWorks, target: target.name))
    self.trouble = nil
  }
}

extension Target {
  /// Whether two descriptions lead to the same requests.
  fileprivate func isEqual(_ other: Target) -> Bool {
    (name, address, settings) == (other.name, other.address, other.settings)
      && (maxLag, check, storageClass) == (other.maxLag, other.check, other.storageClass)
      && (connection.credentialsFile, connection.caFile) == (other.connection.credentialsFile, other.connection.caFile)
      && (connection.proxy, connection.version) == (other.connection.proxy, other.connection.version)
      && connection.limits == other.connection.limits && connection.madeFolders == other.connection.madeFolders
  }
}
