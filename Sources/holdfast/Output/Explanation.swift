import BackupAgent
import BackupEngine
import BackupPolicy
import Logging
import Names
import Wording

/// The answer to `status --why TIME`: the backups around that time, and the decisions of the agent.
struct Explanation {
  private let name: String
  private let time: Timestamp
  private let before: StoredPoint?
  private let after: StoredPoint?
  private let decisions: [DecisionJournal.Entry]
  private let oldest: Timestamp?
  private let times: Times
  private let zone: ZoneRules

  /// - Throws: `usage` if the text is not a time in the past.
  init(_ text: String, _ database: DatabaseFacts, _ zone: ZoneRules, _ now: Timestamp) throws {
    guard case .moment(let time) = try PointInTime(text, name: "--why", zone: zone, now: now) else {
      throw HoldfastError(.usage, "--why needs a time", hint: "use --why 14:03, or --why 'yesterday 14:03'")
    }
    (self.time, self.zone, name, times) = (time, zone, database.facts.name, Times(now: now, zone: zone))
    let points = try database.engine.list().map { ($0, $0.metadata.created) }
    before = points.filter { $0.1 <= time }.max { $0.1 < $1.1 }?.0
    after = points.filter { $0.1 > time }.min { $0.1 < $1.1 }?.0
    let journal = try Self.journal(database)
    (decisions, oldest) = (journal.around(time), journal.entries.first?.first)
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
    fields.add("Before", before.map { line($0) } ?? "no backup is left from before")
    fields.add("After", after.map { line($0) } ?? "none so far")
    let title =
      decisions.isEmpty ? [nothing] : ["  The agent's decisions within ten minutes of it, and the last before:"]
    return ["[\(name.printable)] \(zone.stamp(time))"] + fields.lines(indent: 2) + title + decisions.map(line)
  }

  private func line(_ point: StoredPoint) -> String {
    "\(point.id), \(times.of(point.metadata.created)), \(point.metadata.backupType.rawValue)"
  }

  private var nothing: String {
    guard let oldest else { return "  No agent has recorded a decision about this database" }
    return oldest > time
      ? "  The recorded decisions begin at \(times.of(oldest))"
      : "  No agent decided anything up to ten minutes from it"
  }

  private func line(_ entry: DecisionJournal.Entry) -> String {
    let span =
      entry.count == 1
      ? times.of(entry.first) : "\(times.of(entry.first)) to \(times.of(entry.last)), \(entry.count.grouped) times"
    return "    \(span)  \(entry.kind): \(entry.reason.printable)"
  }

  var json: JSONValue {
    .object([
      "name": .string(name), "time": .string(time.iso8601), "backup_before": .optional(before?.id.text),
      "backup_after": .optional(after?.id.text), "decisions": .array(decisions.map(\.json)),
    ])
  }
}
