import BackupEngine
import BackupPolicy
import Glibc
import Logging
import Names

/// The agent's one event loop: it owns everything that the databases share, sleeps in `poll`, and
/// never blocks elsewhere. Created and used on one thread.
final class EventLoop {
  /// The parts of an agent besides its configuration. Tests replace some of them.
  struct Parts: Sendable {
    var control: AgentControl
    var reload: (@Sendable () throws -> AgentConfiguration)?
    var logger: Logger
    var inotify = InotifyCalls.system
    var notifier = ServiceNotifier.fromEnvironment
    /// Nil: as the targets describe them.
    var stores: StoreOpening?
    /// Whether commands can ask; not if the agent runs in another program's process.
    var acceptsCommands = false
    /// Nil if the agent runs in another program's process.
    var memoryTrimming: MemoryTrimming?
  }

  private let parts: Parts
  private let shared: LoopContext
  private let roster: DatabaseRoster
  private let requests: RequestHandler
  private let files: any FileOperations
  private let notifications: NotificationRunner
  /// Nil if commands cannot ask.
  private var server: ControlServer?
  private var stopGrace: Int64
  /// The patterns that more databases may match; nil if there are no patterns.
  private var patternWatch: PatternWatch?
  private var lastGeneration = 0
  /// A configuration is being read.
  private var isReloading = false
  /// Another reload was requested since the present one began.
  private var isReloadPending = false
  /// Until then the loop does not read inotify events.
  private var listeningPauseEnd = Int64.min
  /// When running backups are abandoned.
  private var graceEnd: Int64?
  private var isStopping = false
  private var memoryTrimming: MemoryTrimming?
  private var announcements: Announcements

  /// - Throws: if the system has no thread, timer or descriptor left, or if another agent guards
  ///   one of the repositories.
  init(_ configuration: AgentConfiguration, _ parts: Parts) throws {
    try configuration.validate()
    self.parts = parts
    memoryTrimming = parts.memoryTrimming
    guard let environment = configuration.environment else {
      throw HoldfastError.noDatabaseNamed
    }
    let descriptors = DescriptorBudget.allocate(for: configuration.databases, workers: WorkerPool.backupLimit)
    shared = LoopContext(
      clock: try LoopClock(environment), watches: FolderWatches(parts.inotify),
      workers: try WorkerPool(.backups, limit: descriptors.workers, parts.control.inbox),
      housekeeping: try WorkerPool(.housekeeping, limit: 1, parts.control.inbox), inbox: parts.control.inbox,
      descriptors: descriptors, stores: parts.stores)
    stopGrace = configuration.stopGrace
    shared.metrics.use(configuration.metricsFile)
    announcements = Announcements(parts.notifier)
    shared.descriptors.logConcession(parts.logger)
    requests = RequestHandler(shared.feed, at: shared.clock.now)
    files = environment.files
    if parts.acceptsCommands, descriptors.limit >= ControlServer.leastDescriptors {
      server = Self.listen(environment, parts)
    }
    shared.socketPath = server?.path
    roster = DatabaseRoster(shared, parts.logger)
    notifications = NotificationRunner(configuration, shared, parts.logger)
    do {
      try roster.add(configuration.databases, isAlone: configuration.isAlone)
    } catch {
      server?.stop()
      shared.stopWorkers()
      throw error
    }
    watchPatterns(configuration.patterns)
  }

  /// An agent that cannot listen works all the same.
  private static func listen(_ environment: EngineEnvironment, _ parts: Parts) -> ControlServer? {
    do {
      return try ControlServer(in: environment.stateFolder, parts.control.inbox, environment.monotonic)
    } catch {
      parts.logger.warning("holdfast status and other commands cannot ask this agent: \(error)")
      return nil
    }
  }

  private var logger: Logger { parts.logger }
  private var clock: LoopClock { shared.clock }
  private var coordinators: [DatabaseCoordinator] { roster.coordinators }

