import BackupEngine
import BackupPolicy
import Logging

/// How the agent treats one database. Times are in milliseconds.
@dynamicMemberLookup
package struct AgentSettings: Sendable {
  /// When backups start by themselves.
  package var triggers = TriggerSettings(mode: .change)
  /// How often to look at the files, for changes that inotify does not see; at least 100.
  package var pollInterval: Int64 = 30000
  /// What to remove after backups that nobody asked for: at once after a full, else at most once a minute; nil: nothing.
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
      "mode": "\(triggers.mode.rawValue)", "debounce_ms": "\(triggers.debounce)",
      "max_delay_ms": "\(triggers.maxDelay)", "min_interval_ms": "\(triggers.minInterval)",
      "poll_ms": "\(pollInterval)", "encrypt": "\(request.encrypt)",
      "compress": "\(request.compress)", "verify": "\(verifyAfterCreate)", "retention": "\(retention != nil)",
    ]
    if triggers.mode != .change, !triggers.schedules.isEmpty {
      let runs = triggers.schedules.compactMap { $0.next(after: now, in: triggers.zone) }
      values["schedule"] = "\(triggers.schedules.map(\.text).joined(separator: "; "))"
      values["next_run"] = "\(runs.min()?.iso8601 ?? "never")"
    }
    return values
  }

  /// A property of ``triggers``.
  package subscript<Value>(dynamicMember property: WritableKeyPath<TriggerSettings, Value>) -> Value {
    get { triggers[keyPath: property] }
    set { triggers[keyPath: property] = newValue }
  }
}
