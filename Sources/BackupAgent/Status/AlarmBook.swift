import BackupPolicy

/// What keeps the agent from its work for as long as it lasts; the raw value is what scripts may rely on.
enum Alarm: String, Hashable, Sendable {
  case missing
  /// There is a file, and no page in it.
  case empty
  case locked
  /// An application writes into a log that was deleted.
  case logDeleted = "log_deleted"
  case corrupt
  case permission = "permission_denied"
  case diskFull = "disk_full"
  /// Less room than is to stay free.
  case lowSpace = "low_space"
  /// No key, or a wrong one.
  case key
  /// The key file holds another key than the agent, or none, or the key does not open the newest backup.
  case keyFile = "key_file"
  /// The database's folder is gone.
  case folder
  /// The folder is there, and the kernel does not watch it.
  case unwatched
  /// Another agent has the repository.
  case otherAgent = "other_agent"
  /// A full found pages that had changed unseen; over when the next one finds none.
  case trackerMiss = "tracker_miss"
  /// The last drill failed.
  case drillFailed = "drill_failed"
  /// No drill has passed for too long.
  case drillTooOld = "drill_too_old"
  /// The clock jumped, so nothing is removed by age.
  case clock
  /// Backups fail for another reason.
  case failing

  /// What a failed backup means.
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

  /// What a backup that worked proves to be over.
  static let ofBackups: Set<Alarm> = [
    .missing, .empty, .locked, .logDeleted, .corrupt, .permission, .diskFull, .key, .failing,
  ]
}

/// The alarms of one database.
struct AlarmBook {
  struct Entry {
    var since: Timestamp
    var message: String
    var hint: String?
  }

  private(set) var entries: [Alarm: Entry] = [:]

  /// - Returns: whether it is new: it is told once, however often it is found.
  mutating func raise(_ alarm: Alarm, _ error: HoldfastError, at time: Timestamp) -> Bool {
    let since = entries[alarm]?.since
    entries[alarm] = Entry(since: since ?? time, message: error.message, hint: error.hint)
    return since == nil
  }

  /// - Returns: those that were raised.
  mutating func clear(_ alarms: Set<Alarm>) -> [Alarm] {
    alarms.filter { entries.removeValue(forKey: $0) != nil }.sorted { $0.rawValue < $1.rawValue }
  }

  func contains(_ alarm: Alarm) -> Bool { entries[alarm] != nil }

  var status: [AlarmStatus] {
    entries.sorted { ($0.value.since, $0.key.rawValue) < ($1.value.since, $1.key.rawValue) }.map {
      AlarmStatus(kind: $0.key.rawValue, since: $0.value.since, message: $0.value.message, hint: $0.value.hint)
    }
  }
}
