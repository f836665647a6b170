import BackupPolicy

extension RetentionPolicy {
  /// Refuses what a configuration file may not say either, in its words and with this property's name.
  ///
  /// - Throws: `usage`.
  func requireMeant() throws {
    for (name, count) in [("retentionDays", rules.retentionDays), ("maxBackups", rules.maxBackups)] {
      guard let count, count < 1 else { continue }
      throw Self.problem(name, "\(count)", isNot: RetentionRules.countInWords, hint: "leave it nil for no rule")
    }
    for (name, quota) in quotas {
      guard let quota, quota < -1 else { continue }
      throw Self.problem(name, "\(quota)", isNot: RetentionRules.quotaInWords, hint: "use -1 for all, nil for none")
    }
    for (name, span) in spans {
      guard let span,
        [Int64(span.years), Int64(span.months), Int64(span.days), span.seconds].contains(where: { $0 < 0 })
      else { continue }
      throw Self.problem(name, span.text, isNot: RetentionRules.spanInWords, hint: "give it no negative part")
    }
    for (name, seconds) in [("anomalyHold", anomalyHold), ("safetyGrace", safetyGrace)] where seconds < 0 {
      throw HoldfastError(.usage, "\(name) is \(seconds), which is too short", hint: "use at least 0 seconds")
    }
    guard let minFreeSpace, !minFreeSpace.isMeant else { return }
    throw HoldfastError(
      .usage, "minFreeSpace is \(minFreeSpace), which no disk can have", hint: "use 1 to 99 percent, or some bytes")
  }

  private var quotas: [(String, Int?)] {
    [
      ("keepLast", rules.keepLast), ("keepHourly", rules.keepHourly), ("keepDaily", rules.keepDaily),
      ("keepWeekly", rules.keepWeekly), ("keepMonthly", rules.keepMonthly), ("keepYearly", rules.keepYearly),
    ]
  }

  private var spans: [(String, CalendarSpan?)] {
    [
      ("keepWithin", rules.keepWithin), ("keepWithinHourly", rules.keepWithinHourly),
      ("keepWithinDaily", rules.keepWithinDaily), ("keepWithinWeekly", rules.keepWithinWeekly),
      ("keepWithinMonthly", rules.keepWithinMonthly), ("keepWithinYearly", rules.keepWithinYearly),
    ]
  }

  private static func problem(_ name: String, _ value: String, isNot expected: String, hint: String) -> HoldfastError {
    HoldfastError(.usage, "\(name) is \(value), which is not \(expected)", hint: hint)
  }
}

extension FreeSpace {
  fileprivate var isMeant: Bool {
    switch self {
    case .bytes(let bytes): bytes > 0
    case .percent(let percent): (1...99).contains(percent)
    }
  }
}
