import BackupEngine
import BackupPolicy
import Glibc
import Logging
import ServiceLifecycle
import Synchronization

/// Backs up a database automatically: after changes, on a schedule, or both.
///
/// It is the agent of `holdfast agent`, inside the calling program: it watches with inotify, sleeps
/// while nothing happens, and does its blocking work on threads of its own. Failures do not end it:
/// they are logged, shown by ``jobInfo()``, and retried with growing pauses. A repository has one
/// agent at a time.
///
/// Either ``start()`` and ``stop()`` it, or pass it to a `ServiceGroup` of swift-service-lifecycle,
/// which calls ``run()``. If a running scheduler is deallocated, it stops as by ``stop()``.
///
/// ```swift
/// var configuration = BackupSchedulerConfiguration()
/// configuration.schedule = "0 3 * * 1-5"
/// configuration.retention.keepDaily = 30
/// let scheduler = BackupScheduler(service: service, configuration: configuration)
/// try await scheduler.start()
/// await scheduler.stop()
/// ```
public final class BackupScheduler: Service, CustomStringConvertible {
  /// The name that a `ServiceGroup` uses in its log.
  public let description = "backup scheduler"
  private let state: SchedulerState
  private let logger: Logger

  /// - Parameters:
  ///   - service: the database, the repository, and the key.
  ///   - configuration: the schedule, triggers and rules; read by ``start()`` and ``run()``.
  ///   - logger: receives each backup with its reason, and each alarm with its hint.
  public init(
    service: BackupService, configuration: BackupSchedulerConfiguration = BackupSchedulerConfiguration(),
    logger: Logger = Logger(label: "holdfast")
  ) {
    state = SchedulerState(service.engine, configuration)
    self.logger = logger
  }

  deinit { state.control?.inbox.post(.shutdown) }

  /// The configuration in force, with the latest schedule.
  public var configuration: BackupSchedulerConfiguration { state.configuration }

  /// Whether it watches the database and accepts requests.
  public var isRunning: Bool { state.control != nil }

  /// Starts the scheduler, and returns when it watches the database. If `enabled` is false in the
  /// configuration, it does nothing.
  ///
  /// A database that is missing or in use is no error: it is an alarm until it can be backed up.
  ///
  /// - Throws: `HoldfastError`: `usage` for a schedule, zone, quiet hours or rule that is not
  ///   valid, with the column; `keyMissing` if backups are to be encrypted and the service has no
  ///   password or key; `busy` if the repository has another agent; `refused` if this scheduler
  ///   already runs.
  public func start() async throws {
    guard state.configuration.enabled else { return logger.info("backups are not enabled") }
    let control = try AgentControl()
    let agent = try begin(control)
    let task = Task { [state] in
      defer { Self.end(control, state) }
      try await agent.run()
    }
    guard await control.lifetime.hasBegun() else {
      try await task.value
      throw HoldfastError(.interrupted, "the scheduler was stopped while it started")
    }
  }

  /// Stops the scheduler, and returns when nothing runs any more. A running backup may finish
  /// within the grace period of the configuration. After that it is abandoned, which leaves no
  /// trace. Does nothing if the scheduler is not running.
  public func stop() async {
    guard let control = state.control else { return }
    control.inbox.post(.shutdown)
    await control.lifetime.hasEnded()
  }

  /// Runs the scheduler until the task is cancelled or a `ServiceGroup` shuts down.
  ///
  /// - Throws: `HoldfastError`: as ``start()``.
  public func run() async throws {
    guard state.configuration.enabled else {
      logger.info("backups are not enabled")
      // If a service returned, its group would end.
      return try await gracefulShutdown()
    }
    let control = try AgentControl()
    let agent = try begin(control)
    defer { Self.end(control, state) }
    try await agent.run()
  }

  /// Requests a backup now, also without a change, and returns at once. The backup's type is
  /// `manual`.
  ///
  /// - Throws: `HoldfastError`: `refused` if the scheduler is not running.
  public func triggerBackup() throws {
    guard let control = state.control else {
      throw HoldfastError(
        .refused, "the scheduler is not running", hint: "start it first, or let the service create the backup")
    }
    control.backUpNow()
  }

  /// The time when the schedule next starts a backup, by this machine's clock. Nil if the scheduler
  /// does not run, or if it has no schedule or one that never comes again.
  public func nextRunTime() async -> Timestamp? {
    state.plan?.nextRun(after: state.engine.environment.now())
  }

  /// Replaces the schedule. A running scheduler uses the new one from now on, without a pause in
  /// its watch.
  ///
  /// - Parameter schedule: cron's five fields or a macro; nil for no schedule.
  /// - Throws: `HoldfastError`: `usage`, with the column; the old schedule then stays.
  public func updateSchedule(_ schedule: String?) throws {
    try state.replaceSchedule(schedule)
  }

  /// The present status; nil if the scheduler is not running.
  public func jobInfo() async -> BackupJobInfo? {
    guard let control = state.control, let plan = state.plan, let status = await control.status().first else {
      return nil
    }
    return BackupJobInfo(plan, status)
  }

