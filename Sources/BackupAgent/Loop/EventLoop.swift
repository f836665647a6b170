import BackupEngine
import BackupPolicy
import Glibc
import Logging

/// The agent's one event loop: it owns what the databases share, sleeps in `poll`, and never blocks elsewhere. Created and
/// used on one thread.
final class EventLoop {
  /// What the agent is built of, besides its configuration; tests replace some of it.
  struct Parts: Sendable {
    var control: AgentControl
    var reload: (@Sendable () throws -> AgentConfiguration)?
    var logger: Logger
    var inotify = InotifyCalls.system
    var notifier = ServiceNotifier.fromEnvironment
    /// Nil in a program of somebody else's.
    var thrift: MemoryThrift?
  }

  let parts: Parts
  let shared: LoopContext
  var guards: [DatabaseCoordinator] = []
  var stopGrace: Int64
  var lastNumber = 0
  /// The patterns that more databases may match; nil without any.
  var patternWatch: PatternWatch?
  var lastGeneration = 0
  /// A configuration is being read.
  var isReloading = false
  /// Another one was asked for since the present one began.
  var isReloadOwed = false
  /// Until then inotify is not listened to.
  private var breather = Int64.min
  /// When running backups are abandoned.
  private var graceEnd: Int64?
  private(set) var isStopping = false
  private var thrift: MemoryThrift?
  var announcements: Announcements

  /// - Throws: where the system has no thread, timer or descriptor left, or another agent guards one of the repositories.
  init(_ configuration: AgentConfiguration, _ parts: Parts) throws {
    try configuration.validate()
    self.parts = parts
    thrift = parts.thrift
    guard let environment = configuration.environment else {
      throw HoldfastError(.usage, "no database is named", hint: "use --database PATH, or set DATABASE_URL")
    }
    shared = LoopContext(
      clock: try LoopClock(environment), watches: FolderWatches(parts.inotify),
      workers: try WorkerPool(.backups, parts.control.inbox),
      housekeeping: try WorkerPool(.housekeeping, parts.control.inbox), inbox: parts.control.inbox,
      descriptors: .take(databases: configuration.databases.count, workers: WorkerPool.backupLimit))
    stopGrace = configuration.stopGrace
    announcements = Announcements(parts.notifier)
    shared.descriptors.logConcession(parts.logger)
    do {
      try add(configuration.databases, isAlone: configuration.isAlone)
    } catch {
      shared.stopWorkers()
      throw error
    }
    watchPatterns(configuration.patterns)
  }

  var logger: Logger { parts.logger }
  var clock: LoopClock { shared.clock }

  /// Runs until it is told to stop and nothing is running any more.
  func run() {
    guards.forEach { $0.start() }
    parts.control.open()
    defer { parts.control.close() }
    while !(isStopping && guards.allSatisfy(\.isDone)) {
      let wake = sleep()
      if wake.clockSet { guards.forEach { $0.handleClockSet() } }
      if wake.heard { handleEvents() }
      for message in wake.messages { handle(message) }
      handleTime()
      dropLeavers()
      announcements.update(guards, isStopping: isStopping, at: clock.monotonic)
    }
    shared.stopWorkers()
    guards.forEach { $0.end() }
    logger.info("stopped")
  }

  // MARK: Sleeping

  private struct Wake {
    var heard = false
    var clockSet = false
    var messages: [LoopMessage] = []
  }

