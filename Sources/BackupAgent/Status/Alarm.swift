import BackupPolicy

/// A lasting condition that keeps the agent from its work. Scripts may rely on the raw value.
enum Alarm: String, Hashable, Sendable, CaseIterable {
  case missing
  /// The file exists but has no page.
  case empty
  case locked
  /// An application writes to a log that was deleted.
  case logDeleted = "log_deleted"
  case corrupt
  case permission = "permission_denied"
  case diskFull = "disk_full"
  /// The free space is below the configured minimum.
  case lowSpace = "low_space"
  /// The key is missing or wrong.
  case key
  /// The key file is missing or holds a different key than the agent, or the key does not open the
  /// newest backup.
  case keyFile = "key_file"
  /// The database's folder is gone.
  case folder
  /// The folder exists, but the kernel does not watch it.
  case unwatched
  /// Another agent holds the repository's lock.
  case otherAgent = "other_agent"
  /// A full found pages whose change was not detected. The alarm ends when the next full finds no
  /// such page.
  case trackerMiss = "tracker_miss"
  /// The last drill failed.
  case drillFailed = "drill_failed"
  /// No drill has passed for too long.
  case drillTooOld = "drill_too_old"
  /// The clock jumped, so nothing is removed by age.
  case clock
  /// Backups fail for another reason.
  case failing
  /// A target does not have the recent backups.
  case targetBehind = "target_behind"
  /// A target refuses, is not there, or is not trusted.
  case targetDenied = "target_denied"
  case targetFull = "target_full"
  /// The folder of a target is not the one that was used: a disk that is not mounted.
  case targetMissing = "target_missing"
  /// This machine's clock differs too much from that of a target's store.
  case clockWrong = "clock_wrong"
  /// A target lost archives that the repository cannot replace.
  case targetIncomplete = "target_incomplete"
  /// A target holds backups that this repository never stored.
  case targetForeign = "target_foreign"
  case targetTakenOver = "target_taken_over"
  /// A target refuses to remove archives.
  case targetRetention = "target_retention"
  /// Messages by a channel are not accepted.
  case notificationFailed = "notification_failed"
  /// The signs of life are not accepted.
  case heartbeatFailed = "heartbeat_failed"

  /// The alarm for a failed backup.
  init(_ code: HoldfastError.Code) {
    switch code {
    case .databaseMissing: self = .missing
    case .busy: self = .locked
    case .logDeleted: self = .logDeleted
    case .databaseCorrupt, .notADatabase: self = .corrupt
    case .permissionDenied: self = .permission
    case .noSpace: self = .diskFull
    case .wrongKey, .keyMissing: self = .key
    default: self = .failing
    }
  }

  static let ofDrills: Set<Alarm> = [.drillFailed, .drillTooOld]

  /// The alarms that are about the agent and not about a database.
  static let ofAgent: Set<Alarm> = [.notificationFailed, .heartbeatFailed]

  /// The alarms that only a full or a drill detects and ends. A new agent may make none for a long time,
  /// so they go on with it.
  static let outlastingAgents: Set<Alarm> = ofDrills.union([.trackerMiss])

  /// The alarms that end when a backup succeeds.
  static let ofBackups: Set<Alarm> = [
    .missing, .empty, .locked, .logDeleted, .corrupt, .permission, .diskFull, .key, .otherAgent, .failing,
  ]
}
