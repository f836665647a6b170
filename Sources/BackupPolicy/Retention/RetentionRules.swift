/// A retention rule with its amount: `keep_daily 7`.
package struct KeepRule: Hashable, Sendable {
  /// The unit of time of which a backup is the last one.
  package enum Unit: String, CaseIterable, Sendable {
    case hour, day, week, month, year

    var adverb: String { self == .day ? "daily" : "\(rawValue)ly" }
  }

  /// A rule without its amount.
  package enum Kind: Hashable, Sendable {
    /// The newest ones.
    case last
    /// The last one of each of the newest hours, days and so on that have backups.
    case each(Unit)
    /// All of a span before the newest, or the last one of each hour, day and so on in it.
    case within(Unit?)
    /// Those that have the tags.
    case tag
    /// Those that are younger than a number of days.
    case days
    /// Limits the number of those that ``last`` and ``days`` keep.
    case ceiling

    /// The table of rules. Settings, flags and explanations have this order.
    package static let all: [Kind] =
      [.last] + Unit.allCases.map { .each($0) } + [.within(nil)] + Unit.allCases.map { .within($0) }
      + [.tag, .days, .ceiling]
  }

  /// The possible forms of an amount.
  package enum Form: Sendable {
    /// A number from 1.
    case count
    /// A number from 1, -1 for all, or 0, which has the same effect as no rule.
    case quota
    case span
    case tags

    /// For messages: the expected form.
    package var inWords: String {
      switch self {
      case .count: "a whole number of at least 1, or none"
      case .quota: "a whole number of at least 1, all, or none"
      case .span: "a span such as 7d, 1y6m or 12h (y, m for months, w, d, h, min, s)"
      case .tags: "a tag, or several with commas between them"
      }
    }
  }

  package enum Amount: Hashable, Sendable {
    case count(Int)
    case span(CalendarSpan)
    /// A backup has all the tags of one of these lists; an empty list is for backups without tags.
    case tags([[String]])

    package var text: String {
      switch self {
      case .count(let count): "\(count)"
      case .span(let span): span.text
      case .tags(let lists): lists.map { $0.joined(separator: ",") }.joined(separator: ";")
      }
    }
  }

  package let kind: Kind
  package let amount: Amount
}

extension KeepRule.Kind {
  /// The name in a configuration: `keep_daily`.
  package var name: String {
    switch self {
    case .last: "keep_last"
    case .each(let unit): "keep_\(unit.adverb)"
    case .within(let unit): unit.map { "keep_within_\($0.adverb)" } ?? "keep_within"
    case .tag: "keep_tag"
    case .days: "retention_days"
    case .ceiling: "max_backups"
    }
  }

  /// The name of the property of ``RetentionRules``: `keepDaily`.
  package var property: String {
    let words = name.split(separator: "_")
    return words[0] + words.dropFirst().map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
  }

  package var form: KeepRule.Form {
    switch self {
    case .last, .each: .quota
    case .within: .span
    case .tag: .tags
    case .days, .ceiling: .count
    }
  }

  /// Nil if the rule does not depend on the calendar, and for `keep_within`, which keeps every
  /// backup.
  var unit: KeepRule.Unit? {
    switch self {
    case .each(let unit): unit
    case .within(let unit): unit
    case .last, .tag, .days, .ceiling: nil
    }
  }

  /// Whether it depends on the calendar.
  var isOfCalendar: Bool {
    switch self {
    case .each, .within: true
    case .last, .tag, .days, .ceiling: false
    }
  }
}

extension KeepRule {
  /// The form in a configuration: `keep_daily 7`.
  var name: String { "\(kind.name) \(kind.form == .quota && amount == .count(-1) ? "all" : amount.text)" }

  package var count: Int? {
    if case .count(let count) = amount { count } else { nil }
  }

  /// Whether it has the same effect as no rule.
  var isNothing: Bool {
    switch amount {
    case .count(let count): kind.form == .quota && count == 0
    case .span(let span): span.isZero
    case .tags(let lists): lists.isEmpty
    }
  }
}

/// The rules for what to keep, with restic's names if restic has the rule. A point stays if any
/// rule keeps it.
///
/// Counts are at least 1; -1 keeps all, and 0 has the same effect as no rule. Spans count from the
/// newest point, not from now.
///
/// ```swift
/// var rules = RetentionRules()
/// rules.keepDaily = 30
/// rules.keepMonthly = 12
/// rules.keepTags = [["release"]]
/// try await service.cleanUp(by: RetentionPolicy(rules))
/// ```
public struct RetentionRules: Hashable, Sendable {
  /// The rules that are set, one of each kind, in the order of ``KeepRule/Kind/all``.
  package private(set) var list: [KeepRule] = []

  /// Without a rule: nothing is removed.
  public init() {}

  /// The amount of a rule; nil if the rule is not set.
  package subscript(_ kind: KeepRule.Kind) -> KeepRule.Amount? {
    get { list.first { $0.kind == kind }?.amount }
    set {
      list = KeepRule.Kind.all.compactMap { other in
        (other == kind ? newValue : self[other]).map { KeepRule(kind: other, amount: $0) }
      }
    }
  }

