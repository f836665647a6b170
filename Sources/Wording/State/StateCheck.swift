import BackupPolicy

/// The verdict of `holdfast status --check` for a monitoring system: a word, a line, and an exit code
/// as the monitoring plugins define them.
///
/// Source: Monitoring Plugins Development Guidelines, "Plugin Return Codes".
package struct StateCheck: Hashable, Sendable {
  package enum Verdict: Int32, Hashable, Sendable {
    case ok = 0
    case warning = 1
    case critical = 2
    case unknown = 3

    package var word: String {
      switch self {
      case .ok: "OK"
      case .warning: "WARNING"
      case .critical: "CRITICAL"
      case .unknown: "UNKNOWN"
      }
    }
  }

  package let verdict: Verdict
  /// Of all databases, on one line, the worst first.
  package let line: String

  /// - Parameter maxAge: how long a change may be in no backup, in seconds.
  package init(_ databases: [StateFacts], maxAge: Int64, at now: Timestamp, in zone: ZoneRules) {
    let times = Times(now: now, zone: zone)
    let judged = databases.map { (facts: $0, verdict: Self.verdict($0, maxAge, times)) }
      .sorted { $0.verdict.rank > $1.verdict.rank }
    verdict = judged.first?.verdict ?? .unknown
    let parts = judged.map { entry in
      "\(entry.facts.name): \(StateSentence(entry.facts, at: now, in: zone).text)"
    }
    let figures = databases.map { facts in
      let age = facts.exposedSince.map { max(0, now.milliseconds.addingClamped(-$0.milliseconds)) / 1000 } ?? 0
      return "'\(facts.name.filter { $0 != "'" && $0 != "=" })_unprotected'=\(age)s;;\(maxAge);0"
    }
    let text = parts.isEmpty ? "no database is configured" : parts.joined(separator: " ")
    line = "HOLDFAST \(verdict.word) - \(text.filter { $0 != "|" }) | \(figures.joined(separator: " "))"
  }

  private static func verdict(_ facts: StateFacts, _ maxAge: Int64, _ times: Times) -> Verdict {
    if facts.refusal != nil { return .critical }
    if facts.problem != nil { return facts.isRepositoryAway ? .critical : .unknown }
    if facts.newest == nil { return facts.isRunning ? .warning : .critical }
    let limit = maxAge.multipliedClamped(by: 1000)
    if let since = facts.overdueSince(at: times.now), times.hasLasted(limit, since: since) { return .critical }
    if let alarm = facts.alarms.first(where: \.stopsBackups) {
      return times.hasLasted(limit, since: alarm.since) ? .critical : .warning
    }
    if case .silent = facts.watch { return .critical }
    if facts.pausedUntil != nil || !facts.alarms.isEmpty || facts.watch == .gone { return .warning }
    return .ok
  }
}

extension StateCheck.Verdict {
  /// An unknown state is worse than a warning.
  fileprivate var rank: Int {
    switch self {
    case .ok: 0
    case .warning: 1
    case .unknown: 2
    case .critical: 3
    }
  }
}
