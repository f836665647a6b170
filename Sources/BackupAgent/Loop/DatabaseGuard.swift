import BackupEngine
import BackupPolicy
import Logging

/// One database's side of the event loop: its ``TriggerMachine``, what is watched for it, what the workers do for it, and
/// its alarms. Belongs to the loop's thread.
final class DatabaseGuard {
  /// What a worker does for this database at the moment.
  enum Job {
    case assessing
    case backingUp(Progress, Trigger, coversChange: Bool)
    case looking
    case releasing
  }

  let id: GuardID
  let shared: LoopContext
  let lock: AgentLock
  private(set) var database: GuardedDatabase
  let logger: Logger
  private(set) var work: DatabaseWork

  var machine: TriggerMachine
  var followUp = FollowUp()
  var release = ReleaseWatch()
  let held: HeldConnection
  var hold = ConnectionHold()
  /// The database file is watched for being closed.
  var seesClosing = false
  /// The backup that is running reads pages.
  var isReading = false
  var alarms = AlarmBook()
  /// How many fulls of this process found pages that changed unseen.
  var trackerMisses = 0
  private(set) var job: Job?
  /// A backup that the machine wants as soon as the look that is going on has ended.
  private var next: BackupOrder?
  private var owesAssessment = true
  var thinningRhythm = ThinningRhythm()
  /// The thinning that goes on beside the jobs.
  private(set) var thinning: Progress?
  /// The first assessment is done.
  var isReady = false
  /// A change was seen that no backup has begun after.
  var isChangeOwed = false
  /// Since when writes raise no events, and what had been written by then; nil where they do.
  var unheard: UnheardWrites?
  /// Why the first backup is taken, where the start found more to say than the machine knows.
  var startReason: String?
  var path: WatchedPath
  /// What the slow poll saw, or the last job.
  var files: WatchedFiles
  var nextPoll: Int64
  var newest: (id: PointID, created: Timestamp)?
  private(set) var isStopping = false
  /// The machine starts nothing any more.
  private var isOver = false

  init(_ id: GuardID, _ database: GuardedDatabase, _ lock: AgentLock, _ shared: LoopContext, _ logger: Logger) {
    self.id = id
    self.database = database
    self.lock = lock
    self.shared = shared
    self.logger = logger
    held = HeldConnection(database.service.environment)
    work = DatabaseWork(database, held, logger)
    machine = TriggerMachine(settings: database.settings.triggers)
    path = WatchedPath(database.service.database ?? "")
    files = WatchedFiles(path, database.service.environment.files)
    nextPoll = .max
    schedulePoll()
  }

  /// Nothing runs any more, and nothing will.
  var isDone: Bool { isOver && !isWorking }
  /// Something is done for this database at the moment.
  var isWorking: Bool { job != nil || thinning != nil }
  var isBackingUp: Bool { if case .backingUp = job { true } else { false } }
  var settings: AgentSettings { database.settings }
  var service: BackupService { database.service }
  var clock: LoopClock { shared.clock }

  func start() {
    logStart()
    watch()
    pump()
  }

  /// Goes on with other settings; what is owed stays.
  func update(_ database: GuardedDatabase) {
    self.database = database
    work = DatabaseWork(database, held, logger)
    owesAssessment = true
    schedulePoll()
    act(machine.receive(.reload(database.settings.triggers), at: clock.moment))
    pump()
  }

  /// Finishes what is running, then is done.
  func stop() {
    guard !isStopping else { return }
    isStopping = true
    thinning?.stop()
    if shared.housekeeping.withdraw(id) { thinning = nil }
    act(machine.receive(.shutdown, at: clock.moment))
    if next != nil {
      next = nil
      return act(machine.receive(.finished(.failed(.interrupted)), at: clock.moment))
    }
    // A job that waits for a thread is not running.
    guard case .backingUp = job, shared.workers.withdraw(id) else { return }
    finish(.backedUp(.failure(HoldfastError(.interrupted, "interrupted")), files: files))
  }

  /// Lets go of everything; called when it is done.
  func end() {
    unwatch()
    work.end()
    held.close()
    lock.release()
  }

  /// Gives the running backup up.
  func abandon() {
    if case .backingUp(let progress, _, _) = job { progress.stop() }
  }

  // MARK: Events

  func take(_ events: Set<ChangeEvent>) {
    if !events.isDisjoint(with: [.folderLost, .pathChanged, .overflow]) { findAgain() }
    if events.contains(.removed) { notePresence() }
    if !events.isSubset(of: [.changed, .closed]) { hold.noteClose(at: clock.monotonic) }
    if events.contains(.changed) || events.contains(.overflow) { noteChange() }
    noteClosing(events)
  }

  func noteChange() {
    let moment = clock.moment
    followUp.noteEvent(at: moment.monotonic)
    noteMissedChange(moment)
  }

  /// A commit became visible after the look that its event had caused: only the machine is told.
  func noteMissedChange(_ moment: Moment) {
    isChangeOwed = true
    act(machine.receive(.change, at: moment))
  }

  /// A person wants a backup.
  func backUpNow() {
    act(machine.receive(.requested, at: clock.moment))
  }

  // MARK: Jobs

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
    case .stop: isOver = true
    }
  }

  /// Gives the worker what is to be done next, if it is free.
  private func pump() {
    guard job == nil else { return }
    if let next {
      self.next = nil
      begin(next)
    } else if owesAssessment, !isStopping {
      owesAssessment = false
      run(.assessing) { $0.assess($1) }
    } else if thinning == nil, let policy = settings.thinning, !isStopping, thinningRhythm.begin(at: clock.monotonic) {
      let progress = Progress()
      thinning = progress
      shared.housekeeping.submit(id) { [id, work] in .thinned(id, work.thin(policy, progress)) }
    }
  }

  private func begin(_ wanted: BackupOrder) {
    var order = wanted
    if order.trigger == .change, order.ends == nil { order.reason = startReason ?? order.reason }
    startReason = nil
    do {
      try lock.ensure()
      clearAlarms([.otherAgent])
    } catch {
      return prevent(order.trigger, error)
    }
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
    take(result, of: ended)
    pump()
  }

  func finish(_ result: ThinningResult) {
    guard thinning != nil else { return }
    thinning = nil
    thinningRhythm.end(isFinished: result.isFinished)
    note(result.advice)
    pump()
  }
}
