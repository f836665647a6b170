import BackupEngine
import BackupPolicy
import Logging

/// One database's side of the event loop: passes the reports of its parts to the ``TriggerMachine``
/// and carries out the decisions. The parts own their state. Belongs to the loop's thread.
final class DatabaseCoordinator {
  let id: DatabaseID
  let parts: DatabaseParts
  private(set) var database: AgentDatabase
  /// The first assessment is done.
  private(set) var isReady = false
  private(set) var newest: NewestBackup?
  private let clock: LoopClock
  private let jobs: JobRunner
  private var decisions: LoggedMachine
  /// The time of the first change that is in no backup at the end.
  private var unsavedSince: Timestamp?

  init(_ id: DatabaseID, _ database: AgentDatabase, _ lock: AgentLock, _ shared: LoopContext, _ logger: Logger) {
    (self.id, self.database, clock) = (id, database, shared.clock)
    parts = DatabaseParts(id, database, lock, shared, logger)
    jobs = JobRunner(id, database, parts, shared, logger)
    decisions = LoggedMachine(TriggerMachine(settings: database.settings.triggers), logger)
  }

  var isBackingUp: Bool { jobs.isBackingUp }
  var isStopping: Bool { jobs.isStopping }
  var isWorking: Bool { !jobs.isIdle || parts.isWorking }
  /// Nothing is running, and nothing will be started.
  var isDone: Bool { jobs.isOver && parts.isDone }
  /// The path of the database, with links resolved.
  var path: String { parts.watcher.path.resolved }
  private var machine: TriggerMachine { decisions.machine }
  private var isPending: Bool { machine.isChangePending(isBackupWaiting: jobs.isBackupWaiting) }

  var status: DatabaseStatus { parts.status(of: database, machine, newest: newest, isReady: isReady) }

  // MARK: From the start to the end

  func start() {
    parts.start(database, at: clock.now)
    runNext()
  }

  /// Continues with new settings. Pending work stays pending.
  func update(_ database: AgentDatabase) {
    self.database = database
    jobs.update(database)
    parts.update(database)
    decide(.reload(database.settings.triggers))
    runNext()
  }

  /// Finishes the running job, backs up a pending change, and copies what is missing to the targets;
  /// then the coordinator is done.
  func stop() {
    guard !isStopping else { return }
    jobs.stop(needsProbe: parts.watcher.mayHaveMissedChange)
    parts.housekeeper.stop()
    decide(.shutdown)
  }

  /// Tries the last backup again if it failed, once. Returns whether it has begun.
  func retryLastBackup() -> Bool {
    guard machine.hasLastBackupFailed, jobs.resume() else { return false }
    decide(.lastBackupAgain)
    return !isDone
  }

  /// Gives up the running job, and any job that waits for a thread.
  func abandon() {
    parts.targets.abandon()
    if let withdrawn = jobs.abandon() { finish(withdrawn) }
  }

  /// Releases everything; called when the coordinator is done.
  func end() {
    if let unsavedSince {
      parts.alarms.reportPendingChange(since: unsavedSince, hasFailed: machine.hasLastBackupFailed)
    }
    jobs.close()
    parts.end()
  }

  // MARK: Events

  func handle(_ events: Set<ChangeEvent>) {
    if !events.isDisjoint(with: [.folderLost, .pathChanged, .overflow]) { findAgain() }
    if events.contains(.removed) { parts.watcher.reportPresence() }
    if !events.isSubset(of: [.changed, .closed]) { parts.connection.handleReplacement() }
    if events.contains(.changed) || events.contains(.overflow) { handleChange() }
    parts.connection.handle(events)
  }

  private func findAgain() {
    parts.watcher.watch()
    if parts.watcher.detectChange(isPending: isPending) { handleChange() }
  }

  private func handleChange() {
    parts.watcher.recordEvent(at: clock.monotonic)
    decide(.change)
  }

  /// A person requests a backup, a pause or its end. The reply is answered when a backup holds the
  /// state of now.
  func handle(request: TriggerEvent, _ reply: ControlReply? = nil) {
    if let reply { parts.reporter.await(reply) }
    decide(request)
    if request == .requested { parts.targets.request() }
  }

  /// The wall clock was set, so scheduled work may be due now.
  func handleClockSet() {
    parts.checkClock(of: database.engine)
    decide(.tick)
    if parts.housekeeper.drills.tick() { runNext() }
    parts.targets.handleClockSet()
  }

  func finishKeyCheck(_ problem: HoldfastError?) { if !isStopping { parts.alarms.update(.keyFile, problem) } }

  /// A running backup begins to read pages, or has read all of them.
  func handleReading(began: Bool) {
    jobs.handleReading(began: began, mayYield: machine.mayYield)
  }