  private func begin(_ control: AgentControl) throws -> AgentService {
    try state.begin(control)
    do {
      let configuration = try state.agentConfiguration()
      try configuration.validate()
      return AgentService(
        configuration, control: control, reload: { [state] in try state.agentConfiguration() }, logger: logger)
    } catch {
      Self.end(control, state)
      throw error
    }
  }

  /// Records that the agent ended: another may start, and the callers that wait for the end
  /// continue.
  private static func end(_ control: AgentControl, _ state: SchedulerState) {
    state.end(control)
    control.lifetime.end()
  }
}

/// The state that a scheduler shares with its agent. Safe from any thread.
final class SchedulerState: Sendable {
  private struct Content {
    var configuration: BackupSchedulerConfiguration
    var plan: SchedulerPlan?
    var control: AgentControl?
  }

  let engine: Engine
  private let content: Mutex<Content>

  init(_ engine: Engine, _ configuration: BackupSchedulerConfiguration) {
    self.engine = engine
    content = Mutex(Content(configuration: configuration))
  }

  var configuration: BackupSchedulerConfiguration { content.withLock { $0.configuration } }
  /// The agent that runs now.
  var control: AgentControl? { content.withLock { $0.control } }
  /// The agent's plan; nil if no agent runs.
  var plan: SchedulerPlan? { content.withLock { $0.control == nil ? nil : $0.plan } }

  /// Registers the one agent.
  ///
  /// - Throws: `usage` for a configuration that is not valid; `refused` if an agent already runs.
  func begin(_ control: AgentControl) throws {
    let plan = try SchedulerPlan(configuration)
    try content.withLock { content in
      guard content.control == nil else { throw HoldfastError(.refused, "the scheduler is already running") }
      content.control = control
      content.plan = plan
    }
  }

  func end(_ control: AgentControl) {
    content.withLock { if $0.control === control { $0.control = nil } }
  }

  /// - Throws: `usage` for a schedule that is not valid; nothing is changed then.
  func replaceSchedule(_ schedule: String?) throws {
    var configuration = configuration
    configuration.schedule = schedule
    let plan = try SchedulerPlan(configuration)
    let control = content.withLock { content in
      content.configuration.schedule = schedule
      content.plan = plan
      return content.control
    }
    control?.reload()
  }

  /// The agent's configuration when it starts, and when it reads its configuration again.
  func agentConfiguration() throws -> AgentConfiguration {
    try (plan ?? SchedulerPlan(configuration)).agentConfiguration(engine)
  }
}

/// A checked configuration, with its texts parsed, from which the agent's configuration is made.
struct SchedulerPlan {
  let configuration: BackupSchedulerConfiguration
  let schedule: CronSchedule?
  let zone: ZoneRules
  private let quietHours: QuietHours?

  /// Reads the zone's file.
  ///
  /// - Throws: `usage` for a schedule, a zone, quiet hours or a rule that is not valid.
  init(_ configuration: BackupSchedulerConfiguration) throws {
    self.configuration = configuration
    schedule = try configuration.schedule.map { try CronSchedule($0) }
    zone = try configuration.timeZone.map { try TimeZones.named($0) } ?? TimeZones.local(TZ: Self.variable("TZ"))
    quietHours = try configuration.quietHours.map { try QuietHours($0) }
    try configuration.retention.requireValid()
    guard configuration.mode == .schedule, schedule == nil else { return }
    throw HoldfastError(
      .usage, "the mode needs a schedule, but there is no schedule", hint: "set a schedule, or another mode")
  }

  /// The first scheduled run after `time`; nil if no schedule starts backups.
  func nextRun(after time: Timestamp) -> Timestamp? {
    configuration.mode == .change ? nil : schedule?.next(after: time, in: zone)
  }

  func agentConfiguration(_ engine: Engine) throws -> AgentConfiguration {
    let database = AgentDatabase(
      name: try engine.requireDatabase().lastComponent, engine: engine, settings: settings(engine))
    return AgentConfiguration(databases: [database], stopGrace: configuration.stopGrace.milliseconds)
  }

  private func settings(_ engine: Engine) -> AgentSettings {
    var settings = AgentSettings()
    settings.triggers = configuration.triggers
    settings.triggers.schedules = schedule.map { [$0] } ?? []
    settings.triggers.zone = zone
    settings.triggers.quietHours = quietHours
    settings.pollInterval = configuration.pollInterval.milliseconds
    settings.verifyAfterCreate = configuration.verifyAfterCreate
    settings.retention = retention
    settings.archive = engine.defaults
    settings.archive.encrypt = configuration.encrypt ?? engine.defaults.encrypt
    settings.archive.compress = configuration.compress ?? engine.defaults.compress
    return settings
  }

  private var retention: RetentionPolicy? {
    var policy = configuration.retention
    guard !policy.rules.isEmpty || policy.minFreeSpace != nil else { return nil }
    policy.zone = zone
    return policy
  }

  private static func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
}

extension Duration {
  /// Whole milliseconds, at most the largest 64-bit value; a negative duration counts as 0.
  var milliseconds: Int64 { max(0, wholeMilliseconds) }
}
