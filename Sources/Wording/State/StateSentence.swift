import BackupPolicy

/// Whether the data of one database is safe, in one or two sentences. `holdfast status` leads with
/// them.
package struct StateSentence: Hashable, Sendable {
  package enum Tone: String, Hashable, Sendable, Comparable, CaseIterable {
    /// Nothing needs anybody.
    case good
    /// Work is going on, as expected.
    case busy
    /// A person should look at it soon.
    case attention
    /// Data is not protected.
    case bad

    package static func < (left: Tone, right: Tone) -> Bool { left.severity < right.severity }

    private var severity: Int { Tone.allCases.firstIndex(of: self) ?? 0 }
  }

  package let tone: Tone
  /// `Everything is saved. Newest backup 14:03:22, 8 s ago.`
  package let text: String
  /// The next action; nil if there is no advice.
  package let hint: String?

  /// A change that waits for longer needs attention, in milliseconds.
  private static let longWait: Int64 = 60_000
  /// A running agent sees a write within this, in milliseconds, and after a poll's interval if it
  /// polls.
  private static let blindness: Int64 = 10_000

  private init(_ tone: Tone, _ text: String, hint: String? = nil) {
    (self.tone, self.text, self.hint) = (tone, text, hint)
  }

  package init(_ facts: StateFacts, at now: Timestamp, in zone: ZoneRules) {
    let time = Times(now: now, zone: zone)
    let facts = facts.inLocalTime(time)
    let sentence =
      Self.refusal(facts) ?? Self.problem(facts) ?? Self.absence(facts, time) ?? Self.alarm(facts, time)
      ?? Self.pause(facts, time) ?? Self.pending(facts, time) ?? Self.unseen(facts, time) ?? Self.saved(facts, time)
    self = sentence.adding(facts.alarms.first { !$0.stopsBackups })
  }

  /// The same, with an alarm that does not stop backups. Pending work must not hide it.
  private func adding(_ alarm: StateFacts.Alarm?) -> StateSentence {
    guard tone < .attention, let alarm else { return self }
    return StateSentence(.attention, "\(text) But \(alarm.message).", hint: hint ?? alarm.hint)
  }

  private static func refusal(_ facts: StateFacts) -> StateSentence? {
    facts.refusal.map { StateSentence(.bad, "It is not backed up: \($0).", hint: facts.problemHint) }
  }

  private static func problem(_ facts: StateFacts) -> StateSentence? {
    facts.problem.map { StateSentence(.bad, "The backups cannot be read: \($0).", hint: facts.problemHint) }
  }

  /// There is no backup at all.
  private static func absence(_ facts: StateFacts, _ time: Times) -> StateSentence? {
    guard facts.newest == nil else { return nil }
    if let alarm = facts.alarms.first(where: \.stopsBackups) {
      return StateSentence(.bad, "Nothing has been backed up yet: \(alarm.message).", hint: alarm.hint)
    }
    if facts.isRunning { return StateSentence(.busy, "The first backup is being made.") }
    switch facts.watch {
    case .starting: return StateSentence(.busy, "Nothing has been backed up yet. The agent looks at the database.")
    case .silent(let agent): return silence(agent, after: "Nothing has been backed up yet.")
    case .events, .polls, .stopping, .deaf, .gone, .nobody:
      return StateSentence(.bad, "Nothing has been backed up yet.", hint: "holdfast create makes the first backup")
    }
  }

  private static func alarm(_ facts: StateFacts, _ time: Times) -> StateSentence? {
    if case .silent(let agent) = facts.watch {
      return silence(agent, after: "Saved up to \(time.of(facts.newest?.created)).")
    }
    guard let alarm = facts.alarms.first(where: \.stopsBackups) else { return nil }
    let since = time.of(facts.exposedSince ?? alarm.since)
    let newest = time.of(facts.newest?.created)
    let rest =
      facts.isRepositoryAway ? "The newest backup was made at \(newest)." : "The backups up to \(newest) remain."
    return StateSentence(.bad, "Not protected since \(since): \(alarm.message). \(rest)", hint: alarm.hint)
  }

  private static func silence(_ agent: String, after text: String) -> StateSentence {
    StateSentence(
      .bad, "\(text) The agent (\(agent)) does not answer, so it is not known whether changes are backed up.",
      hint: "look at its log, and restart it")
  }

  private static func pause(_ facts: StateFacts, _ time: Times) -> StateSentence? {
    guard let end = facts.pausedUntil else { return nil }
    let rest =
      facts.exposedSince.map { "Changes since \(time.of($0)) are not backed up." } ?? "Everything is saved so far."
    return StateSentence(.attention, "Paused until \(time.of(end)). \(rest)", hint: "holdfast resume ends the pause")
  }

  /// Changes wait for their backup, or are being saved.
  private static func pending(_ facts: StateFacts, _ time: Times) -> StateSentence? {
    guard let since = facts.unprotectedSince else { return nil }
    let tone: Tone = time.hasLasted(longWait, since: since) ? .attention : .busy
    if let planned = facts.plannedBackup(at: time.now) {
      let how = facts.waitsForRun ? "by the run at" : "after the quiet hours, at"
      return StateSentence(.good, "Changes since \(time.of(since)) are saved \(how) \(time.of(planned)).")
    }
    if facts.isRunning { return StateSentence(tone, "Changes since \(time.of(since)) are being saved.") }
    let reason = facts.waitingFor.map { ", for \($0)" } ?? ""
    return StateSentence(tone, "Changes since \(time.of(since)) wait for their backup\(reason).")
  }

  /// The files were written, and the agent has not seen it.
  private static func unseen(_ facts: StateFacts, _ time: Times) -> StateSentence? {
    guard let write = facts.unseenWrite else { return nil }
    let newest = time.of(facts.newest?.created)
    guard facts.watch.isAnswering else { return unwatched(facts, write, time) }
    let isBlind = time.hasLasted(patience(facts.watch), since: write)
    return StateSentence(
      isBlind ? .bad : .busy,
      "Saved up to \(newest). The database was written at \(time.of(write))"
        + (isBlind ? ", and the agent has not seen it." : "; the agent is about to see it."),
      hint: isBlind ? "holdfast backup-now, and holdfast doctor shows what the agent can watch" : nil)
  }

  /// How old an unseen write may become, in milliseconds.
  private static func patience(_ watch: StateFacts.Watch) -> Int64 {
    guard case .polls(let interval) = watch else { return blindness }
    return interval.addingClamped(blindness)
  }

  /// The files were written after the newest backup, and no agent can be asked about it.
  private static func unwatched(_ facts: StateFacts, _ write: Timestamp, _ time: Times) -> StateSentence {
    let text = "Saved up to \(time.of(facts.newest?.created)). The database was written at \(time.of(write)), and"
    switch facts.watch {
    case .deaf(let agent):
      return StateSentence(
        time.hasLasted(blindness, since: write) ? .attention : .busy,
        "\(text) its agent (\(agent)) accepts no questions.")
    case .gone:
      return StateSentence(
        .attention, "\(text) no agent is running.",
        hint: "start the agent again, or back up now with holdfast create --incremental")
    case .events, .polls, .starting, .stopping, .silent, .nobody:
      return StateSentence(
        .attention, "\(text) no agent is running.", hint: "holdfast create --incremental backs up the changes")
    }
  }

  private static func saved(_ facts: StateFacts, _ time: Times) -> StateSentence {
    let newest = facts.newest.map { "Newest backup \(time.of($0.created)), \(time.ago($0.created))." } ?? ""
    let other = facts.alarms.first { !$0.stopsBackups }
    if let other {
      return StateSentence(.attention, "Everything is saved here, but \(other.message). \(newest)", hint: other.hint)
    }
    switch facts.watch {
    case .events: return StateSentence(.good, "Everything is saved. \(newest)")
    case .polls(let interval):
      let rhythm = interval < 2000 ? "each second" : "every \(interval / 1000) s"
      return StateSentence(.good, "Everything is saved. \(newest) Changes are looked for \(rhythm).")
    case .starting:
      return StateSentence(.busy, "Saved up to \(time.of(facts.newest?.created)). The agent looks for later changes.")
    case .stopping: return StateSentence(.busy, "Everything is saved. \(newest) The agent is stopping.")
    case .deaf(let agent):
      return StateSentence(.good, "Everything is saved. \(newest) Its agent (\(agent)) accepts no questions.")
    case .nobody, .silent: return StateSentence(.good, "Everything is saved, and no agent is running. \(newest)")
    case .gone:
      return StateSentence(
        .attention, "Everything is saved, but the agent that watched it has ended. \(newest)",
        hint: "start the agent again")
    }
  }
}

