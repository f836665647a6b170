import BackupEngine
import BackupPolicy
import Names
import Wording

/// One message with all that channels make their form from.
package struct ChannelMessage: Sendable {
  /// The same for each attempt; unique.
  package let id: String
  package let notice: Notice
  /// Of all databases.
  package let facts: [StateFacts]
  package let text: NoticeText
  package let host: String
  package let sent: Timestamp
  /// The alarms in it are not real.
  package let isTest: Bool

  /// - Parameter figures: more lines about a database, by its name; for reports.
  /// - Throws: if the system has no random bytes.
  package init(
    _ notice: Notice, _ facts: [StateFacts], figures: [String: [String]] = [:], isTest: Bool = false, host: String,
    at now: Timestamp, in zone: ZoneRules
  ) throws {
    (self.notice, self.facts, self.host, sent, self.isTest) = (notice, facts, host.printable, now, isTest)
    id = "msg_\(try SecretBytes.random(16).hexText)"
    text = NoticeText(notice, facts, figures: figures, isTest: isTest, host: host, at: now, in: zone)
  }

  /// `[holdfast web-1] shop: the disk of /backups is full`
  var subject: String { "[holdfast \(host)] \(text.summary)" }

  /// The word in the JSON of webhooks and commands.
  private var event: String {
    switch notice.kind {
    case _ where isTest: "test"
    case .alarm, .change, .reminder: "alarm"
    case .recovery: "recovery"
    case .report: "report"
    }
  }

  /// One line, which webhooks and commands get.
  var json: [UInt8] {
    JSONValue.object([
      "version": .integer(1), "id": .string(id), "event": .string(event), "kind": .string(notice.kind.rawValue),
      "sent_at": .string(sent.iso8601), "host": .string(host), "summary": .string(text.summary),
      "text": .string(text.plain), "alarms": .array(notice.open.map { alarm($0) }),
      "ended": .array(notice.over.map { alarm($0) }), "held_back": .integer(Int64(notice.heldBack)),
      "databases": .array(facts.map { database($0) }),
    ]).encodedLine()
  }

  private func alarm(_ alarm: OpenAlarm) -> JSONValue {
    .object([
      "database": .optional(alarm.key.database), "kind": .string(alarm.key.kind),
      "subject": .optional(alarm.key.subject), "new": .bool(notice.new.contains(alarm.key)),
      "since": .string(alarm.since.iso8601), "message": .string(alarm.message), "hint": .optional(alarm.hint),
    ])
  }

  private func database(_ facts: StateFacts) -> JSONValue {
    let sentence = StateSentence(facts, at: sent, in: .utc)
    return .object([
      "name": .string(facts.name), "tone": .string(sentence.tone.rawValue), "sentence": .string(sentence.text),
      "newest": facts.newest?.json ?? .null,
      "proven_at": .optional(facts.proved?.iso8601), "unprotected_since": .optional(facts.exposedSince?.iso8601),
      "targets": .array(
        facts.copies.map { copy in
          let lag = copy.unsentSince.map { max(0, sent.milliseconds.addingClamped(-$0.milliseconds)) / 1000 } ?? 0
          return .object([
            "name": .string(copy.name), "newest_sequence": .optional(copy.newestSequence),
            "unsent": .integer(Int64(copy.unsent)), "lag_seconds": .integer(lag),
          ])
        }),
    ])
  }
}
