/// What to keep, in restic's names where restic has the rule. A point that any rule keeps, stays.
///
/// Counts are at least 1; -1 keeps all, and 0 is as if nothing were set. Spans count from the newest point, not from now.
public struct RetentionRules: Hashable, Sendable {
  /// How many of the newest to keep.
  public var keepLast: Int?
  /// Of how many hours that have points to keep the last one.
  public var keepHourly: Int?
  /// Of how many days that have points to keep the last one.
  public var keepDaily: Int?
  /// Of how many weeks (Monday to Sunday) that have points to keep the last one.
  public var keepWeekly: Int?
  /// Of how many months that have points to keep the last one.
  public var keepMonthly: Int?
  /// Of how many years that have points to keep the last one.
  public var keepYearly: Int?
  /// Keeps every point of this span before the newest.
  public var keepWithin: CalendarSpan?
  /// Keeps the last point of each hour of this span before the newest.
  public var keepWithinHourly: CalendarSpan?
  /// Keeps the last point of each day of this span before the newest.
  public var keepWithinDaily: CalendarSpan?
  /// Keeps the last point of each week of this span before the newest.
  public var keepWithinWeekly: CalendarSpan?
  /// Keeps the last point of each month of this span before the newest.
  public var keepWithinMonthly: CalendarSpan?
  /// Keeps the last point of each year of this span before the newest.
  public var keepWithinYearly: CalendarSpan?
  /// Keeps points that have all the tags of one of these lists; an empty list stands for points without tags.
  public var keepTags: [[String]] = []
  /// Days, counted from now, for which a point is kept; at least 1.
  public var retentionDays: Int?
  /// The most points that ``keepLast`` and ``retentionDays`` may keep; at least 1. Where neither is set it keeps so many itself.
  public var maxBackups: Int?

  /// No rule: nothing is removed.
  public init() {}
}

/// One of restic's rules that go by the calendar or by tags.
struct KeepRule: Hashable, Sendable {
  /// What a point is the last one of.
  enum Unit: String, CaseIterable, Sendable {
    case hour, day, week, month, year

    var adverb: String {
      switch self {
      case .hour: "hourly"
      case .day: "daily"
      case .week: "weekly"
      case .month: "monthly"
      case .year: "yearly"
      }
    }
  }

  enum Extent: Hashable, Sendable {
    /// So many units; -1 for all.
    case count(Int)
    case within(CalendarSpan)
  }

  /// Nil for every point.
  var unit: Unit?
  var extent: Extent

  /// As a configuration has it: `keep_daily 7`.
  var name: String {
    let suffix = unit.map { "_\($0.adverb)" } ?? ""
    return switch extent {
    case .count(-1): "keep\(suffix) all"
    case .count(let count): "keep\(suffix) \(count)"
    case .within(let span): "keep_within\(suffix) \(span.text)"
    }
  }
}

extension RetentionRules {
  /// What `retention_days` and `max_backups` may be.
  package static let countInWords = "a whole number of at least 1, or none"
  /// What `keep_last` and its kin may be.
  package static let quotaInWords = "a whole number of at least 1, all, or none"
  /// What `keep_within` and its kin may be.
  package static let spanInWords = "a span such as 7d, 1y6m or 12h (y, m for months, w, d, h, min, s)"

  /// The rules that go by the calendar, those that say something.
  var calendar: [KeepRule] {
    let counts: [(KeepRule.Unit, Int?)] = [
      (.hour, keepHourly), (.day, keepDaily), (.week, keepWeekly), (.month, keepMonthly), (.year, keepYearly),
    ]
    let spans: [(KeepRule.Unit?, CalendarSpan?)] = [
      (nil, keepWithin), (.hour, keepWithinHourly), (.day, keepWithinDaily), (.week, keepWithinWeekly),
      (.month, keepWithinMonthly), (.year, keepWithinYearly),
    ]
    return counts.compactMap { unit, count in
      count.flatMap { $0 == 0 ? nil : KeepRule(unit: unit, extent: .count($0)) }
    }
      + spans.compactMap { unit, span in
        span.flatMap { $0.isZero ? nil : KeepRule(unit: unit, extent: .within($0)) }
      }
  }

  /// ``keepLast``, where it says something.
  var last: Int? { keepLast == 0 ? nil : keepLast }

  /// Whether fulls are counted.
  var counts: Bool { last != nil || retentionDays != nil || maxBackups != nil }

  /// Whether no rule says anything: nothing is removed then.
  package var isEmpty: Bool { !counts && keepTags.isEmpty && calendar.isEmpty }

  /// A rule that nobody can mean, in words. `keep 0` alone would remove everything.
  var unmeant: String? {
    let counted = [
      ("keep", keepLast), ("keep_hourly", keepHourly), ("keep_daily", keepDaily), ("keep_weekly", keepWeekly),
      ("keep_monthly", keepMonthly), ("keep_yearly", keepYearly),
    ].compactMap { name, count in count.map { (name, $0) } }
    let bounded = [("retention_days", retentionDays), ("max_backups", maxBackups)]
    if let rule = bounded.first(where: { ($0.1 ?? 1) <= 0 }) {
      return "\(rule.0) must be at least 1, not \(rule.1 ?? 0)"
    }
    if let rule = counted.first(where: { $0.1 < -1 || ($0.1 == 0 && isEmpty) }) {
      return "\(rule.0) must be at least 1, or -1 for all, not \(rule.1)"
    }
    return nil
  }
}