  private subscript(count kind: KeepRule.Kind) -> Int? {
    get { if case .count(let count)? = self[kind] { count } else { nil } }
    set { self[kind] = newValue.map { .count($0) } }
  }

  private subscript(span kind: KeepRule.Kind) -> CalendarSpan? {
    get { if case .span(let span)? = self[kind] { span } else { nil } }
    set { self[kind] = newValue.map { .span($0) } }
  }
}

// The rules by name.
extension RetentionRules {
  /// Number of the newest points to keep.
  public var keepLast: Int? {
    get { self[count: .last] }
    set { self[count: .last] = newValue }
  }
  /// Number of hours with points of which to keep the last one.
  public var keepHourly: Int? {
    get { self[count: .each(.hour)] }
    set { self[count: .each(.hour)] = newValue }
  }
  /// Number of days with points of which to keep the last one.
  public var keepDaily: Int? {
    get { self[count: .each(.day)] }
    set { self[count: .each(.day)] = newValue }
  }
  /// Number of weeks (Monday to Sunday) with points of which to keep the last one.
  public var keepWeekly: Int? {
    get { self[count: .each(.week)] }
    set { self[count: .each(.week)] = newValue }
  }
  /// Number of months with points of which to keep the last one.
  public var keepMonthly: Int? {
    get { self[count: .each(.month)] }
    set { self[count: .each(.month)] = newValue }
  }
  /// Number of years with points of which to keep the last one.
  public var keepYearly: Int? {
    get { self[count: .each(.year)] }
    set { self[count: .each(.year)] = newValue }
  }
  /// Keeps every point of this span before the newest.
  public var keepWithin: CalendarSpan? {
    get { self[span: .within(nil)] }
    set { self[span: .within(nil)] = newValue }
  }
  /// Keeps the last point of each hour of this span before the newest.
  public var keepWithinHourly: CalendarSpan? {
    get { self[span: .within(.hour)] }
    set { self[span: .within(.hour)] = newValue }
  }
  /// Keeps the last point of each day of this span before the newest.
  public var keepWithinDaily: CalendarSpan? {
    get { self[span: .within(.day)] }
    set { self[span: .within(.day)] = newValue }
  }
  /// Keeps the last point of each week of this span before the newest.
  public var keepWithinWeekly: CalendarSpan? {
    get { self[span: .within(.week)] }
    set { self[span: .within(.week)] = newValue }
  }
  /// Keeps the last point of each month of this span before the newest.
  public var keepWithinMonthly: CalendarSpan? {
    get { self[span: .within(.month)] }
    set { self[span: .within(.month)] = newValue }
  }
  /// Keeps the last point of each year of this span before the newest.
  public var keepWithinYearly: CalendarSpan? {
    get { self[span: .within(.year)] }
    set { self[span: .within(.year)] = newValue }
  }
  /// Keeps points that have all the tags of one of these lists; an empty list is for points without tags.
  public var keepTags: [[String]] {
    get { if case .tags(let lists)? = self[.tag] { lists } else { [] } }
    set { self[.tag] = newValue.isEmpty ? nil : .tags(newValue) }
  }
  /// Days, counted from now, for which a point is kept; at least 1.
  public var retentionDays: Int? {
    get { self[count: .days] }
    set { self[count: .days] = newValue }
  }
  /// Maximum number of points that ``keepLast`` and ``retentionDays`` may keep; at least 1. If
  /// neither is set, it keeps that number itself.
  public var maxBackups: Int? {
    get { self[count: .ceiling] }
    set { self[count: .ceiling] = newValue }
  }
}

// The properties that the policy reads.
extension RetentionRules {
  /// The rules that depend on the calendar and have an effect.
  var calendar: [KeepRule] { list.filter { $0.kind.isOfCalendar && !$0.isNothing } }

  /// ``keepLast``, unless it is 0.
  var last: Int? { keepLast == 0 ? nil : keepLast }

  /// Whether fulls are counted.
  var counts: Bool { last != nil || retentionDays != nil || maxBackups != nil }

  /// Whether no rule has an effect: nothing is removed then.
  package var isEmpty: Bool { list.allSatisfy(\.isNothing) }

  /// A rule whose amount makes no sense, as text. `keep 0` alone would remove everything.
  var invalidRule: String? {
    func first(_ form: KeepRule.Form, where isWrong: (Int) -> Bool) -> KeepRule? {
      list.first { $0.kind.form == form && isWrong($0.count ?? 1) }
    }
    if let rule = first(.count, where: { $0 <= 0 }) {
      return "\(rule.kind.name) must be at least 1, not \(rule.amount.text)"
    }
    if let rule = first(.quota, where: { $0 < -1 || ($0 == 0 && isEmpty) }) {
      let name = rule.kind == .last ? "keep" : rule.kind.name
      return "\(name) must be at least 1, or -1 for all, not \(rule.amount.text)"
    }
    return nil
  }
}
