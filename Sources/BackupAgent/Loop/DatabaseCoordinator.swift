import BackupEngine
import BackupPolicy
import Logging

/// One database's side of the event loop: passes the reports of its parts to the ``TriggerMachine``
/// and carries out the decisions. The parts own their state. Belongs to the loop's thread.
final class DatabaseCoordinator {
  let id: DatabaseID
  let lock: AgentLock
  private(set) var database: AgentDatabase
  /// The first assessment is done.
  private(set) var isReady = false
  private(set) var newest: (id: PointID, created: Timestamp)?
  let alarms: AlarmBook
  private let clock: LoopClock
  private let logger: Logger
  private let watcher: ChangeWatcher
  private let connection: ConnectionKeeper
  private let housekeeper: Housekeeper
  private let targets: DatabaseTargets
  private let jobs: JobRunner
  private var machine: TriggerMachine
  private var machineLog: MachineLog
  /// The time of the first change that is in no backup at the end.
  private var unsavedSince: Timestamp?
  /// A failed last backup is not tried again: it was already, or there is no time.
  private var isRetryOver = false

  init(_ id: DatabaseID, _ database: AgentDatabase, _ lock: AgentLock, _ shared: LoopContext, _ logger: Logger) {
    (self.id, self.database, self.lock, self.logger, clock) = (id, database, lock, logger, shared.clock)
    alarms = AlarmBook(AlarmBook.Paths(database.engine), clock, logger)
    watcher = ChangeWatcher(id, database, shared, alarms)
    connection = ConnectionKeeper(id, database.engine.environment, shared, logger)
    housekeeper = Housekeeper(id, database.settings.drills, shared, alarms, logger)
    targets = DatabaseTargets(id, database, shared, alarms, logger)
    jobs = JobRunner(id, database, (lock, watcher, connection, housekeeper, alarms), shared, logger)
    machine = TriggerMachine(settings: database.settings.triggers)
    machineLog = MachineLog(logger)
  }

  var isBackingUp: Bool { jobs.isBackingUp }
  var isStopping: Bool { jobs.isStopping }
  var isWorking: Bool { !jobs.isIdle || !housekeeper.isIdle || targets.isWorking }
  /// Nothing is running, and nothing will be started.
  var isDone: Bool { jobs.isOver && housekeeper.isIdle && targets.isDone }
  /// The path of the database, with links resolved.
  var path: String { watcher.path.resolved }
  private var settings: AgentSettings { database.settings }
  /// A probe would report nothing new while a change is pending.
  private var nextProbe: Int64? { isPending ? nil : watcher.nextProbe }
  private var isPending: Bool { machine.isChangePending(isBackupWaiting: jobs.isBackupWaiting) }

  var status: DatabaseStatus {
    DatabaseStatus(
      name: database.name, path: path, folder: database.engine.folder, trigger: machine.status, alarms: alarms.status,
      lastPoint: newest?.id, lastPointCreated: newest?.created, isWatching: watcher.isWatching,
      trackerMisses: alarms.trackerMisses, fullAdvice: machine.advice?.reason, drills: housekeeper.drills.status,
      targets: targets.status)
  }

  // MARK: From the start to the end

  func start() {
    logger.info("watching \(path), backups in \(database.engine.folder)", metadata: settings.logged(at: clock.now))
    watcher.watch()
    targets.start()
    runNext()
  }

  /// Continues with new settings. Pending work stays pending.
  func update(_ database: AgentDatabase) {
    self.database = database
    jobs.update(database)
    watcher.update(database)
    decide(.reload(settings.triggers))
    housekeeper.drills.reload(settings.drills)
    targets.update(database)
    runNext()
  }

  /// Finishes the running job, backs up a pending change, and copies what is missing to the targets;
  /// then the coordinator is done.
  func stop() {
    guard !isStopping else { return }
    jobs.stop(needsProbe: watcher.mayHaveMissedChange)
    housekeeper.stop()
    decide(.shutdown)
  }

  /// Tries the last backup again if it failed; once.
  ///
  /// - Returns: whether it has begun.
  func retryLastBackup() -> Bool {
    guard !isRetryOver, machine.hasLastBackupFailed else { return false }
    isRetryOver = true
    jobs.resume()
    decide(.lastBackupAgain)
    return !isDone
  }

  /// Gives up the running job, and any job that waits for a thread.
  func abandon() {
    isRetryOver = true
    targets.abandon()
    if let withdrawn = jobs.abandon() { finish(withdrawn) }
  }

  /// Releases everything; called when the coordinator is done.
  func end() {
    if let unsavedSince {
      alarms.reportPendingChange(since: unsavedSince, hasFailed: machine.hasLastBackupFailed)
    }
    watcher.unwatch()
    jobs.close()
    connection.end()
    targets.reportUnsent()
    lock.release()
  }

  // MARK: Events

  func handle(_ events: Set<ChangeEvent>) {
    if !events.isDisjoint(with: [.folderLost, .pathChanged, .overflow]) { findAgain() }
    if events.contains(.removed) { watcher.reportPresence() }
    if !events.isSubset(of: [.changed, .closed]) { connection.handleReplacement() }
    if events.contains(.changed) || events.contains(.overflow) { handleChange() }
    connection.handle(events)
  }

  private func findAgain() {
    watcher.watch()
    if watcher.detectChange(isPending: isPending) { handleChange() }
  }

  private func handleChange() {
    watcher.recordEvent(at: clock.monotonic)
    decide(.change)
  }

  /// A person requests a backup.
  func backUpNow() {
    decide(.requested)
    targets.request()
  }

