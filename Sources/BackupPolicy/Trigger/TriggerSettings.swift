/// The events that start backups without a request. A person's request always starts one.
///
/// ```swift
/// var configuration = BackupSchedulerConfiguration()
/// configuration.mode = .change  // the schedule starts nothing
/// ```
public enum TriggerMode: String, Hashable, Sendable, CaseIterable {
  /// Changes of the database; schedules are ignored.
  case change
  /// Schedules; changes are recorded, for `skip_unchanged`, but start nothing.
  case schedule
  /// Both.
  case hybrid
}

/// How soon and how often backups are made. Times are in milliseconds; negative ones count as 0.
package struct TriggerSettings: Hashable, Sendable {
  package var mode: TriggerMode
  /// The quiet period after a change before its backup starts.
  package var debounce: Int64
  /// The ceiling: the longest time after the first change until a backup starts, quiet or not.
  package var maxDelay: Int64
  /// The floor between the start of any backup and that of the next for a change. Schedules and
  /// requests of a person do not wait for it.
  package var minInterval: Int64
  /// The pause after a first failure; it doubles with each further one.
  package var firstBackoff: Int64
  /// The longest pause after a failure.
  package var maxBackoff: Int64
  /// When scheduled backups run; times that coincide are one run.
  package var schedules: [CronSchedule]
  /// The zone of ``schedules`` and ``quietHours``.
  package var zone: ZoneRules
  /// The hours in which no backup starts because of a change.
  package var quietHours: QuietHours?
  /// Skips a scheduled run if nothing has changed since the last point.
  package var skipUnchanged: Bool
  /// Makes up, once, for missed scheduled runs.
  package var catchUp: Bool

  package init(
    mode: TriggerMode = .hybrid, debounce: Int64 = 500, maxDelay: Int64 = 5000, minInterval: Int64 = 1000,
    firstBackoff: Int64 = 1000, maxBackoff: Int64 = 60000, schedules: [CronSchedule] = [], zone: ZoneRules = .utc,
    quietHours: QuietHours? = nil, skipUnchanged: Bool = false, catchUp: Bool = true
  ) {
    self.mode = mode
    self.debounce = max(0, debounce)
    self.maxDelay = max(0, maxDelay)
    self.minInterval = max(0, minInterval)
    self.firstBackoff = max(0, firstBackoff)
    self.maxBackoff = max(0, maxBackoff)
    self.schedules = schedules
    self.zone = zone
    self.quietHours = quietHours
    self.skipUnchanged = skipUnchanged
    self.catchUp = catchUp
  }
}

extension TriggerSettings {
  /// When scheduled backups run in this mode.
  var timetable: Timetable { Timetable(schedules: mode == .change ? [] : schedules, zone: zone) }
  /// The quiet time after which an advised full starts, in milliseconds.
  var quiet: Int64 { FullAdvice.quiet(maxDelay: maxDelay) }
}
