import BackupEngine
import BackupPolicy

/// How one database of a running agent stands: a value that a status page could print.
package struct DatabaseStatus: Hashable, Sendable {
  package var name: String
  /// Absolute, links followed.
  package var path: String
  /// The backup folder.
  package var folder: String
  /// What the triggers do, and why.
  package var trigger: TriggerStatus
  /// What is wrong at the moment, oldest first.
  package var alarms: [AlarmStatus]
  /// The newest point; nil where there is none, or none was seen yet.
  package var lastPoint: PointID?
  package var lastPointCreated: Timestamp?
  /// Whether changes are seen as they happen; otherwise the files are looked at from time to time.
  package var isWatching: Bool
}

/// Something that keeps the agent from its work.
package struct AlarmStatus: Hashable, Sendable {
  /// The kind, such as `missing` or `disk_full`: what scripts may rely on.
  package var kind: String
  package var since: Timestamp
  package var message: String
  package var hint: String?
}

extension DatabaseGuard {
  var status: DatabaseStatus {
    DatabaseStatus(
      name: database.name, path: path.resolved, folder: service.folder, trigger: machine.status, alarms: alarms.status,
      lastPoint: newest?.id, lastPointCreated: newest?.created, isWatching: isWatching)
  }
}
