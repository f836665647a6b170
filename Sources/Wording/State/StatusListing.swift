import BackupEngine
import BackupPolicy
import Names

/// The state of databases as `status` shows it: for one all that is known, for several a line each.
package struct StatusListing {
  private let databases: [ObservedDatabase]
  private let now: Timestamp
  private let zone: ZoneRules

  /// - Parameter zone: in which times are shown.
  package init(_ databases: [ObservedDatabase], at now: Timestamp, in zone: ZoneRules) {
    (self.databases, self.now, self.zone) = (databases, now, zone)
  }

  private var times: Times { Times(now: now, zone: zone) }

  private func sentence(_ database: ObservedDatabase) -> StateSentence {
    StateSentence(database.facts, at: now, in: zone)
  }

  /// For one database all facts; for several a line each, the worst first.
  package var lines: [String] {
    guard databases.count > 1 else { return databases.flatMap(details) }
    let worstFirst = databases.map { (facts: $0.facts, sentence: sentence($0)) }
      .enumerated().sorted { ($1.element.sentence.tone, $0.offset) < ($0.element.sentence.tone, $1.offset) }
      .map(\.element)
    let quiet = worstFirst.count { $0.sentence.tone <= .busy }
    let width = worstFirst.map(\.facts.name.count).max() ?? 0
    let rows = worstFirst.flatMap { entry in
      let name = entry.facts.name.printable
      let indent = String(repeating: " ", count: max(2, width + 2 - name.count))
      return ["\(entry.sentence.tone.mark) \(name)\(indent)\(entry.sentence.text.printable)"]
        + (entry.sentence.hint.map { ["  → \($0.printable)"] } ?? [])
    }
    return ["\(quiet) of \(databases.count) databases need nothing", ""] + rows
  }

  private func details(_ database: ObservedDatabase) -> [String] {
    let (facts, sentence) = (database.facts.inLocalTime(times), sentence(database))
    var fields = FieldList()
    fields.add("Database", facts.path)
    fields.add("Backups", database.folder)
    fields.add("Agent", database.agentText(times))
    fields.add("Not saved", facts.exposedSince.map { "since \(times.of($0)), \(times.ago($0))" })
    fields.add("Waits for", waiting(facts))
    fields.add("Newest", facts.newest.map { "\($0.id), \(times.ago($0.created))" })
    fields.add("Proven", times.proof(facts))
    fields.add("Next backup", next(facts))
    for copy in facts.copies { fields.add("Target", times.target(copy)) }
    for alarm in facts.alarms { fields.add("Alarm", text(alarm, below: sentence)) }
    return ["\(sentence.tone.mark) \(sentence.text.printable)"] + (sentence.hint.map { ["  → \($0.printable)"] } ?? [])
      + fields.lines(indent: 2)
  }

  /// The sentence may have the message and the hint already.
  private func text(_ alarm: StateFacts.Alarm, below sentence: StateSentence) -> String {
    let name = sentence.text.contains(alarm.message) ? alarm.kind : alarm.message
    let hint = alarm.hint.flatMap { $0 == sentence.hint ? nil : "; \($0)" } ?? ""
    return "\(name), since \(times.of(alarm.since))\(hint)"
  }

  /// The next run by the clock, and the next change if it starts a backup.
  private func next(_ facts: StateFacts) -> String? {
    let run = facts.nextRun.map(times.of)
    guard facts.watch.seesChanges, !facts.waitsForRun, facts.pausedUntil == nil, facts.exposedSince == nil else {
      return run
    }
    return (run.map { "\($0), or " } ?? "") + "after the next change"
  }

  /// The reason for a wait, and its end unless another field has that.
  private func waiting(_ facts: StateFacts) -> String? {
    guard let reason = facts.waitingFor else { return nil }
    guard let end = facts.waitsUntil, end > now, facts.pausedUntil == nil, end != facts.nextRun else { return reason }
    return "\(reason), until \(times.of(end))"
  }

  /// All facts about each database.
  package var json: JSONValue {
    .object([
      "version": .integer(1), "at": .string(now.iso8601),
      "databases": .array(
        databases.map { database in
          let sentence = sentence(database)
          return database.facts.json.merging([
            "tone": .string(sentence.tone.rawValue), "sentence": .string(sentence.text),
            "hint": .optional(sentence.hint), "backup_dir": .string(database.folder),
            "agent": database.agent ?? .null,
          ])
        }.map { .object($0) }),
    ])
  }
}

extension StateFacts {
  fileprivate var json: JSONObject {
    [
      "name": .string(name), "path": .string(path), "watch": .string(watch.name),
      "newest": newest?.json ?? .null,
      "unprotected_since": .optional(exposedSince?.iso8601), "running": .bool(isRunning),
      "waiting_for": .optional(waitingFor), "paused_until": .optional(pausedUntil?.iso8601),
      "next_run": .optional(nextRun?.iso8601), "verified_at": .optional(verified?.iso8601),
      "proven_at": .optional(proved?.iso8601),
      "recovery_ms": .optional(recovery), "problem": .optional(refusal ?? problem),
      "alarms": .array(
        alarms.map {
          .object([
            "kind": .string($0.kind), "since": .string($0.since.iso8601), "message": .string($0.message),
            "hint": .optional($0.hint), "stops_backups": .bool($0.stopsBackups),
          ])
        }),
      "targets": .array(
        copies.map {
          .object([
            "name": .string($0.name), "unsent": .integer(Int64($0.unsent)),
            "unsent_since": .optional($0.unsentSince?.iso8601), "last_success": .optional($0.lastSuccess?.iso8601),
            "last_error": .optional($0.error), "next_try": .optional($0.nextTry?.iso8601),
          ])
        }),
    ]
  }
}

extension StateFacts.Watch {
  fileprivate var name: String {
    switch self {
    case .events: "events"
    case .polls: "polls"
    case .starting: "starting"
    case .stopping: "stopping"
    case .silent: "silent"
    case .deaf: "deaf"
    case .gone: "gone"
    case .nobody: "nobody"
    }
  }
}

extension StateFacts.Backup {
  /// As `status --json` and messages have it.
  package var json: JSONValue {
    .object(["id": .string(id.text), "sequence": .optional(sequence), "created_at": .string(created.iso8601)])
  }
}
