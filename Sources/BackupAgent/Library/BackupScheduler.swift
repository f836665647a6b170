import BackupEngine
import BackupPolicy
import Glibc
import Logging
import ServiceLifecycle
import Synchronization

/// Backs a database up by itself: after its changes, on a schedule, or both.
///
/// It is the agent that `holdfast agent` runs, inside the calling program: it watches with inotify, sleeps while nothing
/// happens, and does its blocking work on threads of its own. Failures do not end it: they are logged, shown by
/// ``jobInfo()``, and tried again with growing pauses. A repository has one agent at a time.
///
/// Either ``start()`` and ``stop()`` it, or hand it to a `ServiceGroup` of swift-service-lifecycle, which calls ``run()``.
/// A scheduler that is let go of while it runs stops as by ``stop()``.
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
  /// What a `ServiceGroup` calls it in its log.
  public let description = "backup scheduler"
  private let state: SchedulerState
  private let logger: Logger

  /// - Parameters:
  ///   - service: the database, the repository, and what encrypts it.
  ///   - configuration: when and what; looked at by ``start()`` and ``run()``.
  ///   - logger: each backup with its reason, each alarm with its hint.
  public init(
    service: BackupService, configuration: BackupSchedulerConfiguration = BackupSchedulerConfiguration(),
    logger: Logger = Logger(label: "holdfast")
  ) {
    state = SchedulerState(service.engine, configuration)
    self.logger = logger
  }

  deinit { state.control?.inbox.post(.shutdown) }

  /// What it goes by, with the latest schedule.
  public var configuration: BackupSchedulerConfiguration { state.configuration }

  /// Whether it watches the database and answers.
  public var isRunning: Bool { state.control != nil }

  /// Starts it, and returns when it watches the database. Where the configuration says that it is not `enabled`, it does
  /// nothing.
  ///
  /// A database that is missing or in use is no error: it is an alarm until it can be backed up.
  ///
  /// - Throws: `HoldfastError`: `usage` for a schedule, zone, quiet hours or rule that makes no sense, with the column;
  ///   `keyMissing` where points are to be encrypted and the service has no password or key; `busy` where another agent
  ///   guards the repository; `refused` where this one runs already.
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

  /// Stops it, and returns when nothing runs any more. A backup that is running may finish within the grace period of the
  /// configuration, and is abandoned then, which leaves no trace. Does nothing where nothing runs.
  public func stop() async {
    guard let control = state.control else { return }
    control.inbox.post(.shutdown)
    await control.lifetime.hasEnded()
  }

  /// Runs it until the task is cancelled or a `ServiceGroup` shuts down.
  ///
  /// - Throws: `HoldfastError`: as ``start()``.
  public func run() async throws {
    guard state.configuration.enabled else {
      logger.info("backups are not enabled")
      // A service that returned would end its group.
      return try await gracefulShutdown()
    }
    let control = try AgentControl()
    let agent = try begin(control)
    defer { Self.end(control, state) }
    try await agent.run()
  }

  /// Asks for a backup now, whether something changed or not, and returns at once. The point's type is `manual`.
  ///
  /// - Throws: `HoldfastError`: `refused` where the scheduler does not run.
  public func triggerBackup() throws {
    guard let control = state.control else {
      throw HoldfastError(
        .refused, "the scheduler does not run", hint: "start it first, or let the service create the backup")
    }
    control.backUpNow()
  }

  /// When the schedule next starts a backup, by this machine's clock; nil where the scheduler does not run, or has no
  /// schedule, or one that never comes again.
  public func nextRunTime() async -> Timestamp? {
    state.plan?.nextRun(after: state.engine.environment.now())
  }

  /// Replaces the schedule. A scheduler that runs goes by the new one from now on, without a pause in its watch.
  ///
  /// - Parameter schedule: cron's five fields or a macro; nil for none.
  /// - Throws: `HoldfastError`: `usage`, with the column; the old schedule then stays.
  public func updateSchedule(_ schedule: String?) throws {
    try state.replaceSchedule(schedule)
  }

  /// How things stand; nil where the scheduler does not run.
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

  /// The agent is gone: another may start, and whoever waits for the end is told.
  private static func end(_ control: AgentControl, _ state: SchedulerState) {
    state.end(control)
    control.lifetime.end()
  }
}

/// What a scheduler and the agent that it runs share. Safe from any thread.
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
  /// What the agent goes by; nil where none runs.
  var plan: SchedulerPlan? { content.withLock { $0.control == nil ? nil : $0.plan } }

  /// Takes the place of the one agent.
  ///
  /// - Throws: `usage` for a configuration that makes no sense; `refused` where an agent runs already.
  func begin(_ control: AgentControl) throws {
    let plan = try SchedulerPlan(configuration)
    try content.withLock { content in
      guard content.control == nil else { throw HoldfastError(.refused, "the scheduler is running already") }
      content.control = control
      content.plan = plan
    }
  }

  func end(_ control: AgentControl) {
    content.withLock { if $0.control === control { $0.control = nil } }
  }

  /// - Throws: `usage` for a schedule that makes no sense; nothing is changed then.
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

  /// What the agent is told, when it starts and when it reads its configuration again.
  func agentConfiguration() throws -> AgentConfiguration {
    try (plan ?? SchedulerPlan(configuration)).agentConfiguration(engine)
  }
}

/// A configuration that was found to make sense: what its texts say, and what the agent is told.
struct SchedulerPlan {
  let configuration: BackupSchedulerConfiguration
  let schedule: CronSchedule?
  let zone: ZoneRules
  private let quietHours: QuietHours?

  /// Reads the zone's file.
  ///
  /// - Throws: `usage` for a schedule, a zone, quiet hours or a rule that cannot be meant.
  init(_ configuration: BackupSchedulerConfiguration) throws {
    self.configuration = configuration
    schedule = try configuration.schedule.map { try CronSchedule($0) }
    zone = try configuration.timeZone.map { try TimeZones.named($0) } ?? TimeZones.local(TZ: Self.variable("TZ"))
    quietHours = try configuration.quietHours.map { try QuietHours($0) }
    try configuration.retention.requireMeant()
    guard configuration.mode == .schedule, schedule == nil else { return }
    throw HoldfastError(
      .usage, "the mode needs a schedule, but there is no schedule", hint: "set a schedule, or another mode")
  }

  /// The first scheduled run after `time`; nil where no schedule starts anything.
  func nextRun(after time: Timestamp) -> Timestamp? {
    configuration.mode == .change ? nil : schedule?.next(after: time, in: zone)
  }

  func agentConfiguration(_ engine: Engine) throws -> AgentConfiguration {
    let database = GuardedDatabase(
      name: try engine.requireDatabase().lastComponent, service: engine, settings: settings(engine))
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
  /// Whole milliseconds, at most what 64 bits can express; a negative duration counts as 0.
  var milliseconds: Int64 { max(0, wholeMilliseconds) }
}
