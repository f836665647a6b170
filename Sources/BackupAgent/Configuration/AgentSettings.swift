import BackupEngine
import BackupPolicy

/// How the agent treats one database. Times are in milliseconds.
package struct AgentSettings: Sendable {
  /// The quiet period after a change before its backup starts.
  package var debounce: Int64 = 500
  /// So long after the first change a backup starts, quiet or not.
  package var maxDelay: Int64 = 5000
  /// The floor between two starts.
  package var minInterval: Int64 = 1000
  /// What to remove after each backup; nil: nothing.
  package var retention: RetentionPolicy?
  /// Reads each new point back in full.
  package var verifyAfterCreate = false
  /// How often to look at the files, for changes that inotify does not see; at least 100.
  package var pollInterval: Int64 = 30000
  /// What the points are like.
  package var request: CreateRequest

  package init() {
    request = CreateRequest()
    request.backupType = Trigger.change.rawValue
  }

  var triggers: TriggerSettings {
    TriggerSettings(debounce: debounce, maxDelay: maxDelay, minInterval: minInterval)
  }
}