  /// Sleeps until there is an event, a message or something due.
  private func sleep() -> Wake {
    var wake = Wake()
    let now = clock.moment
    let listens = breather <= now.monotonic
    let deadline = nextDeadline(listens: listens)
    let isDue = deadline.isReached(at: now)
    if !isDue { wake.clockSet = clock.arm(deadline) }
    let isBusy = isDue || guards.contains(where: \.isWorking)
    thrift?.sleeps(from: now.monotonic, until: isBusy ? now.monotonic : deadline.monotonic)
    let timers = clock.descriptors
    var descriptors = ([shared.inbox.wakeUp.descriptor, listens ? shared.watches.descriptor : -1] + timers).map {
      pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
    }
    // A signal that interrupts is like a wake-up for nothing.
    _ = poll(&descriptors, nfds_t(descriptors.count), isDue || wake.clockSet ? 0 : -1)
    if descriptors[0].revents != 0 { shared.inbox.wakeUp.consume() }
    wake.heard = descriptors[1].revents != 0
    if descriptors[2...].contains(where: { $0.revents != 0 }), clock.consume() { wake.clockSet = true }
    wake.messages = shared.inbox.takeAll()
    return wake
  }

  private func nextDeadline(listens: Bool) -> Deadline {
    var next = Deadline()
    for deadline in guards.map(\.deadline) {
      next.monotonic = [next.monotonic, deadline.monotonic].compactMap { $0 }.min()
      next.wall = [next.wall, deadline.wall].compactMap { $0 }.min()
    }
    let patterns = isStopping ? nil : patternWatch?.deadline
    let own = [graceEnd, listens ? nil : breather, announcements.deadline, patterns]
    next.monotonic = (own + [next.monotonic]).compactMap { $0 }.min()
    return next
  }

  // MARK: Waking

  private func handleEvents() {
    let events = shared.watches.drain()
    var changed = false
    if events[Self.patternID] != nil { patternWatch?.noteEvent(at: clock.monotonic) }
    for database in guards {
      guard let events = events[database.id] else { continue }
      database.handle(events)
      changed = changed || events.contains(.changed)
    }
    guard changed else { return }
    // A writer that commits all the time raises thousands of events a second. One wake-up for many of them is enough:
    // the kernel keeps them, and the pause is short beside the quiet period.
    breather = clock.monotonic + (guards.map { min(20, $0.database.settings.debounce / 10) }.min() ?? 0)
  }

  private func handle(_ message: LoopMessage) {
    switch message {
    case .done(let worker, let kind, let inner):
      shared.pool(kind).release(worker)
      thrift?.noteWork()
      handle(inner)
    case .finished(let id, let result): find(id)?.finish(result)
    case .keptHouse(let id, let result): find(id)?.finish(result)
    case .drilled(let id, let result): find(id)?.finish(result)
    case .keyChecked(let id, let problem): find(id)?.finishKeyCheck(problem)
    case .reading(let id, let began): find(id)?.handleReading(began: began)
    case .backUp(let name): backUp(name)
    case .reload: requestReload()
    case .reloaded(let result): finishReload(result)
    case .patternsSeen(let look): finish(look)
    case .status(let continuation): continuation.resume(returning: guards.map(\.status))
    case .clockSet: guards.forEach { $0.handleClockSet() }
    case .shutdown: stop(grace: stopGrace)
    case .cancel: stop(grace: 0)
    }
  }

  private func find(_ id: DatabaseID) -> DatabaseCoordinator? { guards.first { $0.id == id } }

  private func backUp(_ name: String?) {
    let wanted = guards.filter { !$0.isStopping && (name == nil || $0.database.name == name) }
    if let name, wanted.isEmpty { logger.warning("no database is called \(name), so it is not backed up") }
    wanted.forEach { $0.backUpNow() }
  }

  /// Does what is due by the clock.
  private func handleTime() {
    if let graceEnd, graceEnd <= clock.monotonic {
      guards.forEach { $0.abandon() }
      self.graceEnd = nil
    }
    handlePatternTime()
    guards.forEach { $0.handleTime() }
  }

  private func stop(grace: Int64) {
    // A commit right before the request has raised its event, which was perhaps not read yet.
    if !isStopping { handleEvents() }
    let isRunning = guards.contains(where: \.isBackingUp)
    if !isStopping { logger.info(isRunning ? "stopping when the running backup is done" : "stopping") }
    isStopping = true
    graceEnd = min(graceEnd ?? .max, clock.monotonic.addingClamped(max(0, grace)))
    guards.forEach { $0.stop() }
  }
}
