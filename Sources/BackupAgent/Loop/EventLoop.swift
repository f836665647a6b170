import BackupEngine
import BackupPolicy
import Glibc
import Logging

/// The agent's one event loop: it owns the ``TriggerMachine`` and the watch, sleeps in `poll`, and never blocks elsewhere.
/// Created and used on one thread.
final class EventLoop {
  let service: BackupService
  let settings: AgentSettings
  let logger: Logger
  let inbox: Mailbox<LoopMessage>
  let worker: BackupWorker
  let watcher: InotifyWatcher

  var machine: TriggerMachine
  var followUp = FollowUp()
  /// The backup that is running.
  var progress: Progress?
  /// A check was given to the worker and has not come back.
  var isChecking = false
  /// Why the first backup is taken, where the start found more to say than the machine knows.
  var startReason: String?
  /// What the slow poll saw, or the last job.
  var files: WatchedFiles
  var nextPoll: Int64
  /// What is wrong at the moment, so that it is said once.
  var alarms: Set<Alarm> = []
  /// Until then inotify is not listened to.
  private var breather = Int64.min
  /// When a running backup is abandoned.
  private var graceEnd: Int64?
  private var isStopping = false
  private var isDone = false

  private let stopGrace: Int64

  init(
    _ configuration: AgentConfiguration, _ control: AgentControl,
    _ reload: (@Sendable () throws -> AgentConfiguration)?, _ logger: Logger
  ) throws {
    guard let database = configuration.databases.first else {
      throw HoldfastError(.usage, "no database is named", hint: "use --database PATH, or set DATABASE_URL")
    }
    service = database.service
    settings = database.settings
    stopGrace = configuration.stopGrace
    self.logger = logger
    let inbox = control.inbox
    self.inbox = inbox
    machine = TriggerMachine(settings: settings.triggers)
    let path = WatchedPath(try service.requireDatabase())
    do {
      watcher = try InotifyWatcher.open(path)
    } catch let error as HoldfastError {
      logger.error("\(error)")
      watcher = .blind(path)
    }
    files = WatchedFiles(path, service.environment.files)
    nextPoll = service.environment.monotonic() + max(100, settings.pollInterval)
    worker = try BackupWorker(service, settings, logger) { inbox.post(.finished($0)) }
  }

  /// Runs until it is told to stop and nothing is running any more.
  func run() {
    logStart()
    watch()
    worker.submit(.assess)
    while !isDone {
      let messages = sleep()
      if messages.heard { handle(watcher.drain()) }
      for message in messages.received { handle(message) }
      if !isDone { handleTime() }
    }
    worker.stop()
    logger.info("stopped")
  }

  func moment() -> Moment {
    Moment(wall: service.environment.now(), monotonic: service.environment.monotonic())
  }

  /// Sleeps until there is an event, a message or something due.
  private func sleep() -> (heard: Bool, received: [LoopMessage]) {
    let now = service.environment.monotonic()
    let listens = breather <= now
    var descriptors = [
      pollfd(fd: inbox.wakeUp.descriptor, events: Int16(POLLIN), revents: 0),
      pollfd(fd: listens ? watcher.descriptor : -1, events: Int16(POLLIN), revents: 0),
    ]
    let due = min(nextDeadline, listens ? .max : breather)
    let timeout = due == .max ? -1 : Int32(clamping: max(0, due - now))
    // A signal that interrupts is like a wake-up for nothing.
    _ = poll(&descriptors, nfds_t(descriptors.count), timeout)
    if descriptors[0].revents != 0 { inbox.wakeUp.consume() }
    return (descriptors[1].revents != 0, inbox.takeAll())
  }

  private var nextDeadline: Int64 {
    if isStopping { return graceEnd ?? .max }
    return [machine.deadline?.until, isIdle ? followUp.deadline : nil, isIdle ? nextPoll : nil].compactMap { $0 }.min()
      ?? .max
  }

  /// Nothing is running and nothing is owed.
  private var isIdle: Bool { progress == nil && !isChecking && machine.deadline == nil }

  private func handle(_ events: Set<ChangeEvent>) {
    if events.contains(.folderLost) { raise(.folder, "the folder \(watcher.path.folder) was removed or moved") }
    if events.contains(.removed) { notePresence() }
    guard !events.isDisjoint(with: [.changed, .overflow]) else { return }
    noteChange()
    // A writer that commits all the time raises thousands of events a second. One wake-up for many of them is enough:
    // the kernel keeps them, and the pause is short beside the quiet period.
    breather = service.environment.monotonic() + min(20, settings.debounce / 10)
  }

  func noteChange() {
    let moment = moment()
    followUp.noteEvent(at: moment.monotonic)
    act(machine.receive(.change, at: moment))
  }

  private func handle(_ message: LoopMessage) {
    switch message {
    case .finished(let result): handle(result)
    case .backUp: act(machine.receive(.requested, at: moment()))
    case .reload: break
    case .status(let continuation): continuation.resume(returning: [])
    case .shutdown: stop(grace: stopGrace)
    case .cancel: stop(grace: 0)
    }
  }

  private func stop(grace: Int64) {
    logger.info(progress == nil ? "stopping" : "stopping when the running backup is done")
    isStopping = true
    graceEnd = service.environment.monotonic() + max(0, grace)
    act(machine.receive(.shutdown, at: moment()))
  }

  /// Does what is due by the clock.
  private func handleTime() {
    let moment = moment()
    if let graceEnd, graceEnd <= moment.monotonic {
      progress?.stop()
      self.graceEnd = nil
    }
    if isStopping { return }
    if let deadline = machine.deadline?.until, deadline <= moment.monotonic { act(machine.receive(.tick, at: moment)) }
    guard isIdle else { return }
    if let deadline = followUp.deadline, deadline <= moment.monotonic {
      check(at: moment.monotonic)
    } else if nextPoll <= moment.monotonic {
      pollFiles(at: moment.monotonic)
    }
  }

  func check(at time: Int64) {
    followUp.noteLook(at: time)
    isChecking = true
    worker.submit(.check)
  }

  /// Does what the machine says.
  func act(_ action: TriggerAction) {
    switch action {
    case .start(_, let reason): start(startReason ?? reason)
    case .skip(let reason): logger.info("skipped: \(reason)")
    case .wait(let time): logger.debug("waiting", metadata: ["until": "\(time.map { "\($0)" } ?? "an event")"])
    case .stop: isDone = true
    }
  }

  private func start(_ reason: String) {
    startReason = nil
    let progress = Progress()
    self.progress = progress
    followUp.noteLook(at: service.environment.monotonic())
    logger.info("backing up: \(reason)")
    worker.submit(.backUp(reason: reason, progress))
  }
}
