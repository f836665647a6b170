import BackupAgent
import BackupEngine
import BackupPolicy
import Logging
import Names
import Wording

/// The answer to `status --why TIME`: whether a backup holds the state of that time, the backups
/// around it, and the decisions of the agent.
struct Explanation {
  private let database: DatabaseFacts
  private let time: Timestamp
  private let before: StoredPoint?
  private let after: StoredPoint?
  private let journal: DecisionJournal
  private let decisions: [DecisionJournal.Entry]
  private let sentence: String
  private let times: Times
  private let zone: ZoneRules

  /// - Throws: `usage` if the text is not a time in the past.
  init(_ text: String, _ database: DatabaseFacts, _ zone: ZoneRules, _ now: Timestamp) throws {
    guard case .moment(let time) = try PointInTime(text, name: "--why", zone: zone, now: now) else {
      throw HoldfastError(.usage, "--why needs a time", hint: "use --why 14:03, or --why 'yesterday 14:03'")
    }
    (self.database, self.time, self.zone, times) = (database, time, zone, Times(now: now, zone: zone))
    // Without the folder of backups the agent may still explain the time.
    let points = ((try? database.engine.list()) ?? []).map { ($0, $0.metadata.created) }
    before = points.filter { $0.1 <= time }.max { $0.1 < $1.1 }?.0
    after = points.filter { $0.1 > time }.min { $0.1 < $1.1 }?.0
    journal = try Self.journal(database)
    decisions = journal.around(time)
    sentence =
      PastState(
        at: time, database.facts, before: before.map(StateFacts.Backup.init), after: after.map(StateFacts.Backup.init),
        journal, agentStart: database.agentStart, times
      ).sentence
  }

  private static func journal(_ database: DatabaseFacts) throws -> DecisionJournal {
    let file = DecisionFile(database.engine, try database.selection.logger())
    guard database.agent != nil, case .answering(var client) = try ControlClient.find(for: database.engine) else {
      return file.load()
    }
    let answer = try client.ask(
      ControlRequest(.decisions, database: database.facts.name), timeout: AgentAnswers.patience)
    guard case .array(let databases)? = answer["databases"], case .object(let keys)? = databases.first else {
      return file.load()
    }
    return DecisionJournal(keys["decisions"]) ?? file.load()
  }

  var lines: [String] {
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

  var json: JSONValue {
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
