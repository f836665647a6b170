import Testing

@testable import BackupPolicy

/// The table of rules and the properties that name them.
@Suite struct RetentionRulesTests {
  private static let counts: [any WritableKeyPath<RetentionRules, Int?> & Sendable] = [
    \.keepLast, \.keepHourly, \.keepDaily, \.keepWeekly, \.keepMonthly, \.keepYearly, \.retentionDays, \.maxBackups,
  ]
  private static let spans: [any WritableKeyPath<RetentionRules, CalendarSpan?> & Sendable] = [
    \.keepWithin, \.keepWithinHourly, \.keepWithinDaily, \.keepWithinWeekly, \.keepWithinMonthly, \.keepWithinYearly,
  ]

  private static var full: RetentionRules {
    var rules = RetentionRules()
    for (number, path) in counts.enumerated() { rules[keyPath: path] = number + 1 }
    for (number, path) in spans.enumerated() { rules[keyPath: path] = CalendarSpan(days: number + 1) }
    rules.keepTags = [["a", "b"], []]
    return rules
  }

  @Test func eachPropertyIsARuleOfTheTable() {
    #expect(Self.full.list.map(\.kind) == KeepRule.Kind.all)
    #expect(
      Self.full.list.map(\.name) == [
        "keep_last 1", "keep_hourly 2", "keep_daily 3", "keep_weekly 4", "keep_monthly 5", "keep_yearly 6",
        "keep_within 1d", "keep_within_hourly 2d", "keep_within_daily 3d", "keep_within_weekly 4d",
        "keep_within_monthly 5d", "keep_within_yearly 6d", "keep_tag a,b;", "retention_days 7", "max_backups 8",
      ])
    #expect(
      KeepRule.Kind.all.map(\.property).prefix(8) == [
        "keepLast", "keepHourly", "keepDaily", "keepWeekly", "keepMonthly", "keepYearly", "keepWithin",
        "keepWithinHourly",
      ])
    for path in Self.counts { #expect(Self.full[keyPath: path] != nil) }
    for path in Self.spans { #expect(Self.full[keyPath: path] != nil) }
    #expect(Self.full.keepTags == [["a", "b"], []])
  }

  @Test func theOrderInWhichRulesAreSetDoesNotMatter() {
    var rules = RetentionRules()
    rules.keepTags = [["a", "b"], []]
    for (number, path) in Self.spans.enumerated().reversed() { rules[keyPath: path] = CalendarSpan(days: number + 1) }
    for (number, path) in Self.counts.enumerated().reversed() { rules[keyPath: path] = 99 - number }
    #expect(rules != Self.full)
    for (number, path) in Self.counts.enumerated().reversed() { rules[keyPath: path] = number + 1 }
    #expect(rules == Self.full)
  }

  @Test func withoutAnAmountARuleIsNotSet() {
    var rules = Self.full
    for path in Self.counts { rules[keyPath: path] = nil }
    for path in Self.spans { rules[keyPath: path] = nil }
    rules.keepTags = []
    #expect(rules == RetentionRules() && rules.isEmpty)
    rules.keepHourly = 0
    rules.keepWithin = CalendarSpan()
    #expect(rules != RetentionRules() && rules.isEmpty && rules.calendar.isEmpty)
    rules.keepYearly = -1
    #expect(!rules.isEmpty && rules.calendar.map(\.name) == ["keep_yearly all"])
  }
}
