import BackupEngine
import BackupPolicy

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
      "owed": .array(owed.map(\.json)), "next_run": .optional(nextRun?.iso8601),
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
