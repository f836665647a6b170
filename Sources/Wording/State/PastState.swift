import BackupPolicy

/// Whether a backup holds the state of one time, and if not, why not: the first sentence of
/// `status --why`.
package struct PastState {
  private let time: Timestamp
  /// The state of now.
  private let facts: StateFacts
  /// The newest backup up to the time, and the first one after it.
  private let before: StateFacts.Backup?
  private let after: StateFacts.Backup?
  private let journal: DecisionJournal
  /// When the agent that runs now began; nil if no agent answers.
  private let agentStart: Timestamp?
  private let times: Times

  package init(
    at time: Timestamp, _ facts: StateFacts, before: StateFacts.Backup?, after: StateFacts.Backup?,
    _ journal: DecisionJournal, agentStart: Timestamp?, _ times: Times
  ) {
    (self.time, self.facts, self.before, self.after) = (time, facts.inLocalTime(times), before, after)
    (self.journal, self.agentStart, self.times) = (journal, agentStart, times)
  }

  /// `Nothing was backed up at 15:03:00: paused until 15:06 (holdfast pause).`
  package var sentence: String {
    if let problem = facts.problem { return "The backups cannot be read: \(problem)." }
    if let cause { return "Nothing was backed up at \(times.of(time)): \(cause).\(next)" }
    return running ?? holder ?? absence
  }

  // MARK: Why nothing was backed up

  private var cause: String? {
    let alarm = facts.alarms.first { $0.stopsBackups && $0.since <= time }
    if let alarm { return "\(alarm.message), since \(times.of(alarm.since))" }
    if let end = journal.pause(at: time, agentStart: agentStart) { return "paused until \(end) (holdfast pause)" }
    if let failure = decision({ $0 == .failure }) { return failure.reason }
    switch last.flatMap({ Kind(rawValue: $0.kind) }) {
    case .wait: return "a backup had to wait for \(last?.reason ?? "")"
    case .skip: return last?.reason
    case .failure, .notice, nil: return exposure
    }
  }

  /// Changes that are in no backup now.
  private var exposure: String? {
    guard let since = facts.exposedSince, since <= time else { return nil }
    return facts.watch.isAnswering
      ? "the changes since \(times.of(since)) are in no backup yet"
      : "the database was written at \(times.of(since)), and no agent answers that could back it up"
  }

  private var next: String {
    after.map { " The next backup is \($0.id), \(times.of($0.created))." } ?? " There is no backup since then."
  }

  // MARK: The backup with the state

  /// A backup had begun after the newest one. It may have found nothing new.
  private var running: String? {
    guard let last else { return nil }
    let stored = after.map { "; the next stored one is \($0.id), \(times.of($0.created))." }
    guard last.count == 1 else {
      let newest = before.map { "\($0.id) of \(times.of($0.created)) is the newest backup from before" }
      return (newest ?? "Backups began again and again at") + " \(times.of(time))" + (stored ?? ".")
    }
    if stored == nil, isSaved, let before {
      return "\(before.id) of \(times.of(before.created)) holds the state of \(times.of(time)):"
        + " the backup that began at \(times.of(last.first)) found no change."
    }
    return "A backup began at \(times.of(last.first)) (\(last.reason))" + (stored ?? ".")
  }

  /// An agent answers that all is saved.
  private var isSaved: Bool { facts.watch.isAnswering && facts.exposedSince == nil && !facts.isRunning }

  private var holder: String? {
    guard let before else { return nil }
    let text = "\(before.id) of \(times.of(before.created))"
    if isCovered { return "\(text) holds the state of \(times.of(time)): no later change is known." }
    return "\(text) is the newest backup from before \(times.of(time))."
      + " No decision of an agent is recorded between the two, so later changes are not known."
  }

  private var absence: String {
    after.map { "There was no backup at \(times.of(time)). The first one is \($0.id), \(times.of($0.created))." }
      ?? "There is no backup yet."
  }

  /// Whether a change between the backup and the time would be known.
  private var isCovered: Bool {
    if let agentStart, agentStart <= time { return true }
    if facts.newest?.id == before?.id, facts.unseenWrite == nil { return true }
    return journal.entries.contains { $0.first <= time && $0.last >= time }
  }

  // MARK: Decisions

  /// As ``TriggerDecision/Kind/text`` writes them; a start has its trigger behind it.
  private enum Kind: String {
    case wait, skip, failure, notice
  }

  /// The last decision about work after the newest backup from before; nil if there is none.
  private var last: DecisionJournal.Entry? { decision { $0 != .notice } }

  private func decision(_ isWanted: (Kind?) -> Bool) -> DecisionJournal.Entry? {
    let start = before?.created ?? Timestamp(milliseconds: .min)
    return journal.entries
      .filter { $0.first <= time && min($0.last, time) > start && isWanted(Kind(rawValue: $0.kind)) }
      .enumerated().max { (min($0.element.last, time), $0.offset) < (min($1.element.last, time), $1.offset) }?
      .element
  }
}
