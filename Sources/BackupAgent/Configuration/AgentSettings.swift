import BackupEngine
import BackupPolicy
import Logging

/// How the agent treats one database. Times are in milliseconds.
@dynamicMemberLookup
package struct AgentSettings: Sendable {
  /// When backups start by themselves.
  package var triggers = TriggerSettings(mode: .change)
  /// How often to examine the files for changes that inotify does not see; at least 100.
  package var pollInterval: Int64 = 30000
  /// The rules for removals after backups that the agent started itself: at once after a full,
  /// otherwise at most once a minute. Nil: remove nothing.
  package var retention: RetentionPolicy?
  /// The policy for compacting incrementals as they grow old; nil: compact nothing.
  package var compaction: CompactionPolicy? = CompactionPolicy()
  /// When the newest backup is restored to scratch space and checked.
  package var drills = DrillSettings()
  /// The checks that a drill runs on the restored database.
  package var assertions: [DrillAssertion] = []
  /// Reads each new backup back in full. A scheduled backup is always read back.
  package var verifyAfterCreate = false
  /// The options of new backups; the trigger sets their type.
  package var archive = ArchiveOptions()

  package init() {}

  /// The values that the log shows when the agent begins to watch a database.
  func logged(at now: Timestamp) -> Logger.Metadata {
    var values: Logger.Metadata = [
      "mode": "\(triggers.mode.rawValue)", "debounce_ms": "\(triggers.debounce)",
      "max_delay_ms": "\(triggers.maxDelay)", "min_interval_ms": "\(triggers.minInterval)",
      "poll_ms": "\(pollInterval)", "encrypt": "\(archive.encrypt)",
      "compress": "\(archive.compress)", "verify": "\(verifyAfterCreate)", "retention": "\(retention != nil)",
    ]
    if triggers.mode != .change, !triggers.schedules.isEmpty {
      let runs = triggers.schedules.compactMap { $0.next(after: now, in: triggers.zone) }
      values["schedule"] = "\(triggers.schedules.map(\.text).joined(separator: "; "))"
      values["next_run"] = "\(runs.min()?.iso8601 ?? "never")"
    }
    if let hours = triggers.quietHours { values["quiet_hours"] = "\(hours.text)" }
    return values
  }

  /// A property of ``triggers``.
  package subscript<Value>(dynamicMember property: WritableKeyPath<TriggerSettings, Value>) -> Value {
    get { triggers[keyPath: property] }
    set { triggers[keyPath: property] = newValue }
  }
}
