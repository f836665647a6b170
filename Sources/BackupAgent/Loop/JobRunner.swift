import BackupEngine
import BackupPolicy
import Logging

/// Submits the jobs of one database to the workers, one at a time, until the end. Belongs to the
/// loop's thread.
final class JobRunner {
  enum Job {
    /// Compares the database with the newest backup.
    case assessing
    case backingUp(Progress)
    /// Checks whether anything was committed since the last backup.
    case probing
    /// Closes the connection that the jobs share.
    case closing
  }

  private enum State {
    case idle
    case running(Job)
    /// A job is running, and the backup begins as soon as the job has ended.
    case runningBefore(BackupOrder, Job)

    var job: Job? {
      switch self {
      case .idle: nil
      case .running(let job), .runningBefore(_, let job): job
      }
    }
  }

  private var state = State.idle
  private var needsAssessment = true
  private var shutdown = Shutdown()
  /// The reason for the first backup, if the assessment knows a better one than the machine.
  private var startReason: String?
  private var database: AgentDatabase
  private var worker: DatabaseWorker
  private let id: DatabaseID
  private let parts: DatabaseParts
  private let keys: KeyWatcher
  private let shared: LoopContext
  private let logger: Logger

  init(_ id: DatabaseID, _ database: AgentDatabase, _ parts: DatabaseParts, _ shared: LoopContext, _ logger: Logger) {
    (self.id, self.database, self.parts, self.shared, self.logger) = (id, database, parts, shared, logger)
    keys = KeyWatcher(id, database, shared)
    worker = DatabaseWorker(database, parts.connection.kept, logger)
  }

  var isIdle: Bool { state.job == nil }
  var isBackingUp: Bool { if case .backingUp = state.job { true } else { false } }
  /// A backup waits for the running job.
  var isBackupWaiting: Bool { if case .runningBefore = state { true } else { false } }
  var isStopping: Bool { shutdown.isStopping }
  /// Nothing is running, and nothing will be started.
  var isOver: Bool { shutdown.isOver && isIdle }

  /// Continues with new settings, and assesses the database again.
  func update(_ database: AgentDatabase) {
    self.database = database
    worker = DatabaseWorker(database, parts.connection.kept, logger)
    needsAssessment = true
  }

  // MARK: Beginning

  /// Begins a backup as soon as no other job runs.
  ///
  /// - Returns: the outcome, if the backup cannot begin.
  func begin(_ wanted: BackupOrder) -> Outcome? {
    if let job = state.job {
      state = .runningBefore(wanted, job)
      return nil
    }
    var order = wanted
    if order.trigger == .change, order.ends == nil { order.reason = startReason ?? order.reason }
    startReason = nil
    if shutdown.isAbandoned { return fail(.interrupted) }
    shutdown.backupBegins()
    parts.lock.rest()
    if parts.lock.isKept, let error = parts.lock.acquire(reportingTo: parts.alarms) { return fail(error) }
    if !isStopping { keys.checkFiles(of: database) }
    parts.connection.beginBackup()
    let progress = ReadingReport.progress(shared.inbox, id)
    logger.info("backing up \(database.name): \(order.reason)")
    let lock = parts.lock.isKept ? nil : parts.lock.brief
    begin(.backingUp(progress)) { [order] in .backedUp($0.runBackup(order, progress, $1, under: lock)) }
    return nil
  }

  /// Those who asked for the backup get the error.
  private func fail(_ error: HoldfastError) -> Outcome {
    parts.reporter.fail(error)
    return .failed(error.code, cause: error.message)
  }

  /// Begins a probe. No job may be running.
  func beginProbe() {
    begin(.probing) { $0.runProbe($1) }
  }

  /// Begins to close the connection. No job may be running.
  func beginClosing() {
    begin(.closing) { $0.runClosing($1) }
  }

  private func begin(_ job: Job, _ body: @escaping @Sendable (DatabaseWorker, ConnectionTerms) -> JobResult) {
    // Writes raise events again before the job reads anything.
    parts.watcher.endSuppression()
    if case .probing = job { parts.watcher.beginProbe() }
    state = .running(job)
    let terms = parts.connection.beginJob(job, on: parts.watcher.path.resolved, isStopping: isStopping)
    shared.workers.submit(id) { [id, worker] in .finished(id, body(worker, terms)) }
  }

  /// The newest backup is gone, so the next one must not build on it.
  func assessAgain() { needsAssessment = true }

  /// Begins the assessment if it is due. No job may be running.
  ///
  /// - Returns: whether it has begun.
  func beginAssessment() -> Bool {
    guard needsAssessment else { return false }
    needsAssessment = false
    begin(.assessing) { $0.runAssessment($1) }
    return true
  }

  /// The housekeeping of the database's repository.
  var housekeeping: Housekeeping { worker.housekeeping }

  // MARK: Running and ending