  // MARK: Time

  /// When something is due by a clock.
  var deadline: Deadline {
    let own = machine.wakeUp ?? Deadline()
    if isStopping { return own.earlier(parts.urgentDeadline) }
    return own.earlier(parts.deadline(isIdle: jobs.isIdle, isPending: isPending))
  }

  /// Does the work that is due.
  func handleTime() {
    let moment = clock.moment
    func isDue(_ time: Int64?) -> Bool { time.map { $0 <= moment.monotonic } ?? false }
    if let last = parts.endSuppression(at: moment, until: deadline) { decide(.change, at: last) }
    if machine.wakeUp?.isReached(at: moment) == true { decide(.tick, at: moment) }
    if isDue(parts.connection.yieldingTime) { jobs.yield() }
    parts.handleTime(at: moment)
    guard !isStopping else { return }
    if parts.housekeeper.drills.tick(at: moment) { runNext() }
    if jobs.isIdle, isDue(parts.watcher.nextPoll) { poll(at: moment.monotonic) }
    if jobs.isIdle, !isPending, isDue(parts.watcher.nextProbe) { jobs.beginProbe() }
    if jobs.isIdle, isDue(parts.connection.closingTime) { jobs.beginClosing() }
    if jobs.isIdle, isPending { parts.watcher.suppressWrites(until: deadline) }
  }

  /// Detects changes without an event: through a hard link, from another machine, or by a mount.
  private func poll(at time: Int64) {
    parts.watcher.recordPoll(at: time)
    jobs.checkLockAndKey()
    findAgain()
    parts.targets.poll()
    let isGone = newest?.isGone(database.engine.environment.files) ?? false
    if isGone { jobs.assessAgain() }
    if parts.housekeeper.detectDrills(of: database, hasBackup: newest != nil) || isGone { runNext() }
    parts.checkClock(of: database.engine)
  }

  // MARK: Decisions

  /// Passes an event to the machine and carries out its decision.
  private func decide(_ event: TriggerEvent, at moment: Moment? = nil) {
    let action = decisions.receive(event, at: moment ?? clock.moment)
    parts.reporter.record(machine, action)
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

  /// If no job runs, begins the work that is not requested from outside.
  private func runNext() {
    guard jobs.isIdle else { return }
    if !isStopping {
      if !jobs.beginAssessment() { parts.housekeeper.runNext(of: database, jobs.housekeeping) }
    } else if jobs.continueShutdown() {
      unsavedSince = machine.pendingSince
      parts.targets.stop()
    }
  }

  // MARK: Results

  func finish(_ result: JobResult) {
    guard let (_, next) = jobs.end() else { return }
    handle(result)
    if let next { begin(next) }
    runNext()
  }

  func finish(_ result: DrillResult) { if parts.finish(result) { runNext() } }
  func finish(_ id: TargetID, _ report: ShippingReport) {
    if let advice = parts.targets.finish(id, report) { decide(.advised(advice)) }
  }
  func finish(_ result: HousekeepingResult) {
    guard parts.housekeeper.finish(result) else { return }
    if result.hasChanged { parts.targets.recordChange() }
    decide(.advised(result.advice))
    runNext()
  }

  private func handle(_ result: JobResult) {
    if let files = result.files { parts.watcher.record(files) }
    switch result {
    case .assessed(let report): handle(report)
    case .probed(let found, _):
      parts.watcher.endProbe(found, at: clock.monotonic)
      // When the agent stops, no later probe follows for a commit that is being flushed; the backup
      // waits for it.
      if found == .changed || found == .pending && isStopping { decide(.change) }
    case .backedUp(let report):
      if report.comparing > 0 { decide(.compared(milliseconds: report.comparing)) }
      if report.isSuccess { decide(.advised(report.advice)) }
      newest = report.stored.map { NewestBackup($0, in: database.engine.folder) } ?? newest
      decide(.finished(parts.record(report)))
    case .closed: break
    }
  }

  private func handle(_ report: AssessmentReport) {
    parts.alarms.update(.clock, report.clockDoubt)
    if case .success(let shortage) = report.shortage { parts.alarms.update(.lowSpace, shortage) }
    let due = parts.alarms.record(report.assessment)
    newest = report.newest ?? newest
    parts.reporter.recordAssessment(newestVerified: report.newestVerified)
    jobs.finishAssessment(due: due)
    // A write just before the watch began has raised no event.
    parts.watcher.recordEvent(at: clock.monotonic)
    let new = TriggerEvent.startup(changedWhileDown: due != nil, lastScheduled: report.lastScheduled, reason: due ?? "")
    if !isReady || due != nil { decide(isReady ? .change : new) }
    isReady = true
    decide(.advised(report.advice))
  }
}
