import BackupEngine
import BackupPolicy
import Names

/// The answer to `status --why TIME`: whether a backup holds the state of that time, the backups
/// around it, and the decisions of the agent.
package struct Explanation {
  private let database: ObservedDatabase
  private let time: Timestamp
  private let before: StoredPoint?
  private let after: StoredPoint?
  private let journal: DecisionJournal
  private let decisions: [DecisionJournal.Entry]
  private let sentence: String
  private let times: Times
  private let zone: ZoneRules

  /// - Parameters:
  ///   - time: in the past.
  ///   - backups: in any order; empty if they cannot be read.
  ///   - journal: the recorded decisions of the agents of the database.
  ///   - zone: in which times are shown.
  package init(
    of time: Timestamp, _ database: ObservedDatabase, backups: [StoredPoint], _ journal: DecisionJournal,
    at now: Timestamp, in zone: ZoneRules
  ) {
    (self.database, self.time, self.zone, times) = (database, time, zone, Times(now: now, zone: zone))
    let points = backups.map { ($0, $0.metadata.created) }
    before = points.filter { $0.1 <= time }.max { $0.1 < $1.1 }?.0
    after = points.filter { $0.1 > time }.min { $0.1 < $1.1 }?.0
    self.journal = journal
    decisions = journal.around(time)
    sentence =
      PastState(
        at: time, database.facts, before: before.map(StateFacts.Backup.init), after: after.map(StateFacts.Backup.init),
        journal, agentStart: database.agentStart, times
      ).sentence
  }

  /// The sentence, the facts around the time, and at most twelve lines of decisions.
  package var lines: [String] {
    var fields = FieldList()
    fields.add("Time", zone.stamp(time))
    fields.add("Before", before.map { line($0) } ?? "no backup")
    fields.add("After", after.map { line($0) } ?? "no backup so far")
    fields.add("Agent", agent)
    for alarm in database.facts.inLocalTime(times).alarms where alarm.stopsBackups && !sentence.contains(alarm.message)
    {
      fields.add("Alarm", "\(alarm.message), since \(times.of(alarm.since))")
    }
    let title =
      decisions.isEmpty ? [nothing] : ["  The agent's decisions within ten minutes of it, and the last before:"]
    return ["[\(database.facts.name.printable)] \(sentence.printable)"] + fields.lines(indent: 2) + title
      + DecisionLines(decisions, times).lines(nearest: time).map { "    \($0)" }
  }

  private func line(_ point: StoredPoint) -> String {
    "\(point.id), \(times.of(point.metadata.created)), \(point.metadata.backupType.rawValue)"
  }

  /// Whether the agent runs now, and if it does not, up to when its decisions are known.
  private var agent: String? {
    guard let text = database.agentText(times), !database.facts.watch.isAnswering else {
      return database.agentText(times)
    }
    return text + (journal.entries.map(\.last).max().map { "; the recorded decisions end at \(times.of($0))" } ?? "")
  }

  private var nothing: String {
    guard let oldest = journal.entries.first?.first else {
      return "  No agent has recorded a decision about this database"
    }
    return oldest > time
      ? "  The recorded decisions begin at \(times.of(oldest))"
      : "  No agent decided anything up to ten minutes from it"
  }

  /// The same for scripts, with all decisions around the time.
  package var json: JSONValue {
    .object([
      "name": .string(database.facts.name), "time": .string(time.iso8601), "sentence": .string(sentence),
      "backup_before": .optional(before?.id.text), "backup_after": .optional(after?.id.text),
      "decisions": .array(decisions.map(\.json)),
    ])
  }
}

extension StateFacts.Backup {
  fileprivate init(_ point: StoredPoint) { self.init(id: point.id, created: point.metadata.created) }
}
