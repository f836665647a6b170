import BackupEngine
import BackupPolicy
import Logging

/// The parts that one database's coordinator and its jobs use, and the questions and orders that
/// concern all of them. Each part owns its state. Belongs to the loop's thread.
struct DatabaseParts {
  let lock: AgentLock
  let reporter: DatabaseReporter
  let alarms: AlarmBook
  let watcher: ChangeWatcher
  let connection: ConnectionKeeper
  let housekeeper: Housekeeper
  let targets: DatabaseTargets
  private let id: DatabaseID
  private let shared: LoopContext
  private let logger: Logger

  init(_ id: DatabaseID, _ database: AgentDatabase, _ lock: AgentLock, _ shared: LoopContext, _ logger: Logger) {
    (self.lock, self.id, self.shared, self.logger) = (lock, id, shared, logger)
    reporter = DatabaseReporter(database, shared, logger)
    alarms = AlarmBook(
      AlarmBook.Paths(database.engine), AlarmFile(database.engine), shared.clock, reporter, logger)
    watcher = ChangeWatcher(id, database, shared, alarms)
    connection = ConnectionKeeper(id, database.engine.environment, shared, logger)
    housekeeper = Housekeeper(id, database.settings.drills, shared, alarms, logger)
    targets = DatabaseTargets(id, database, shared, alarms, logger)
  }

  var isWorking: Bool { !housekeeper.isIdle || targets.isWorking }
  /// Nothing is running, and nothing will be started.
  var isDone: Bool { housekeeper.isIdle && targets.isDone }

  /// - Parameter isReady: the first assessment is done.
  func status(
    of database: AgentDatabase, _ machine: TriggerMachine, newest: NewestBackup?, isReady: Bool
  ) -> DatabaseStatus {
    var counters = reporter.counters
    (counters.trackerMisses, counters.targets) = (Int64(alarms.trackerMisses), targets.traffic)
    return DatabaseStatus(
      name: database.name, path: watcher.path.resolved, folder: database.engine.folder, isReady: isReady,
      files: watcher.files.text, trigger: machine.status, alarms: alarms.status, lastPoint: newest?.id,
      lastPointCreated: newest?.created, lastSequence: newest?.sequence, lastArchive: newest?.archive,
      newestVerified: reporter.newestVerified,
      isWatching: watcher.isWatching, pollInterval: watcher.pollInterval,
      trackerMisses: alarms.trackerMisses, fullAdvice: machine.advice?.reason, drills: housekeeper.drills.status,
      targets: targets.status, counters: counters)
  }

  /// Reports whether the wall clock was set since the machine was started.
  func checkClock(of engine: Engine) {
    let (doubt, isKnown) = engine.recordClockByRecord()
    if isKnown { return alarms.update(.clock, doubt) }
    // A clock that was set right again is recognised by the backups; listing them may block.
    guard alarms.contains(.clock) else { return }
    shared.housekeeping.submit(nil) { [id] in .clockChecked(id, Result { try engine.judgeClock() }) }
  }

  /// The clock was compared with the backups, or they could not be listed.
  func finishClockCheck(_ result: Result<HoldfastError?, any Error>) {
    if case .success(let doubt) = result { alarms.update(.clock, doubt) }
  }

  /// - Returns: false if the drill was withdrawn before.
  func finish(_ result: DrillResult) -> Bool {
    if let attempt = result.attempt { reporter.record(attempt) }
    return housekeeper.finish(result)
  }

  /// Begins to watch and to copy.
  func start(_ database: AgentDatabase, at time: Timestamp) {
    let settings = database.settings.logged(at: time)
    logger.info(
      "watching \(watcher.path.resolved), backups in \(database.engine.folder)",
      metadata: settings.merging(.about(.started)) { $1 })
    watcher.watch()
    targets.start()
  }

  /// Continues with new settings.
  func update(_ database: AgentDatabase) {
    watcher.update(database)
    housekeeper.drills.reload(database.settings.drills)
    targets.update(database)
  }

  /// Listens to writes again if the deadline is reached.
  ///
  /// - Returns: when the database was last written meanwhile; nil if it was not.
  func endSuppression(at moment: Moment, until deadline: @autoclosure () -> Deadline) -> Moment? {
    guard watcher.isSuppressing, deadline().isReached(at: moment) else { return nil }
    let last = watcher.endSuppression(at: moment)
    if let last { connection.recordChange(at: last.monotonic) }
    return last
  }

  /// Does the work of the parts that is due.
  func handleTime(at moment: Moment) {
    targets.handleTime(at: moment)
    alarms.handleTime(at: moment.monotonic)
    reporter.handleTime(at: moment.monotonic)
  }

  /// A backup has ended.
  func record(_ report: BackupReport) -> Outcome {
    housekeeper.recordBackup(report.stored)
    if let point = report.stored { targets.recordBackup(point) }
    let outcome = alarms.record(report, hasYielded: connection.didYield())
    reporter.record(report, isAgain: outcome == .yielded)
    return outcome
  }

  /// Releases everything.
  func end() {
    reporter.end()
    watcher.unwatch()
    connection.end()
    targets.reportUnsent()
    alarms.end()
    lock.release()
  }

  // MARK: Deadlines

  /// When a part has something due that does not wait for the end of a job.
  var urgentDeadline: Deadline {
    Deadline(monotonic: connection.yieldingTime).earlier(targets.deadline)
      .earlier(Deadline(monotonic: alarms.deadline))
  }

  /// When a part has something due.
  ///
  /// - Parameters:
  ///   - isIdle: no job runs, so that one may be started.
  ///   - isPending: a change waits for its backup: a probe would report nothing new.
  func deadline(isIdle: Bool, isPending: Bool) -> Deadline {
    let drills = urgentDeadline.earlier(housekeeper.drills.deadline)
    guard isIdle else { return drills }
    let times = [isPending ? nil : watcher.nextProbe, watcher.nextPoll, connection.closingTime, reporter.deadline]
    return drills.earlier(Deadline(monotonic: times.compactMap { $0 }.min()))
  }
}
