/// The decisions of the last week about one database, to answer later why a backup was made or was
/// not made at some time.
///
/// A busy database takes the same decisions again and again. Decisions of the same kind with the
/// same reason within a minute are one entry with a first and a last time, so an hour of steady
/// writes needs a few entries.
package struct DecisionJournal: Hashable, Sendable {
  /// Equal decisions in a row.
  package struct Entry: Hashable, Sendable {
    package var first: Timestamp
    package var last: Timestamp
    /// At least 1.
    package var count: Int
    /// As `TriggerDecision.Kind/text` writes it.
    package var kind: String
    package var reason: String

    package init(first: Timestamp, last: Timestamp, count: Int, kind: String, reason: String) {
      (self.first, self.last, self.count, self.kind, self.reason) = (first, last, count, kind, reason)
    }
  }

  /// How long entries are kept.
  package static let age = Duration.seconds(7 * 86400)
  /// The number of entries that are kept; the oldest ones go first.
  package static let capacity = 4096
  /// Equal decisions with a longer pause between them are two entries.
  static let gap: Int64 = 60_000
  /// Decisions that alternate, such as waiting and starting, are compared with this many entries.
  private static let reach = 6

  /// In the order of their first times.
  package private(set) var entries: [Entry] = []

  package init() {}

  /// - Parameter entries: in the order of their first times.
  package init(_ entries: [Entry]) { self.entries = Array(entries.suffix(Self.capacity)) }

  package mutating func record(_ decision: TriggerDecision) {
    let recent = entries.indices.suffix(Self.reach).reversed()
    let same = recent.first { entries[$0].continues(decision) }
    if let same {
      entries[same].last = decision.time
      entries[same].count += 1
    } else {
      entries.append(
        Entry(first: decision.time, last: decision.time, count: 1, kind: decision.kind.text, reason: decision.reason))
    }
    let oldest = decision.time.adding(.zero - Self.age)
    // Whole entries go, so that a clock that jumps ahead for a moment costs at most the old ones.
    if entries.count > Self.capacity || entries[0].last < oldest {
      entries = Array(entries.suffix(Self.capacity).drop { $0.last < oldest })
    }
  }

  /// The decisions that explain a time: those within ten minutes of it, and the last one before.
  package func around(_ time: Timestamp) -> [Entry] {
    let (from, to) = (time.adding(.seconds(-600)), time.adding(.seconds(600)))
    let near = entries.filter { $0.last >= from && $0.first <= to }
    let before = entries.last { $0.last < from }
    return (before.map { [$0] } ?? []) + near
  }
}

/// The decisions about a pause that a person asked for. ``DecisionJournal/pause(at:)`` finds them
/// again in a stored journal.
enum PauseWords {
  /// The time of the end follows.
  static let begin = "paused until "
  static let over = "the pause is over"
  static let ended = "the pause was ended"
}

extension DecisionJournal {
  /// The end of the pause that lasted at a time, as its decision wrote it; nil if there was no pause.
  ///
  /// - Parameter start: of the agent; a pause ends with its agent.
  package func pause(at time: Timestamp, agentStart start: Timestamp?) -> String? {
    let notices = entries.filter { $0.kind == TriggerDecision.Kind.notice.text && $0.first <= time }
    guard let begin = notices.lastIndex(where: { $0.reason.hasPrefix(PauseWords.begin) }) else { return nil }
    if let start, start <= time, notices[begin].last < start { return nil }
    let isOver = notices[begin...].contains { [PauseWords.over, PauseWords.ended].contains($0.reason) }
    return isOver ? nil : String(notices[begin].reason.dropFirst(PauseWords.begin.count))
  }
}

extension DecisionJournal.Entry {
  fileprivate func continues(_ decision: TriggerDecision) -> Bool {
    let distance = decision.time.milliseconds.addingClamped(-last.milliseconds)
    return (0...DecisionJournal.gap).contains(distance) && kind == decision.kind.text && reason == decision.reason
  }
}

extension TriggerDecision.Kind {
  /// The decision, such as `start change` or `skip`. Scripts may rely on it.
  package var text: String {
    switch self {
    case .start(let trigger): "start \(trigger.rawValue)"
    case .skip: "skip"
    case .wait: "wait"
    case .failure: "failure"
    case .notice: "notice"
    }
  }
}