extension StateFacts {
  /// The same with the times in messages by the clocks of the reader, as all other times.
  package func inLocalTime(_ times: Times) -> StateFacts {
    var facts = self
    for index in alarms.indices { facts.alarms[index].message = times.local(alarms[index].message) }
    for index in copies.indices { facts.copies[index].error = copies[index].error.map(times.local) }
    return facts
  }
}

/// Times for people, seen from now.
package struct Times: Sendable {
  let now: Timestamp
  let zone: ZoneRules

  package init(now: Timestamp, zone: ZoneRules) { (self.now, self.zone) = (now, zone) }

  /// `14:03:22` today, `2026-11-19 09:12:00` on other days.
  package func of(_ time: Timestamp?) -> String {
    guard let time else { return "an unknown time" }
    let (text, today) = (zone.wallClock(time), zone.wallClock(now))
    return text.prefix(10) == today.prefix(10) ? String(text.dropFirst(11)) : text
  }

  /// A message with its times, such as `2026-11-29T15:04:49.701Z`, by the clocks of the zone.
  package func local(_ message: String) -> String {
    message.split(separator: " ", omittingEmptySubsequences: false).map { word in
      guard let end = word.lastIndex(of: "Z"), word.count >= 20,
        let time = Timestamp(iso8601: String(word[...end]))
      else { return String(word) }
      return of(time) + word[word.index(after: end)...]
    }.joined(separator: " ")
  }

  /// `8 s ago`, `2 h ago`, `3 days ago`; `just now` for less than a second, also if the clock was set
  /// back.
  package func ago(_ time: Timestamp) -> String {
    let seconds = age(time) / 1000
    let text =
      seconds < 120
      ? "\(seconds) s"
      : seconds < 7200
        ? "\(seconds / 60) min"
        : seconds < 172_800 ? "\(seconds / 3600) h" : "\(seconds / 86400) days"
    return seconds < 1 ? "just now" : "\(text) ago"
  }

  /// The clock of a file server may be ahead by this, in milliseconds.
  private static let tolerance: Int64 = 60_000

  /// Whether something lasts for longer than `limit`, in milliseconds. If it began in the future, the
  /// clock has been set back since then; nobody knows for how long it lasts, so it counts.
  func hasLasted(_ limit: Int64, since time: Timestamp) -> Bool {
    age(time) > limit || time.milliseconds.addingClamped(-now.milliseconds) > Self.tolerance
  }

  /// In milliseconds; 0 for a time in the future.
  func age(_ time: Timestamp) -> Int64 { max(0, now.milliseconds.addingClamped(-time.milliseconds)) }
}