  /// Runs until a stop is requested and nothing is running any more.
  func run() {
    coordinators.forEach { $0.start() }
    parts.control.open()
    defer { parts.control.close() }
    while !(isStopping && coordinators.allSatisfy(\.isDone) && !roster.retryLastBackup()) {
      let wake = sleep()
      if wake.clockSet { coordinators.forEach { $0.handleClockSet() } }
      if wake.hasEvents { handleEvents() }
      for message in wake.messages { handle(message) }
      handleTime()
      dropLeavers()
      notifications.update(coordinators, isStopping: isStopping)
      announcements.update(
        coordinators, problems: shared.refusals.count, isStopping: isStopping, at: clock.monotonic)
    }
    notifications.stop()
    shared.stopWorkers()
    // A message that was accepted meanwhile must not be repeated by the next agent.
    for case .notified(let id, let result) in shared.inbox.removeAll() { notifications.record(id, result) }
    shared.metrics.writeLast(metricsSnapshot(), files, logger)
    coordinators.forEach { $0.end() }
    requests.refuseReloads(HoldfastError(.refused, "the agent has stopped"))
    server?.stop()
    logger.info("stopped", metadata: .about(.stopped))
  }

  // MARK: Sleeping

  private struct Wake {
    var hasEvents = false
    var clockSet = false
    var messages: [LoopMessage] = []
  }

  /// Sleeps until an event or a message arrives or something is due.
  private func sleep() -> Wake {
    var wake = Wake()
    let now = clock.moment
    let listens = listeningPauseEnd <= now.monotonic
    let deadline = nextDeadline(listens: listens)
    let isDue = deadline.isReached(at: now)
    if !isDue { wake.clockSet = clock.arm(deadline) }
    let isBusy = isDue || coordinators.contains(where: \.isWorking)
    memoryTrimming?.sleeps(from: now.monotonic, until: isBusy ? now.monotonic : deadline.monotonic)
    let timers = clock.descriptors
    var descriptors = ([shared.inbox.wakeUp.descriptor, listens ? shared.watches.descriptor : -1] + timers).map {
      pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
    }
    // A signal that interrupts is treated like an empty wake-up.
    _ = poll(&descriptors, nfds_t(descriptors.count), isDue || wake.clockSet ? 0 : -1)
    if descriptors[0].revents != 0 { shared.inbox.wakeUp.consume() }
    wake.hasEvents = descriptors[1].revents != 0
    if descriptors[2...].contains(where: { $0.revents != 0 }), clock.consume() { wake.clockSet = true }
    wake.messages = shared.inbox.removeAll()
    return wake
  }

  private func nextDeadline(listens: Bool) -> Deadline {
    var next = Deadline()
    for deadline in coordinators.map(\.deadline) {
      next.monotonic = [next.monotonic, deadline.monotonic].compactMap { $0 }.min()
      next.wall = [next.wall, deadline.wall].compactMap { $0 }.min()
    }
    if !isStopping { next = next.earlier(notifications.deadline) }
    let patterns = isStopping ? nil : patternWatch?.deadline
    let own = [
      graceEnd, listens ? nil : listeningPauseEnd, announcements.deadline, patterns, shared.metrics.deadline,
      isStopping ? nil : roster.deadline,
    ]
    next.monotonic = (own + [next.monotonic]).compactMap { $0 }.min()
    return next
  }

  // MARK: Waking

  private func handleEvents() {
    let events = shared.watches.drain()
    var changed = false
    if events[Self.patternID] != nil { patternWatch?.recordEvent(at: clock.monotonic) }
    for database in coordinators {
      guard let events = events[database.id] else { continue }
      database.handle(events)
      changed = changed || events.contains(.changed)
    }
    // A writer that commits all the time raises thousands of events a second. One wake-up for many
    // of them is enough: the kernel keeps them, and the delay is short compared with the quiet
    // period. Others that write to the same folder must not keep a processor busy either.
    let pause = changed ? Self.longPause : Self.shortPause
    let debounce = coordinators.map(\.database.settings.debounce).min() ?? 0
    listeningPauseEnd = clock.monotonic + min(pause, debounce / 10)
  }

  /// Milliseconds without listening, after a change of a database and after other events.
  private static let (longPause, shortPause): (Int64, Int64) = (20, 2)

