/// The metrics of an agent: names, types and meanings.
///
/// Times are timestamps and not ages: an age in a file stops growing if the agent ends, so no alert
/// would ever fire (https://github.com/prometheus/node_exporter/issues/713).
package enum Metric: String, CaseIterable, Sendable {
  case newestBackup = "holdfast_newest_backup_timestamp_seconds"
  case newestVerified = "holdfast_newest_verified_timestamp_seconds"
  case newestProven = "holdfast_newest_proven_timestamp_seconds"
  case nextRun = "holdfast_next_run_timestamp_seconds"
  case unprotectedSince = "holdfast_unprotected_since_timestamp_seconds"
  case pausedUntil = "holdfast_paused_until_timestamp_seconds"
  case alarm = "holdfast_alarm"
  case backups = "holdfast_backups_total"
  case storedBackups = "holdfast_stored_backups_total"
  case backupBytes = "holdfast_backup_bytes_total"
  case storedPages = "holdfast_pages_stored_total"
  case comparisons = "holdfast_comparisons_total"
  case backupDelay = "holdfast_backup_delay_seconds"
  case backupDuration = "holdfast_backup_duration_seconds"
  case trackerMisses = "holdfast_tracker_misses_total"
  case drills = "holdfast_drills_total"
  case drillRestore = "holdfast_drill_restore_seconds"
  case targetUp = "holdfast_target_up"
  case targetOwed = "holdfast_target_owed_backups"
  case targetOwedSince = "holdfast_target_owed_since_timestamp_seconds"
  case targetLastSuccess = "holdfast_target_last_success_timestamp_seconds"
  case targetNewest = "holdfast_target_newest_backup_timestamp_seconds"
  case targetObjects = "holdfast_target_objects"
  case targetBytes = "holdfast_target_stored_bytes"
  case targetRequests = "holdfast_target_requests_total"
  case targetSent = "holdfast_target_sent_bytes_total"
  case targetReceived = "holdfast_target_received_bytes_total"
  case targetRetries = "holdfast_target_retries_total"
  case targetRequestDuration = "holdfast_target_request_duration_seconds"
  case refused = "holdfast_refused_databases"
  case notifications = "holdfast_notifications_total"
  case build = "holdfast_build_info"
  case agentUp = "holdfast_agent_up"
  case start = "holdfast_start_timestamp_seconds"
  case written = "holdfast_metrics_written_timestamp_seconds"

  package enum Kind: String, Sendable {
    case gauge
    case counter
    case histogram
  }

  package var kind: Kind {
    switch self {
    case .backups, .storedBackups, .backupBytes, .storedPages, .comparisons, .trackerMisses, .drills, .targetRequests,
      .targetSent, .targetReceived, .targetRetries, .notifications:
      .counter
    case .backupDelay, .backupDuration, .drillRestore, .targetRequestDuration: .histogram
    default: .gauge
    }
  }

  package var labels: [String] {
    switch self {
    case .newestBackup, .newestVerified, .newestProven, .nextRun, .unprotectedSince, .pausedUntil, .backupDelay,
      .trackerMisses, .drillRestore:
      ["database"]
    case .alarm, .storedBackups, .backupBytes, .storedPages, .backupDuration: ["database", "kind"]
    case .comparisons: ["database", "proof"]
    case .notifications: ["channel", "outcome"]
    case .backups, .drills: ["database", "outcome"]
    case .targetUp, .targetOwed, .targetOwedSince, .targetLastSuccess, .targetNewest, .targetObjects, .targetBytes,
      .targetSent, .targetReceived:
      ["database", "target"]
    case .targetRequests, .targetRequestDuration: ["database", "target", "operation"]
    case .targetRetries: ["database", "target", "reason"]
    case .build: ["version"]
    case .refused, .agentUp, .start, .written: []
    }
  }

  package var meaning: String {
    switch self {
    case .newestBackup: "When the state in the newest backup was read; absent without a backup"
    case .newestVerified: "When the newest backup was made that passed a verification; absent without one"
    case .newestProven: "When a backup last passed a drill; absent if none has"
    case .nextRun: "The next run by the schedule; absent without one"
    case .unprotectedSince:
      "The first change that is in no backup; 0 if all is saved, absent if that is not known"
    case .pausedUntil: "The end of a pause; 0 without one"
    case .alarm: "1 while the alarm of this kind lasts"
    case .backups: "Backups since the agent's start, by outcome: stored, unchanged or failed"
    case .storedBackups: "Stored backups since the agent's start, by kind: full, incremental or raw"
    case .backupBytes: "Bytes of the archives that were stored since the agent's start"
    case .storedPages: "Database pages in those archives"
    case .comparisons:
      "Looks for changed pages, by the proof that spared a comparison of all pages: known, same_generation, "
        + "untouched_file, one_reset or unchanged_file; or compared"
    case .backupDelay: "From the first change, or the due time, until the backup was on the disk"
    case .backupDuration: "How long a backup took"
    case .trackerMisses: "Fulls that found changes which had not been tracked"
    case .drills: "Drills since the agent's start, by outcome: passed or failed"
    case .drillRestore: "How long the restore of a drill took"
    case .targetUp: "1 if the last exchange with the target succeeded"
    case .targetOwed: "Backups that are not in the target yet"
    case .targetOwedSince: "When the oldest of them was made; 0 if there is none"
    case .targetLastSuccess: "The last upload or list without a failure; absent before one"
    case .targetNewest: "When the newest backup there was made; absent without one"
    case .targetObjects: "Archives there"
    case .targetBytes: "Bytes of all of them"
    case .targetRequests: "Requests of this host since the month began (UTC), by operation: put, get, list or delete"
    case .targetSent: "Bytes of the archives that this host sent since the month began (UTC)"
    case .targetReceived: "Bytes of the store's successful answers since the agent's start; absent for a folder"
    case .targetRetries:
      "Failed requests since the agent's start that are sent again, at once or later, by reason: unreachable, "
        + "throttled, unavailable, conflict, damaged, credentials, denied, clock, region, full or unsupported; "
        + "absent for a folder"
    case .targetRequestDuration: "How long a request took, also a failed one; absent for a folder"
    case .refused: "Databases that are not backed up because another one has their name or folder"
    case .notifications: "Messages since the agent's start, by outcome: accepted or failed"
    case .build: "1, with the version"
    case .agentUp: "1 if an agent answered, 0 if the files alone were read"
    case .start: "When the agent began"
    case .written: "When these lines were made"
    }
  }
}
