import BackupEngine
import BackupPolicy

/// When a ``BackupScheduler`` backs up, how it makes backups, and which it keeps.
///
/// By default it backs up soon after each burst of changes, and every night at two.
///
/// ```swift
/// var configuration = BackupSchedulerConfiguration()
/// configuration.debounce = .milliseconds(500)
/// configuration.maxDelay = .seconds(30)
/// configuration.quietHours = "22:00-06:00"
/// configuration.timeZone = "Europe/Berlin"
/// ```
public struct BackupSchedulerConfiguration: Sendable {
  /// If false, starting does nothing, so that a setting can switch backups off.
  public var enabled = true
  /// When scheduled backups run, in cron's five fields or a macro such as `@daily`; nil for never.
  /// Scheduled backups are read back in full as soon as they are made.
  public var schedule: String? = "0 2 * * *"
  /// The zone of ``schedule`` and ``quietHours``, such as `Europe/Berlin` or `UTC`; nil for this
  /// machine's own.
  public var timeZone: String?
  /// When changes start no backup, such as `22:00-06:00` or `Sat-Sun 00:00-24:00`; nil for never.
  public var quietHours: String?
  /// How often to look for changes that raise no event: through a hard link, or from another
  /// machine.
  public var pollInterval = Duration.seconds(30)
  /// The rules for keeping backups, by the calendar of ``timeZone``. Without any rule nothing is
  /// removed. Compaction merges old incrementals independently of the rules, except for those that
  /// a calendar or tag rule names.
  public var retention = RetentionPolicy()
  /// Whether backups are encrypted; nil for the service's own setting.
  public var encrypt: Bool?
  /// Whether backups are compressed; nil for the service's own setting.
  public var compress: Bool?
  /// Whether each backup is read back in full as soon as it is made, and not only the scheduled
  /// ones.
  public var verifyAfterCreate = false
  /// How long backups may continue after ``BackupScheduler/stop()`` before they are abandoned: a
  /// running one, and one of a pending change.
  public var stopGrace = Duration.seconds(10)
  /// When backups start automatically. ``SchedulerPlan`` adds the values of ``schedule``,
  /// ``timeZone`` and ``quietHours``.
  package var triggers = TriggerSettings()

  /// Backs up after each burst of changes, and every night at two.
  public init() {}
}

// When backups start automatically. Times are stored in whole milliseconds.
extension BackupSchedulerConfiguration {
  /// The events that start backups automatically.
  public var mode: TriggerMode {
    get { triggers.mode }
    set { triggers.mode = newValue }
  }
  /// Whether scheduled runs that were missed while nothing ran are made up, once.
  public var catchUp: Bool {
    get { triggers.catchUp }
    set { triggers.catchUp = newValue }
  }
  /// Whether a scheduled run is skipped if nothing has changed since the last backup.
  public var skipUnchanged: Bool {
    get { triggers.skipUnchanged }
    set { triggers.skipUnchanged = newValue }
  }
  /// The quiet period after a change before its backup starts: a burst of writes becomes one
  /// backup.
  public var debounce: Duration {
    get { .milliseconds(triggers.debounce) }
    set { triggers.debounce = newValue.milliseconds }
  }
  /// The longest time from the first change to the start of its backup, even if the writes
  /// continue.
  public var maxDelay: Duration {
    get { .milliseconds(triggers.maxDelay) }
    set { triggers.maxDelay = newValue.milliseconds }
  }
  /// The shortest time from the start of a backup to the start of the next one for a change.
  public var minInterval: Duration {
    get { .milliseconds(triggers.minInterval) }
    set { triggers.minInterval = newValue.milliseconds }
  }
}

extension BackupSchedulerConfiguration {
  /// The number of days for which a backup is kept, at least 1; nil for no rule. A rule of
  /// ``retention``.
  public var retentionDays: Int? {
    get { retention.retentionDays }
    set { retention.retentionDays = newValue }
  }
  /// The largest number of backups to keep, at least 1; nil for no rule. A rule of ``retention``.
  public var maxBackups: Int? {
    get { retention.maxBackups }
    set { retention.maxBackups = newValue }
  }
}

extension RetentionPolicy {
  /// Refuses the values that a configuration file may not have either, with the same words and this
  /// property's name.
  ///
  /// - Throws: `usage`.
  func requireValid() throws {
    for form in [KeepRule.Form.count, .quota, .span] {
      for rule in rules.list where rule.kind.form == form { try rule.requireValid() }
    }
    for (name, duration) in [("anomalyHold", anomalyHold), ("safetyGrace", safetyGrace)] where duration < .zero {
      throw HoldfastError(.usage, "\(name) is \(duration), which is too short", hint: "use at least 0 seconds")
    }
    guard let minFreeSpace, !minFreeSpace.isValid else { return }
    throw HoldfastError(
      .usage, "minFreeSpace is \(minFreeSpace), which is not a valid amount of space",
      hint: "use 1 to 99 percent, or some bytes")
  }

}

extension KeepRule {
  fileprivate func requireValid() throws {
    switch amount {
    case .count(let count) where kind.form == .count && count < 1: throw problem(hint: "leave it nil for no rule")
    case .count(let count) where count < -1: throw problem(hint: "use -1 for all, nil for none")
    case .span(let span) where span.hasNegativePart: throw problem(hint: "use no negative part")
    case .count, .span, .tags: break
    }
  }

  private func problem(hint: String) -> HoldfastError {
    HoldfastError(.usage, "\(kind.property) is \(amount.text), which is not \(kind.form.inWords)", hint: hint)
  }
}

extension CalendarSpan {
  fileprivate var hasNegativePart: Bool {
    years < 0 || months < 0 || days < 0 || time < .zero
  }
}

extension FreeSpace {
  fileprivate var isValid: Bool {
    switch self {
    case .bytes(let bytes): bytes > 0
    case .percent(let percent): (1...99).contains(percent)
    }
  }
}