  private func handle(_ message: LoopMessage) {
    switch message {
    case .done(let worker, let kind, let inner):
      shared.pool(kind).release(worker)
      memoryTrimming?.recordWork()
      handle(inner)
    case .finished(let id, let result): roster.find(id)?.finish(result)
    case .keptHouse(let id, let result): roster.find(id)?.finish(result)
    case .drilled(let id, let result): roster.find(id)?.finish(result)
    case .shipped(let id, let report):
      memoryTrimming?.recordWork()
      roster.find(id.database)?.finish(id, report)
    case .folderChecked(let id, let isThere):
      roster.find(id.database)?.parts.targets.finishFolderCheck(id, isThere: isThere)
    case .targetEnded(let id): roster.find(id.database)?.parts.targets.finish(id)
    case .clockChecked(let id, let result): roster.find(id)?.parts.finishClockCheck(result)
    case .keyChecked(let id, let problem): roster.find(id)?.finishKeyCheck(problem)
    case .reading(let id, let began): roster.find(id)?.handleReading(began: began)
    case .backUp(let name): backUp(name)
    case .reload: requestReload()
    case .reloaded(let result): finishReload(result)
    case .patternsSeen(let scan): finish(scan)
    case .status(let continuation): continuation.resume(returning: coordinators.map(\.status))
    case .request(let request, let reply):
      if requests.handle(request, reply, coordinators, shared.messages, isStopping: isStopping) { requestReload() }
    case .replyEnded(let id):
      requests.forget(id)
      coordinators.forEach {
        $0.parts.reporter.forget(id)
        $0.parts.targets.forget(reply: id)
      }
    case .journalSaved: break
    case .metricsWritten(let error):
      memoryTrimming?.recordWork()
      shared.metrics.finish(error, logger)
    case .notified(let id, let result):
      memoryTrimming?.recordWork()
      notifications.finish(id, result, coordinators)
    case .pulsed(let result): notifications.finish(result, coordinators)
    case .clockSet: coordinators.forEach { $0.handleClockSet() }
    case .shutdown: stop(grace: stopGrace)
    case .cancel: stop(grace: 0)
    }
  }

  private func backUp(_ name: String?) {
    let wanted = coordinators.filter { !$0.isStopping && (name == nil || $0.database.name == name) }
    if let name, wanted.isEmpty { logger.warning("no backup: there is no database with the name \(name)") }
    wanted.forEach { $0.handle(request: .requested) }
  }

  /// Does the work that is due by the clock.
  private func handleTime() {
    if let graceEnd, graceEnd <= clock.monotonic {
      coordinators.forEach { $0.abandon() }
      shared.stopTransfers()
      self.graceEnd = nil
    }
    handlePatternTime()
    coordinators.forEach { $0.handleTime() }
    writeMetrics()
  }

  private func writeMetrics() {
    guard let path = shared.metrics.begin(at: clock.monotonic) else { return }
    shared.metrics.write(metricsSnapshot(), to: path, files, shared.inbox, logger)
  }

  private func metricsSnapshot() -> MetricsSnapshot {
    MetricsSnapshot(
      coordinators.map { ($0.status, $0.database.engine.environment) }, shared.messages,
      refused: shared.refusals.count, start: requests.start, at: clock.now)
  }

  private func stop(grace: Int64) {
    // A commit right before the request has raised its event, but the event may still be unread.
    if !isStopping { handleEvents() }
    let isRunning = coordinators.contains(where: \.isBackingUp)
    if !isStopping { logger.info(isRunning ? "stopping when the running backup is done" : "stopping") }
    isStopping = true
    graceEnd = min(graceEnd ?? .max, clock.monotonic.addingClamped(max(0, grace)))
    coordinators.forEach { $0.stop() }
  }
}

