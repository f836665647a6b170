import BackupEngine
import BackupPolicy
import Glibc

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
      .usage, "backups are to follow a schedule, and there is none", hint: "set a schedule, or another mode")
  }

  /// The first scheduled run after `time`; nil where no schedule starts anything.
  func nextRun(after time: Timestamp) -> Timestamp? {
    configuration.mode == .change ? nil : schedule?.next(after: time, in: zone)
  }

  func agentConfiguration(_ service: BackupService) throws -> AgentConfiguration {
    let database = GuardedDatabase(
      name: try service.requireDatabase().lastComponent, service: service, settings: settings(service))
    return AgentConfiguration(databases: [database], stopGrace: configuration.stopGrace.milliseconds)
  }

  private func settings(_ service: BackupService) -> AgentSettings {
    var settings = AgentSettings()
    settings.mode = configuration.mode
    settings.schedules = schedule.map { [$0] } ?? []
    settings.zone = zone
    settings.quietHours = quietHours
    settings.catchUp = configuration.catchUp
    settings.skipUnchanged = configuration.skipUnchanged
    settings.debounce = configuration.debounce.milliseconds
    settings.maxDelay = configuration.maxDelay.milliseconds
    settings.minInterval = configuration.minInterval.milliseconds
    settings.pollInterval = configuration.pollInterval.milliseconds
    settings.verifyAfterCreate = configuration.verifyAfterCreate
    settings.retention = retention
    let trigger = settings.request.backupType
    settings.request = service.defaults
    settings.request.backupType = trigger
    settings.request.encrypt = configuration.encrypt ?? service.defaults.encrypt
    settings.request.compress = configuration.compress ?? service.defaults.compress
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
  /// Whole milliseconds, held at the most that can be expressed; negative ones count as 0.
  var milliseconds: Int64 {
    let (seconds, attoseconds) = components
    guard seconds >= 0, attoseconds >= 0 else { return 0 }
    return seconds > .max / 1000 - 1 ? .max : seconds * 1000 + attoseconds / 1_000_000_000_000_000
  }
}
