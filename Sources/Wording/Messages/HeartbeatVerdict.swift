import BackupPolicy

/// Whether a sign of life may be sent: nothing is wrong, by the agent's own report and by a look at
/// the files that does not rely on its events.
package struct HeartbeatVerdict: Hashable, Sendable {
  /// The configured limits of one database; times are in seconds.
  package struct Limits: Hashable, Sendable {
    /// How long a change may be in no backup after the time at which its backup is planned.
    package var exposure: Int64
    /// When each target counts as behind.
    package var lags: [String: LagPolicy]
    /// How long ago the last passed drill may be; nil if no drill is required.
    package var drillAge: Int64?

    package init(exposure: Int64, lags: [String: LagPolicy] = [:], drillAge: Int64? = nil) {
      (self.exposure, self.lags, self.drillAge) = (exposure, lags, drillAge)
    }
  }

  /// Why it may not be sent, one fact each; empty if all is well.
  package let reasons: [String]

  /// A sign of life that arrives proves that this alarm is over.
  private static let ownAlarm = "heartbeat_failed"

  /// - Parameters:
  ///   - refusals: why other databases are not backed up although the configuration names them.
  ///   - isPatient: an alarm counts after the time after which a message would report it.
  package init(
    _ databases: [(facts: StateFacts, limits: Limits)], refusals: [String] = [], isPatient: Bool = true,
    at now: Timestamp, in zone: ZoneRules
  ) {
    let times = Times(now: now, zone: zone)
    reasons =
      refusals
      + databases.flatMap { entry in
        Self.reasons(entry.facts, entry.limits, isPatient, times).map { "\(entry.facts.name): \($0)" }
      }
  }

  private static func reasons(
    _ facts: StateFacts, _ limits: Limits, _ isPatient: Bool, _ times: Times
  ) -> [String] {
    let alarms = facts.alarms.filter { $0.kind != ownAlarm }.filter {
      !isPatient || times.hasLasted(NotificationMachine.delay(of: $0.kind) - 1, since: $0.since)
    }.map(\.message)
    return alarms + [absence(facts), exposure(facts, limits, times), proof(facts, limits, times)].compactMap { $0 }
      + facts.copies.compactMap { lag($0, limits, times) }
  }

  private static func absence(_ facts: StateFacts) -> String? {
    if let problem = facts.problem { return "the backups cannot be read: \(problem)" }
    return facts.newest == nil && facts.watch != .starting ? "nothing has been backed up yet" : nil
  }

  private static func exposure(_ facts: StateFacts, _ limits: Limits, _ times: Times) -> String? {
    guard let since = facts.overdueSince(at: times.now), times.hasLasted(limits.exposure * 1000, since: since) else {
      return nil
    }
    return "changes since \(times.of(facts.exposedSince ?? since)) are in no backup"
  }

  private static func proof(_ facts: StateFacts, _ limits: Limits, _ times: Times) -> String? {
    guard let limit = limits.drillAge, let proved = facts.proved, times.age(proved) > limit * 1000 else { return nil }
    return "the last passed drill is too old: \(times.ago(proved))"
  }

  private static func lag(_ copy: StateFacts.Copy, _ limits: Limits, _ times: Times) -> String? {
    guard let policy = limits.lags[copy.name], let since = copy.unsentSince,
      times.hasLasted(policy.patience, since: since)
    else {
      return nil
    }
    return "target \(times.target(copy))"
  }
}
