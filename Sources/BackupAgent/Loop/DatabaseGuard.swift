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
  var job: Job?
  /// A backup that the machine wants as soon as the look that is going on has ended.
  var next: BackupOrder?
  var owesAssessment = true
  var thinningRhythm = HousekeepingRhythm()
  var cleaningRhythm = HousekeepingRhythm()
  /// The cleaning up or thinning that goes on beside the jobs.
  var housekeeping: Progress?
  /// The drills, beside the jobs too; at most one of the two goes on.
  var drills: GuardedDrills
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
  /// The slow poll saw writes that raised no event, on a file system whose stamps may hide more of them.
  var owesSecondLook = false
  var nextPoll: Int64
  /// The key file and the password file when they were last read.
  var keyFiles: [FileStatus?]?
  var newest: (id: PointID, created: Timestamp)?
  private(set) var isStopping = false
  /// The machine starts nothing any more, unless the last look finds a change.
  var hasMachineStopped = false
  /// Something may have been committed that was not noticed when the agent was told to stop.
  var owesLastLook = false
  /// Nothing may run any longer.
  private(set) var isAbandoned = false
  /// Nothing is started any more.
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
    drills = GuardedDrills(database.settings.drills)
    path = WatchedPath(database.service.database ?? "")
    files = WatchedFiles(path, database.service.environment.files)
    nextPoll = .max
    keyFiles = database.credentials.map { $0.paths.map { try? database.service.environment.files.status($0) } }
    schedulePoll()
  }

  /// Nothing runs any more, and nothing will.
  var isDone: Bool { isOver && !isWorking }
  /// Something is done for this database at the moment.
  var isWorking: Bool { job != nil || housekeeping != nil || drills.running != nil }
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
    tell(.reload(database.settings.drills))
    pump()
  }

  /// Finishes what is running, backs up what is pending, then is done.
  func stop() {
    guard !isStopping else { return }
    isStopping = true
    owesLastLook =
      settings.mode != .schedule && (followUp.isOwed || WatchedFiles(path, service.environment.files) != files)
    housekeeping?.stop()
    drills.running?.stop()
    if shared.housekeeping.withdraw(id) { (housekeeping, drills.running) = (nil, nil) }
    tell(.shutdown)
    act(machine.receive(.shutdown, at: clock.moment))
  }

  /// The machine has stopped, and no job is running: looks once more at the database if that may find something, else is
  /// over.
  func finishStopping() {
    guard hasMachineStopped, !isOver else { return }
    guard owesLastLook else { return beOver() }
    owesLastLook = false
    run(.looking) { $0.look($1) }
  }

  private func beOver() {
    isOver = true
    guard settings.mode != .schedule, let change = machine.status.owed.first(where: { $0.trigger == .change }) else {
      return
    }
    logger.warning(
      "stopped with a change of \(path.given) that is in no backup, made since \(change.since.iso8601)",
      metadata: ["hint": "the next start backs it up; holdfast agent --once does so now"])
  }

  /// Lets go of everything; called when it is done.
  func end() {
    unwatch()
    work.end()
    held.close()
    lock.release()
  }

  /// Gives up what is running, and what waits for a thread.
  func abandon() {
    isAbandoned = true
    owesLastLook = false
    if case .backingUp(let progress, _, _) = job { progress.stop() }
    guard job != nil, shared.workers.withdraw(id) else { return }
    let interrupted = HoldfastError(.interrupted, "interrupted")
    finish(isBackingUp ? .backedUp(.failure(interrupted), files: files) : .released)
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
}