extension EventLoop {
  /// Reads the configuration again on a worker, because reading files may block.
  private func requestReload() {
    guard !isStopping else { return }
    guard let reload = parts.reload else {
      requests.refuseReloads(HoldfastError(.refused, "there is no configuration to reload"))
      return logger.notice("there is no configuration to reload")
    }
    // The running reload may miss changes that were written after it began, so another one starts
    // when it ends.
    guard !isReloading else {
      isReloadPending = true
      return
    }
    (isReloading, isReloadPending) = (true, false)
    requests.beginReload()
    announcements.reloading()
    shared.workers.submit(nil) { .reloaded(Result { try reload() }) }
  }

  private func finishReload(_ result: Result<AgentConfiguration, any Error>) {
    isReloading = false
    defer {
      announcements.reloaded()
      if isReloadPending { requestReload() }
    }
    guard !isStopping else { return }
    do {
      try apply(try result.get())
      logger.notice("the configuration was reloaded", metadata: .about(.reloaded))
      requests.endReload(nil)
    } catch {
      logger.error("the configuration was not reloaded: \(error)")
      requests.endReload(HoldfastError(wrapping: error).during("the configuration was not reloaded"))
    }
  }

  /// Adds and removes databases and changes their settings. All or nothing: the steps that can fail
  /// come first.
  private func apply(_ configuration: AgentConfiguration) throws {
    try configuration.validate()
    let new = try roster.addNew(among: configuration.databases, isAlone: configuration.isAlone)
    stopGrace = configuration.stopGrace
    shared.metrics.use(configuration.metricsFile)
    watchPatterns(configuration.patterns)
    notifications.update(configuration.notifications, coordinators)
    roster.update(to: configuration.databases, starting: new)
  }

  /// Releases the databases that were removed and have nothing running any more.
  private func dropLeavers() {
    guard !isStopping else { return }
    roster.dropDone()
    roster.beginSuccessors(hasPatterns: patternWatch != nil)
  }
}

/// Databases that are added and removed while the agent runs, if the configuration names them by a
/// pattern.
extension EventLoop {
  /// The ID of the watches for patterns, among those of the databases.
  private static let patternID = DatabaseID(number: 0)

  /// Uses these patterns from now on.
  private func watchPatterns(_ patterns: DatabasePatterns?) {
    lastGeneration += 1
    patternWatch = patterns.map { PatternWatch($0, generation: lastGeneration, at: clock.monotonic) }
    if patterns == nil { shared.recordRefusals([]) }
    if patterns == nil { try? shared.watches.apply(nil, to: Self.patternID) }
  }

  /// Begins a search for matches if one is due.
  private func handlePatternTime() {
    guard !isStopping, let deadline = patternWatch?.deadline, deadline <= clock.monotonic else { return }
    patternWatch?.begin(at: clock.monotonic)
    guard let watch = patternWatch else { return }
    shared.workers.submit(nil) { .patternsSeen(PatternScan(watch)) }
  }

  private func finish(_ scan: PatternScan) {
    guard !isStopping, scan.generation == patternWatch?.generation else { return }
    if patternWatch?.end(scan, at: clock.monotonic) == true {
      do {
        try shared.watches.apply(scan.plan, to: Self.patternID)
      } catch {
        report("new matches of patterns are found only by polling: \(error)")
      }
    }
    guard let expansion = scan.expansion else { return }
    patternWatch?.beginResult()
    defer { shared.recordRefusals(patternWatch?.problems ?? []) }
    do {
      let found = try expansion.get()
      follow(found.databases)
      for refusal in found.refusals { report("\(refusal)") }
    } catch {
      patternWatch?.forget()
      report("added and removed databases are not taken into account yet: \(error)")
    }
  }

  /// Adds the new databases. A database whose file is gone stays watched and is reported missing
  /// for as long as it has backups.
  private func follow(_ databases: [AgentDatabase]) {
    roster.stopGone(besides: databases)
    for database in roster.unknown(among: databases) { addFoundDatabase(database) }
  }

  private func addFoundDatabase(_ database: AgentDatabase) {
    do {
      try roster.addFound(database)
    } catch {
      patternWatch?.forget()
      report("\(database.engine.database ?? database.name) matches a pattern and is not backed up: \(error)")
    }
  }

  private func report(_ problem: String) {
    if patternWatch?.report(problem) == true { logger.error("\(problem)") }
  }
}
