import BackupEngine
import BackupPolicy
import Logging
import Replication
import ServiceLifecycle
import UnixSignals

/// The agent's two ways to run.
package enum AgentRunner {
  /// Guards the databases until SIGTERM or SIGINT; running backups are finished first. SIGHUP makes
  /// it read the configuration again, SIGUSR1 makes it back up now.
  ///
  /// - Parameter reload: reads the configuration again; it may block.
  /// - Throws: if the agent cannot work at all: no database is named, there is no key, or another
  ///   agent has one of the repositories (`busy`). Other failures are logged, and tried again.
  package static func run(
    _ configuration: AgentConfiguration, reload: (@Sendable () throws -> AgentConfiguration)?, logger: Logger
  ) async throws {
    try configuration.validate()
    let control = try AgentControl()
    let signals = await SignalService(control)
    var agent = AgentService(configuration, control: control, reload: reload, logger: logger)
    agent.parts.memoryTrimming = MemoryTrimming()
    agent.parts.acceptsCommands = true
    let group = ServiceGroup(
      configuration: ServiceGroupConfiguration(
        services: [.init(service: signals), .init(service: agent)], gracefulShutdownSignals: [.sigterm, .sigint],
        logger: logger))
    try await group.run()
  }

  /// Backs up the database if it has changed since the newest backup. Blocks.
  ///
  /// - Parameters:
  ///   - targets: the places that get copies. Backups that are not there yet stay.
  ///   - progress: stops the work, which then ends with `interrupted`.
  /// - Returns: the new backup; nil if the newest one already holds this state.
  /// - Throws: `HoldfastError`; `databaseMissing` if there is no database, `refused` if it is empty,
  ///   or if the backups that this host stored are missing as well.
  package static func runOnce(
    engine: Engine, settings: AgentSettings, targets: [Target] = [], progress: Progress = Progress(), logger: Logger
  ) throws -> PointMetadata? {
    try settings.requireEssentials(of: engine)
    let kept = KeptConnection(engine.environment)
    defer { kept.close() }
    let worker = DatabaseWorker(engine, settings, logger, kept, targets: targets, isGuarded: false)
    if let doubt = engine.recordClock() { logger.error("\(doubt)") }
    let reason: String
    switch try worker.assess(progress) {
    case .absent(let error):
      if error.code == .databaseMissing { try engine.requireKnownRepository() }
      throw error
    case .due(let why): reason = why
    case .unchanged(let point):
      logger.info("nothing has changed since \(point)")
      return nil
    }
    // Nobody waits for a quiet time here: this run is the opportunity.
    let advice = ChainWeight((try? engine.list()) ?? []).flatMap { ChainPolicy.adviseFull($0) }
    if let advice { logger.info("a full: \(advice.reason)") }
    try progress.check()
    defer { worker.saveState() }
    let order = BackupOrder(trigger: .change, reason: reason, ends: advice?.chain)
    let report = worker.runBackup(order, progress, ConnectionTerms(mayStayOpen: true))
    if let shortage = report.shortage { logger.error("\(shortage)") }
    switch try report.ending.get() {
    case .absent(let error): throw error
    case .unchanged: return nil
    case .stored(let point):
      if let policy = settings.retention { worker.housekeeping.cleanUp(by: policy, progress) }
      return point
    }
  }
}

/// The event loop as a service: its `run()` suspends until the loop's thread has ended. It runs
/// once.
package struct AgentService: Service, CustomStringConvertible {
  package let description = "agent"
  private let configuration: AgentConfiguration
  /// Tests replace some of them before the agent runs.
  var parts: EventLoop.Parts

  /// - Parameters:
  ///   - control: for the caller's requests to the agent.
  ///   - reload: reads the configuration again; it may block. Nil: a request to reload is only
  ///     logged.
  package init(
    _ configuration: AgentConfiguration, control: AgentControl, reload: (@Sendable () throws -> AgentConfiguration)?,
    logger: Logger
  ) {
    self.configuration = configuration
    parts = EventLoop.Parts(control: control, reload: reload, logger: logger)
  }

  /// A graceful shutdown lets running backups end; cancellation abandons them. Both return only when
  /// nothing runs any more.
  ///
  /// - Throws: `busy` if another agent guards one of the repositories.
  package func run() async throws {
    try await withGracefulShutdownHandler {
      try await withTaskCancellationHandler {
        try await runLoop()
      } onCancel: {
        parts.control.inbox.post(.cancel)
      }
    } onGracefulShutdown: {
      parts.control.inbox.post(.shutdown)
    }
  }

  private func runLoop() async throws {
    try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
      do {
        let thread = try AgentThread("holdfast-agent") { [self] in
          continuation.resume(with: Result { try EventLoop(configuration, parts).run() })
        }
        thread.detach()
      } catch {
        continuation.resume(throwing: error)
      }
    }
  }
}

/// Passes signals to the agent: SIGHUP is a reload, SIGUSR1 a backup now.
struct SignalService: Service, CustomStringConvertible {
  let description = "signals"
  private let signals: UnixSignalsSequence
  private let control: AgentControl

  /// Traps the signals at once, because they would end the process.
  init(_ control: AgentControl) async {
    self.control = control
    signals = await UnixSignalsSequence(trapping: .sighup, .sigusr1)
  }

  func run() async throws {
    // Not `cancelOnGracefulShutdown()`: that starts a task on Swift's pool (see ``ThreadExecutor``).
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { await listen() }
      group.addTask { try await gracefulShutdown() }
      try await group.next()
      group.cancelAll()
    }
  }

  private func listen() async {
    for await signal in signals {
      if signal == .sighup { control.reload() } else { control.backUpNow() }
    }
  }
}