  /// The wall clock was set, so scheduled work may be due now.
  func handleClockSet() {
    alarms.checkClock(of: database.engine)
    decide(.tick)
    if housekeeper.drills.tick() { runNext() }
    targets.handleClockSet()
  }

  func finishKeyCheck(_ problem: HoldfastError?) {
    if !isStopping { alarms.update(.keyFile, problem) }
  }

  /// A running backup begins to read pages, or has read all of them.
  func handleReading(began: Bool) {
    jobs.handleReading(began: began, mayYield: machine.mayYield)
  }

  // MARK: Time

  /// When something is due by a clock.
  var deadline: Deadline {
    let own = Deadline(monotonic: connection.yieldingTime).earlier(machine.wakeUp ?? Deadline())
      .earlier(targets.deadline)
    if isStopping { return own }
    let idle = jobs.isIdle ? [nextProbe, watcher.nextPoll, connection.closingTime].compactMap { $0 }.min() : nil
    return own.earlier(housekeeper.drills.deadline).earlier(Deadline(monotonic: idle))
  }

  /// Does the work that is due.
  func handleTime() {
    let moment = clock.moment
    func isDue(_ time: Int64?) -> Bool { time.map { $0 <= moment.monotonic } ?? false }
    if watcher.isSuppressing, deadline.isReached(at: moment), let last = watcher.endSuppression(at: moment) {
      connection.recordChange(at: last.monotonic)
      decide(.change, at: last)
    }
    if machine.wakeUp?.isReached(at: moment) == true { decide(.tick, at: moment) }
    if isDue(connection.yieldingTime) { jobs.yield() }
    targets.handleTime(at: moment)
    guard !isStopping else { return }
    if housekeeper.drills.tick(at: moment) { runNext() }
    if jobs.isIdle, isDue(watcher.nextPoll) { poll(at: moment.monotonic) }
    if jobs.isIdle, isDue(nextProbe) { jobs.beginProbe() }
    if jobs.isIdle, isDue(connection.closingTime) { jobs.beginClosing() }
    if jobs.isIdle, isPending { watcher.suppressWrites(until: deadline) }
  }

  /// Detects changes without an event: through a hard link, from another machine, or by a mount.
  private func poll(at time: Int64) {
    watcher.recordPoll(at: time)
    jobs.checkLockAndKey()
    findAgain()
    targets.poll()
    if housekeeper.detectDrills(of: database, hasBackup: newest != nil) { runNext() }
    alarms.checkClock(of: database.engine)
  }

  // MARK: Decisions

  /// Passes an event to the machine and carries out its decision.
  private func decide(_ event: TriggerEvent, at moment: Moment? = nil) {
    let action = machine.receive(event, at: moment ?? clock.moment)
    machineLog.record(action, of: machine)
    switch action {
    case .start(let trigger, let reason): begin(BackupOrder(trigger: trigger, reason: reason))
    case .renew(let advice, let reason): begin(BackupOrder(trigger: .change, reason: reason, ends: advice.chain))
    case .skip, .wait: break
    case .stop:
      jobs.machineStopped()
      runNext()
    }
  }

  private func begin(_ order: BackupOrder) {
    guard let outcome = jobs.begin(order) else { return }
    // The backup could not begin. After a failure the machine waits, so this loop ends.
    decide(.finished(outcome))
    runNext()
  }

  private func runNext() {
    guard jobs.runNext() else { return }
    unsavedSince = machine.pendingSince
    targets.stop()
  }

  // MARK: Results

  func finish(_ result: JobResult) {
    guard let (_, next) = jobs.end() else { return }
    handle(result)
    if let next { begin(next) }
    runNext()
  }

  func finish(_ result: DrillResult) { if housekeeper.finish(result) { runNext() } }
  func finish(_ id: TargetID, _ report: ShippingReport) { targets.finish(id, report) }
  func finish(_ id: TargetID) { targets.finish(id) }
  func finish(_ result: HousekeepingResult) {
    guard housekeeper.finish(result) else { return }
    if result.hasChanged { targets.recordChange() }
    handle(result.advice)
    runNext()
  }

  private func handle(_ result: JobResult) {
    if let files = result.files { watcher.record(files) }
    switch result {
    case .assessed(let report): handle(report)
    case .probed(let found, _):
      watcher.endProbe(found, at: clock.monotonic)
      // When the agent stops, no later probe follows for a commit that is being flushed; the backup
      // waits for it.
      if found == .changed || found == .pending && isStopping { decide(.change) }
    case .backedUp(let report):
      if report.comparing > 0 { decide(.compared(milliseconds: report.comparing)) }
      if report.isSuccess { handle(report.advice) }
      newest = report.stored.map { ($0.id, $0.created) } ?? newest
      housekeeper.recordBackup(report.stored)
      if let point = report.stored { targets.recordBackup(point) }
      decide(.finished(alarms.record(report, hasYielded: connection.didYield())))
    case .closed: break
    }
  }

  private func handle(_ report: AssessmentReport) {
    alarms.update(.clock, report.clockDoubt)
    let due = alarms.record(report.assessment)
    newest = report.newest ?? newest
    jobs.finishAssessment(due: due)
    // A write just before the watch began has raised no event.
    watcher.recordEvent(at: clock.monotonic)
    if !isReady {
      isReady = true
      decide(.startup(changedWhileDown: due != nil, lastScheduled: report.lastScheduled))
    } else if due != nil {
      decide(.change)
    }
    handle(report.advice)
  }

  /// Passes the advice about the newest chain to the machine on each call, and to the log once.
  private func handle(_ advice: FullAdvice?) {
    machineLog.record(advice, of: machine)
    decide(.advised(advice))
  }
}
