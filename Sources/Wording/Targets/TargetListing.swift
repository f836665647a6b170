import BackupEngine
import BackupPolicy
import Names
import Replication

/// The targets of a database as `targets` shows them.
package struct TargetListing {
  /// A target, and the facts about it that this host recorded.
  package struct Entry {
    let target: Target
    let summary: TargetSummary
    let record: Record?
    let nextTry: Timestamp?

    /// - Parameters:
    ///   - record: the state as the last run found it; nil if no run ever used the target.
    ///   - nextTry: when the running agent tries again after a failure; nil if it does not wait for
    ///     that.
    package init(target: Target, summary: TargetSummary, record: Record?, nextTry: Timestamp?) {
      (self.target, self.summary, self.record, self.nextTry) = (target, summary, record, nextTry)
    }
  }

  /// The results of the runs that copied to a target.
  package struct Record {
    /// The end of the last run without a failure; nil without such a run.
    package var lastSuccess: Timestamp?
    /// The end of the last run with a failure; nil without such a run.
    package var lastFailure: Timestamp?
    /// The error of the last failed run, also if a later one succeeded; nil without such a run.
    package var lastError: String?
    /// Why the last run wrote nothing; nil if it wrote.
    package var obstacle: String?

    package init() {}
  }

  private let targets: [Entry]
  private let zone: ZoneRules
  private let commands: CommandSpelling

  /// - Parameters:
  ///   - zone: in which times are shown.
  ///   - commands: of the advice.
  package init(targets: [Entry], zone: ZoneRules, commands: CommandSpelling) {
    (self.targets, self.zone, self.commands) = (targets, zone, commands)
  }

  /// The fields of each target.
  package var lines: [String] {
    guard !targets.isEmpty else { return ["No targets: a [[targets]] table in holdfast.toml names one"] }
    return targets.enumerated().flatMap { index, entry in
      (index == 0 ? [] : [""]) + ["\(entry.target.name)  \(entry.target.address)".printable]
        + fields(entry)
    }
  }

  private func fields(_ entry: Entry) -> [String] {
    let (target, summary) = (entry.target, entry.summary)
    var fields = FieldList()
    fields.add("State", state(target, summary, entry.record?.obstacle))
    fields.add(
      "Newest",
      summary.newest.map { "\($0.id), number \($0.sequence ?? 0), made \(zone.stamp($0.created))" })
    fields.add("Last upload", summary.put.map(zone.stamp))
    fields.add("Last list", summary.listed.map(zone.stamp))
    fields.add("Last error", entry.record.flatMap(lastError))
    fields.add(
      "Next try",
      entry.nextTry.map {
        let now = commands.applied(to: "holdfast sync \(target.name.shellWord)")
        return "at \(zone.stamp($0)); at once: \(now)"
      })
    fields.add("Stored", summary.usage.storage(target.url.prices))
    fields.add("In \(summary.usage.month)", summary.usage.traffic(target.url.prices))
    if target.settings.access != .full {
      fields.add("Access", target.settings.access == .append ? "append: nothing is removed" : "write-only")
    }
    return fields.lines()
  }

  /// The last error of a run, and whether it is over.
  private func lastError(_ record: Record) -> String? {
    guard let error = record.lastError, let time = record.lastFailure else { return nil }
    let isOver = record.lastSuccess.map { $0 > time } ?? false
    return "\(zone.stamp(time)): \(error)".printable + (isOver ? "; it has worked since then" : "")
  }

  /// - Parameter obstacle: why the last run wrote nothing.
  private func state(_ target: Target, _ summary: TargetSummary, _ obstacle: String?) -> String {
    guard summary.isUsed else { return "- not used yet: the agent begins, or holdfast sync \(target.name)" }
    if let obstacle { return "! nothing is sent: \(obstacle)".printable }
    if let problem = summary.keyProblem { return "! nothing is sent: \(problem.message)".printable }
    if summary.needsFull { return "! nothing is sent: \(ReplicationPolicy.fullNeeded): holdfast create" }
    switch summary.lag {
    case .upToDate: return "✓ up to date"
    case .within(let unsent):
      let count = unsent.count == 1 ? "1 backup is" : "\(unsent.count.grouped) backups are"
      return "- \(count) not there yet, the oldest since \(zone.stamp(unsent.since))"
    case .behind(_, let reason): return "! behind: \(reason)"
    }
  }

  /// The same for scripts.
  package var json: JSONValue { .array(targets.map(Self.json)) }

  private static func json(_ entry: Entry) -> JSONValue {
    let (target, summary, record, usage) = (entry.target, entry.summary, entry.record, entry.summary.usage)
    let (state, reason) = keys(summary, record?.obstacle)
    return .object([
      "name": .string(target.name), "url": .string(target.address),
      "access": .string(target.settings.access.rawValue), "state": .string(state),
      "reason": .optional(reason), "unsent": summary.unsent.map(json) ?? .null,
      "newest": summary.newest.map(json) ?? .null, "objects": .integer(Int64(usage.objects)),
      "bytes": .integer(usage.bytes), "uploaded_at": .optional(summary.put?.iso8601),
      "listed_at": .optional(summary.listed?.iso8601), "last_success": .optional(record?.lastSuccess?.iso8601),
      "last_failure": .optional(record?.lastFailure?.iso8601), "last_error": .optional(record?.lastError),
      "next_try": .optional(entry.nextTry?.iso8601),
      "month": .string(usage.month),
      "requests": usage.requests.json, "sent_bytes": .integer(usage.sentBytes),
      "cost": target.url.prices.map { $0.json(usage.requests, bytes: usage.bytes) } ?? .null,
    ])
  }

  private static func keys(_ summary: TargetSummary, _ obstacle: String?) -> (state: String, reason: String?) {
    guard summary.isUsed else { return ("unused", nil) }
    if let obstacle { return ("refused", obstacle) }
    if let problem = summary.keyProblem { return ("wrong_key", problem.message) }
    if summary.needsFull { return ("full_needed", ReplicationPolicy.fullNeeded) }
    return switch summary.lag {
    case .upToDate: ("current", nil)
    case .within: ("pending", nil)
    case .behind(_, let reason): ("behind", reason)
    }
  }

  private static func json(_ unsent: UnsentBackups) -> JSONValue {
    .object([
      "count": .integer(Int64(unsent.count)), "oldest": .string(unsent.oldest.text),
      "since": .string(unsent.since.iso8601),
    ])
  }

  private static func json(_ point: Point) -> JSONValue {
    .object([
      "backup_id": .string(point.id.text), "sequence": .optional(point.sequence),
      "created_at": .string(point.created.iso8601),
    ])
  }
}

extension StorePrices {
  func json(_ requests: RequestCount, bytes: Int64) -> JSONValue {
    .object([
      "store": .string(store), "requests": Self.json(self.requests(requests)),
      "storage_a_month": Self.json(storage(bytes)), "currency": .string("USD"), "prices_of": .string(read),
    ])
  }

  private static func json(_ amount: Dollars) -> JSONValue { .number(Double(amount.billionths) / 1e9) }
}
