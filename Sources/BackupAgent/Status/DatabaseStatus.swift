import BackupEngine
import BackupPolicy

/// The status of one database of a running agent, as a value that a status page can print.
package struct DatabaseStatus: Hashable, Sendable {
  package var name: String
  /// The absolute path, with links resolved.
  package var path: String
  /// The backup folder.
  package var folder: String
  /// The agent has compared the database with the newest backup.
  package var isReady: Bool
  /// The files as the agent saw them last: ``WatchedFiles/text``.
  package var files: String
  /// The state of the triggers, with reasons.
  package var trigger: TriggerStatus
  /// The current alarms, oldest first.
  package var alarms: [AlarmStatus]
  /// The newest backup; nil if there is no backup, or if the agent has not seen one yet.
  package var lastPoint: PointID?
  package var lastPointCreated: Timestamp?
  /// Its number among the backups of the repository.
  package var lastSequence: UInt64?
  /// The path of its archive.
  package var lastArchive: String?
  /// When the newest backup was made that passed a verification; nil if the agent knows of none.
  package var newestVerified: Timestamp?
  /// Whether changes are detected when they happen; otherwise the files are examined at intervals.
  package var isWatching: Bool
  /// How often the files are looked at, in milliseconds.
  package var pollInterval: Int64
  /// The number of fulls since the agent's start that found pages whose change was not detected.
  package var trackerMisses: Int
  /// Why a full is advised, at the next quiet time or sooner; nil if no full is advised.
  package var fullAdvice: String?
  package var drills: DrillStatus
  /// As their last runs found them.
  package var targets: [TargetRecord] = []
  /// The work since the agent's start.
  package var counters = BackupCounters()
}

/// A condition that keeps the agent from its work.
///
/// ```swift
/// for alarm in await scheduler.jobInfo()?.alarms ?? [] {
///   print("\(alarm.kind): \(alarm.message)", alarm.hint ?? "")
/// }
/// ```
public struct AlarmStatus: Hashable, Sendable {
  /// The kind, such as `missing` or `disk_full`. Scripts may rely on it.
  public package(set) var kind: String
  /// When the condition was first detected.
  public package(set) var since: Timestamp
  /// The problem, its path and its cause; lower case, without a full stop.
  public package(set) var message: String
  /// The next action; nil if there is no advice.
  public package(set) var hint: String?
}

extension DatabaseStatus {
  package var json: JSONValue {
    .object([
      "name": .string(name), "path": .string(path), "folder": .string(folder), "ready": .bool(isReady),
      "files": .string(files), "trigger": trigger.json,
      "alarms": .array(alarms.map(\.json)), "last_backup_id": .optional(lastPoint?.text),
      "last_backup_at": .optional(lastPointCreated?.iso8601), "last_sequence": .optional(lastSequence),
      "last_archive": .optional(lastArchive),
      "newest_verified_at": .optional(newestVerified?.iso8601), "watching": .bool(isWatching),
      "poll_ms": .integer(pollInterval),
      "tracker_misses": .integer(Int64(trackerMisses)), "full_advised": .optional(fullAdvice),
      "newest_proven": drills.newestProven?.json ?? .null, "drills": drills.json,
      "targets": .array(targets.map(\.json)), "counters": counters.json,
    ])
  }
}

extension AlarmStatus {
  package var json: JSONValue {
    .object([
      "kind": .string(kind), "since": .string(since.iso8601), "message": .string(message), "hint": .optional(hint),
    ])
  }
}

extension TriggerStatus {
  /// Times of the monotonic clock mean nothing outside the agent and are left out.
  package var json: JSONValue {
    .object([
      "mode": .string(mode.rawValue), "state": .string(state.rawValue), "running": running?.json ?? .null,
      "owed": .array(pending.map(\.json)), "next_run": .optional(nextRun?.iso8601),
      "held_until": .optional(heldUntil?.iso8601), "waits_until": .optional(waitsUntil?.iso8601),
      "waiting_for": .optional(waitingFor), "paused_until": .optional(pausedUntil?.iso8601),
      "unprotected_since": .optional(unprotectedSince?.iso8601), "failures": .optional(failures),
      "decisions": .array(decisions.map(\.json)),
    ])
  }
}

extension TriggerStatus.Work {
  var json: JSONValue {
    .object(["trigger": .string(trigger.rawValue), "since": .string(since.iso8601), "reason": .string(reason)])
  }
}

extension TriggerDecision {
  var json: JSONValue {
    .object(["time": .string(time.iso8601), "kind": .string(kind.text), "reason": .string(reason)])
  }
}
