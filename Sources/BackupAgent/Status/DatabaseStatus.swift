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
  /// How many fulls found pages that had changed unseen, since the agent started.
  package var trackerMisses: Int
  /// Why a full is advised, at the next quiet time or sooner; nil where none is.
  package var fullAdvice: String?
  package var drills: DrillStatus
}

/// Something that keeps the agent from its work.
public struct AlarmStatus: Hashable, Sendable {
  /// The kind, such as `missing` or `disk_full`: what scripts may rely on.
  public package(set) var kind: String
  /// When it was first seen.
  public package(set) var since: Timestamp
  /// What is wrong, on which path, and why; lower case, no full stop.
  public package(set) var message: String
  /// The next action; nil where there is nothing to advise.
  public package(set) var hint: String?
}

extension DatabaseStatus {
  package var json: JSONValue {
    .object([
      "name": .string(name), "path": .string(path), "folder": .string(folder), "trigger": trigger.json,
      "alarms": .array(alarms.map(\.json)), "last_backup_id": .optional(lastPoint?.text),
      "last_backup_at": .optional(lastPointCreated?.iso8601), "watching": .bool(isWatching),
      "tracker_misses": .integer(Int64(trackerMisses)), "full_advised": .optional(fullAdvice),
      "newest_proven": drills.newestProven?.json ?? .null, "drills": drills.json,
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
  /// Times of the clock that nobody sets mean nothing outside the agent, and are left out.
  package var json: JSONValue {
    .object([
      "mode": .string(mode.rawValue), "state": .string(state.rawValue), "running": running?.json ?? .null,
      "owed": .array(pending.map(\.json)), "next_run": .optional(nextRun?.iso8601),
      "waiting_for": .optional(waitingFor), "failures": .optional(failures),
      "decisions": .array(decisions.map(\.json)),
    ])
  }
}

extension TriggerStatus.Obligation {
  var json: JSONValue {
    .object(["trigger": .string(trigger.rawValue), "since": .string(since.iso8601), "reason": .string(reason)])
  }
}

extension TriggerDecision {
  var json: JSONValue {
    .object(["time": .string(time.iso8601), "kind": .string(kind.text), "reason": .string(reason)])
  }
}

extension TriggerDecision.Kind {
  /// What was decided, such as `start change` or `skip`.
  fileprivate var text: String {
    switch self {
    case .start(let trigger): "start \(trigger.rawValue)"
    case .skip: "skip"
    case .wait: "wait"
    case .failure: "failure"
    case .notice: "notice"
    }
  }
}
