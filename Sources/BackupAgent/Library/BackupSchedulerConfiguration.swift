import BackupEngine
import BackupPolicy

/// When a ``BackupScheduler`` backs up, what it makes, and what it keeps.
///
/// As it stands: soon after each burst of changes, and every night at two.
///
/// ```swift
/// var configuration = BackupSchedulerConfiguration()
/// configuration.debounce = .milliseconds(500)
/// configuration.maxDelay = .seconds(30)
/// configuration.quietHours = "22:00-06:00"
/// configuration.timeZone = "Europe/Berlin"
/// ```
public struct BackupSchedulerConfiguration: Sendable {
  /// False: starting does nothing, so that a setting can switch backups off.
  public var enabled = true
  /// When scheduled backups run, in cron's five fields or a macro such as `@daily`; nil: never. Scheduled points are read
  /// back in full as soon as they are made.
  public var schedule: String? = "0 2 * * *"
  /// The zone of ``schedule`` and ``quietHours``, such as `Europe/Berlin` or `UTC`; nil for this machine's own.
  public var timeZone: String?
  /// When no backup starts because of a change, such as `22:00-06:00` or `Sat-Sun 00:00-24:00`; nil: never.
  public var quietHours: String?
  /// How often to look for changes that raise no event: through a hard link, or from another machine.
  public var pollInterval = Duration.seconds(30)
  /// What is kept, by the calendar of ``timeZone``; without any rule nothing is removed. Incrementals are merged as they grow
  /// old whatever it says, but for those that a rule of the calendar or of tags names.
  public var retention = RetentionPolicy()
  /// Whether points are encrypted; nil for the service's own setting.
  public var encrypt: Bool?
  /// Whether points are compressed; nil for the service's own setting.
  public var compress: Bool?
  /// Reads each point back in full as soon as it is made, and not only the scheduled ones.
  public var verifyAfterCreate = false
  /// How long backups may go on after ``BackupScheduler/stop()``, a running one and one of a pending change, before they are
  /// abandoned.
  public var stopGrace = Duration.seconds(10)
  /// When backups start by themselves. ``SchedulerPlan`` adds what ``schedule``, ``timeZone`` and ``quietHours`` say.
  package var triggers = TriggerSettings()

  /// After each burst of changes, and every night at two.
  public init() {}
}

// When backups start by themselves. Times are stored in whole milliseconds.
extension BackupSchedulerConfiguration {
  /// What makes backups start by themselves.
  public var mode: TriggerMode {
    get { triggers.mode }
    set { triggers.mode = newValue }
  }
  /// Makes up, once, for scheduled runs that were missed while nothing ran.
  public var catchUp: Bool {
    get { triggers.catchUp }
    set { triggers.catchUp = newValue }
  }
  /// Skips a scheduled run if nothing has changed since the last point.
  public var skipUnchanged: Bool {
    get { triggers.skipUnchanged }
    set { triggers.skipUnchanged = newValue }
  }
  /// The quiet period after a change before its backup starts: a burst of writes becomes one point.
  public var debounce: Duration {
    get { .milliseconds(triggers.debounce) }
    set { triggers.debounce = newValue.milliseconds }
  }
  /// So long after the first change a backup starts, quiet or not.
  public var maxDelay: Duration {
    get { .milliseconds(triggers.maxDelay) }
    set { triggers.maxDelay = newValue.milliseconds }
  }
  /// The shortest time from the start of a backup to that of the next for a change.
  public var minInterval: Duration {
    get { .milliseconds(triggers.minInterval) }
    set { triggers.minInterval = newValue.milliseconds }
  }
}

extension BackupSchedulerConfiguration {
  /// Days for which a point is kept, at least 1; nil: no rule. A rule of ``retention``.
  public var retentionDays: Int? {
    get { retention.retentionDays }
    set { retention.retentionDays = newValue }
  }
  /// The most points to keep, at least 1; nil: no rule. A rule of ``retention``.
  public var maxBackups: Int? {
    get { retention.maxBackups }
    set { retention.maxBackups = newValue }
  }
}
