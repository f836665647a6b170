import BackupPolicy
import Names

/// The words of one message: the same for a mail, a chat and a command. Nothing in them ends a line,
/// whatever a database or a folder is called.
package struct NoticeText: Hashable, Sendable {
  /// A heading and the entries below it.
  package struct Section: Hashable, Sendable {
    package var title: String
    package var entries: [Entry]
  }

  /// One fact, with its details and the advice.
  package struct Entry: Hashable, Sendable {
    /// How urgent it is; nil if it is over.
    package var tone: StateSentence.Tone?
    package var text: String
    package var details: [String] = []
    package var hint: String?
  }

  /// The most important fact, such as `shop: the disk of /backups is full`.
  package let summary: String
  package let sections: [Section]
  /// Where the message comes from, and which commands show more.
  package let footer: String

  /// Bytes. Subjects beyond it are cut off by many readers.
  private static let longestSummary = 150

  /// - Parameters:
  ///   - facts: of all databases.
  ///   - figures: more lines about a database, by its name; for reports.
  ///   - isTest: the alarms in it are not real.
  package init(
    _ notice: Notice, _ facts: [StateFacts], figures: [String: [String]] = [:], isTest: Bool = false, host: String,
    at now: Timestamp, in zone: ZoneRules
  ) {
    let words = MessageWords(notice: notice, facts: facts, figures: figures, times: Times(now: now, zone: zone))
    let summary = (isTest ? "test: " : "") + words.summary
    self.summary = summary.printable.shortened(toBytes: Self.longestSummary)
    sections = words.sections.filter { !$0.entries.isEmpty }.map(\.printable)
    footer =
      (isTest ? "This is a test: the alarm is not real. " : "")
      + "Sent by holdfast on \(host), \(zone.stamp(now)). The command holdfast status shows the present state."
      .printable
  }

  /// The message as plain text, with a line end after each line.
  package var plain: String {
    let parts = sections.map { section in
      let entries = section.entries.flatMap { entry in
        ["\(entry.tone.map { "\($0.mark) " } ?? "")\(entry.text)"] + entry.details.map { "    \($0)" }
          + (entry.hint.map { ["  → \($0)"] } ?? [])
      }
      return ([section.title] + entries).map { "\($0)\n" }.joined()
    }
    return ([summary + "\n"] + parts + [footer + "\n"]).joined(separator: "\n")
  }
}

extension NoticeText.Section {
  fileprivate var printable: Self {
    Self(
      title: title.printable,
      entries: entries.map { entry in
        NoticeText.Entry(
          tone: entry.tone, text: entry.text.printable, details: entry.details.map(\.printable),
          hint: entry.hint?.printable)
      })
  }
}

/// Finds the words of a message.
private struct MessageWords {
  let notice: Notice
  let facts: [StateFacts]
  let figures: [String: [String]]
  let times: Times

  private func sentence(_ facts: StateFacts) -> StateSentence { StateSentence(facts, at: times.now, in: times.zone) }

  var summary: String {
    switch notice.kind {
    case .alarm, .change, .reminder:
      let first = notice.open.first { notice.new.contains($0.key) } ?? notice.open.first
      guard let first else { return over }
      let others = notice.open.count - 1
      let more = others == 0 ? "" : " (and \(others) more)"
      return (notice.kind == .reminder ? "still: " : "") + name(first) + first.message + more
    case .recovery: return over
    case .report: return report
    }
  }

  private var over: String {
    guard let first = notice.over.first else { return "nothing is wrong now" }
    let others = notice.over.count - 1
    return "over: \(name(first))\(first.message)" + (others == 0 ? "" : " (and \(others) more)")
  }

  private var report: String {
    let quiet = facts.count { sentence($0).tone <= .busy }
    if facts.count == 1 {
      let (name, sentence) = (facts[0].name, sentence(facts[0]))
      return sentence.tone <= .busy ? "report: \(name) needs nothing" : "report: \(name): \(sentence.text)"
    }
    return "report: \(quiet) of \(facts.count) databases need nothing"
  }

  private func name(_ alarm: OpenAlarm) -> String { alarm.key.database.map { "\($0): " } ?? "" }

  var sections: [NoticeText.Section] {
    let new = notice.open.filter { notice.new.contains($0.key) }
    let known = notice.open.filter { !notice.new.contains($0.key) }
    return [
      NoticeText.Section(title: notice.kind == .alarm ? "Alarms" : "New alarms", entries: new.map(entry)),
      NoticeText.Section(title: new.isEmpty ? "Alarms" : "Alarms that last", entries: known.map(entry)),
      NoticeText.Section(title: "Over", entries: notice.over.map(ended)),
      NoticeText.Section(title: facts.count == 1 ? "Database" : "Databases", entries: facts.map(state)),
      NoticeText.Section(title: "Messages", entries: missed),
    ]
  }

  private func entry(_ alarm: OpenAlarm) -> NoticeText.Entry {
    NoticeText.Entry(
      tone: .bad, text: name(alarm) + alarm.message, details: ["since \(times.of(alarm.since))"], hint: alarm.hint)
  }

  private func ended(_ alarm: OpenAlarm) -> NoticeText.Entry {
    NoticeText.Entry(
      tone: nil, text: name(alarm) + alarm.message, details: ["it began at \(times.of(alarm.since)) and has ended"])
  }

  private func state(_ facts: StateFacts) -> NoticeText.Entry {
    let sentence = sentence(facts)
    let isReport = notice.kind == .report
    let known = notice.open.contains { $0.hint == sentence.hint }
    return NoticeText.Entry(
      tone: sentence.tone, text: "\(facts.name): \(sentence.text)", details: isReport ? details(facts) : [],
      // The alarm above has it already.
      hint: known ? nil : sentence.hint)
  }

  private func details(_ facts: StateFacts) -> [String] {
    ["Proven: \(times.proof(facts))"] + (figures[facts.name] ?? [])
      + facts.copies.flatMap { ["Target \(times.target($0))"] + $0.figures }
  }

  private var missed: [NoticeText.Entry] {
    guard notice.heldBack > 0 else {
      let isUnchanged = notice.new.isEmpty && notice.over.isEmpty
      guard isUnchanged, notice.kind == .recovery || notice.kind == .change else { return [] }
      return [NoticeText.Entry(tone: nil, text: "A message before this one could not be sent.")]
    }
    let changes = notice.heldBack == 1 ? "1 change was" : "\(notice.heldBack) changes were"
    return [
      NoticeText.Entry(
        tone: nil,
        text: "\(changes) not reported, because \(NotificationMachine.hourlyLimit) messages had been sent in an hour.")
    ]
  }
}
