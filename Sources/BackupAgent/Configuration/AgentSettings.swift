import BackupEngine
import BackupPolicy
import Logging

/// How the agent treats one database. Times are in milliseconds.
package struct AgentSettings: Sendable {
  /// What makes backups start by themselves.
  package var mode = TriggerMode.change
  /// The quiet period after a change before its backup starts.
  package var debounce: Int64 = 500
  /// So long after the first change a backup starts, quiet or not.
  package var maxDelay: Int64 = 5000
  /// The floor between two starts.
  package var minInterval: Int64 = 1000
  /// When scheduled backups run.
  package var schedules: [CronSchedule] = []
  /// The zone of ``schedules`` and ``quietHours``.
  package var zone = ZoneRules.utc
  /// When no backup starts because of a change.
  package var quietHours: QuietHours?
  /// Skips a scheduled run where nothing has changed since the last point.
  package var skipUnchanged = false
  /// Makes up, once, for scheduled runs that were missed.
  package var catchUp = true
  /// How often to look at the files, for changes that inotify does not see; at least 100.
  package var pollInterval: Int64 = 30000
  /// What to remove after each change backup and each scheduled one; nil: nothing.
  package var retention: RetentionPolicy?
  /// Which incrementals are merged as they grow old; nil: none.
  package var thinning: ThinningPolicy? = ThinningPolicy()
  /// When the newest point is restored to scratch space and checked.
  package var drills = DrillSettings()
  /// What the restored database is asked then.
  package var assertions: [DrillAssertion] = []
  /// Reads each new point back in full. A scheduled one is read back whatever this says.
  package var verifyAfterCreate = false
  /// What the points are like; their type is the trigger's.
  package var request: CreateRequest

  package init() {
    request = CreateRequest()
    request.backupType = .change
  }

  /// The values that the log shows when a database is watched.
  func logged(at now: Timestamp) -> Logger.Metadata {
    var values: Logger.Metadata = [
      "mode": "\(mode.rawValue)", "debounce_ms": "\(debounce)", "max_delay_ms": "\(maxDelay)",
      "min_interval_ms": "\(minInterval)", "poll_ms": "\(pollInterval)", "encrypt": "\(request.encrypt)",
      "compress": "\(request.compress)", "verify": "\(verifyAfterCreate)", "retention": "\(retention != nil)",
    ]
    if mode != .change, !schedules.isEmpty {
      let runs = schedules.compactMap { $0.next(after: now, in: zone) }
      values["schedule"] = "\(schedules.map(\.text).joined(separator: "; "))"
      values["next_run"] = "\(runs.min()?.iso8601 ?? "never")"
    }
    return values
  }

  var triggers: TriggerSettings {
    TriggerSettings(
      mode: mode, debounce: debounce, maxDelay: maxDelay, minInterval: minInterval, schedules: schedules, zone: zone,
      quietHours: quietHours, skipUnchanged: skipUnchanged, catchUp: catchUp)
  }
}