  /// A running backup begins to read pages, or has read all of them.
  ///
  /// - Parameter mayYield: the backup may be given up for an application that closes the database.
  func handleReading(began: Bool, mayYield: Bool) {
    if !began {
      parts.connection.endReading()
    } else if isBackingUp, mayYield {
      parts.connection.beginReading(of: parts.watcher.path.resolved)
    }
  }

  /// Gives up the running backup for the application.
  func yield() {
    parts.connection.yield()
    stopBackup()
    logger.info("the backup yields because the application closes the database")
  }

  private func stopBackup() { if case .backingUp(let progress) = state.job { progress.stop() } }

  /// The job has ended.
  ///
  /// - Returns: the job and the backup that waited for it; nil if no job was running.
  func end() -> (ended: Job, next: BackupOrder?)? {
    guard let job = state.job else { return nil }
    defer { state = .idle }
    parts.connection.endJob()
    parts.lock.rest()
    if case .runningBefore(let order, _) = state { return (job, order) }
    return (job, nil)
  }

  /// - Parameter due: the reason why the assessment finds a backup due.
  func finishAssessment(due: String?) {
    startReason = due ?? startReason
    keys.check(database)
  }

  /// The folder may have been recreated and locked by another agent, and the key file may have been
  /// replaced.
  func checkLockAndKey() {
    parts.lock.keep(reportingTo: parts.alarms, logger)
    keys.checkFiles(of: database)
  }

  // MARK: Shutdown

  /// - Parameter needsProbe: there may be a commit that was not detected.
  func stop(needsProbe: Bool) { shutdown.begin(needsProbe: needsProbe) }

  /// Another backup may begin after the last one, once.
  ///
  /// - Returns: false if there was such a backup already, or if there is no time for it.
  func resume() -> Bool { shutdown.resume() }

  /// The machine starts no more backups.
  func machineStopped() { shutdown.machineStopped() }

  /// Continues the shutdown: with the last probe, if it is needed. No job may be running.
  ///
  /// - Returns: whether nothing is left to do, now or later.
  func continueShutdown() -> Bool {
    switch shutdown.nextStep() {
    case .wait: return false
    case .probe:
      beginProbe()
      return false
    case .end: return true
    }
  }

  /// Stops the running backup, and withdraws the job if no thread has begun it.
  ///
  /// - Returns: the result of the job that was withdrawn.
  func abandon() -> JobResult? {
    shutdown.abandon()
    stopBackup()
    guard !isIdle, shared.workers.withdraw(id) else { return nil }
    return isBackingUp
      ? .backedUp(BackupReport(ending: .failure(HoldfastError.interrupted), files: parts.watcher.files)) : .closed
  }

  /// Saves the state that the next process needs; called after the last job.
  func close() { worker.saveState() }
}

extension HoldfastError {
  static let interrupted = HoldfastError(.interrupted, "interrupted")
}

/// The progress of the end of one database.
///
/// If the agent did not detect a change before the stop request, the change still belongs in the
/// last backup. So when the machine has nothing more to start, the database is probed once more,
/// unless a backup began meanwhile.
struct Shutdown {
  private enum Phase {
    case none
    case stopping(Ending)
    /// Nothing is started any more.
    case over
  }

  private struct Ending {
    /// The machine starts nothing more, unless the last probe finds a change.
    var isMachineDone = false
    /// At the time of the stop request there may have been a commit that was not detected.
    var needsProbe: Bool
    /// Nothing may run any longer.
    var isAbandoned = false
  }

  /// The next step when no job runs.
  enum Step {
    case wait
    case probe
    /// Nothing is left to do.
    case end
  }

  private var phase = Phase.none
  /// The last backup is not repeated: it was already, or there is no time.
  private var isRetryOver = false

  var isStopping: Bool { if case .none = phase { false } else { true } }
  var isOver: Bool { if case .over = phase { true } else { false } }
  var isAbandoned: Bool { if case .stopping(let ending) = phase { ending.isAbandoned } else { false } }

  mutating func begin(needsProbe: Bool) { phase = .stopping(Ending(needsProbe: needsProbe)) }
  /// Lets another backup begin after the end, once.
  mutating func resume() -> Bool {
    guard isOver, !isRetryOver else { return false }
    isRetryOver = true
    phase = .stopping(Ending(needsProbe: false))
    return true
  }
  mutating func machineStopped() { change { $0.isMachineDone = true } }
  /// A backup begins. It finds everything that a probe would find.
  mutating func backupBegins() { change { $0.needsProbe = false } }
  mutating func abandon() {
    isRetryOver = true
    change { ($0.isAbandoned, $0.needsProbe) = (true, false) }
  }

  mutating func nextStep() -> Step {
    guard case .stopping(let ending) = phase, ending.isMachineDone else { return .wait }
    if !ending.needsProbe {
      phase = .over
      return .end
    }
    change { $0.needsProbe = false }
    return .probe
  }

  private mutating func change(_ body: (inout Ending) -> Void) {
    guard case .stopping(var ending) = phase else { return }
    body(&ending)
    phase = .stopping(ending)
  }
}
