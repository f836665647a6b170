extension RetentionRules {
  /// The lists of ``keepTags`` that a point matches, as text.
  func tags(of point: Point) -> [String] {
    let fitting = keepTags.filter { list in
      list.isEmpty ? point.tags.isEmpty : list.allSatisfy(point.tags.contains)
    }
    return fitting.map { $0.isEmpty ? "has no tags (keep_tag)" : "has tags \($0.joined(separator: ",")) (keep_tag)" }
  }
}

/// The results of the calendar rules for each point. The rules are restic's (`forget`, since its
/// version 0.16): from the newest point to the oldest, each rule keeps the first point of each
/// hour, day and so on, until its count is used up. If the count is not used up, it also keeps the
/// oldest point, so that a young repository keeps its whole length.
struct CalendarReading {
  /// By position: the reasons why a point is kept, one for each rule that keeps it.
  private(set) var keep: [Int: [String]] = [:]
  /// By position: the reasons why a point is removed, if no rule keeps it.
  private(set) var remove: [Int: [String]] = [:]

  /// - Parameters:
  ///   - rules: the rules, each applied independently.
  ///   - seen: the positions of the points to which they apply, the oldest first.
  init(_ rules: [KeepRule], _ points: [Point], seen: [Int], _ zone: ZoneRules) {
    guard let newest = seen.last else { return }
    let walls = seen.map { zone.wall(points[$0].created) }
    for rule in rules {
      var walk = RuleWalk(rule, newest: points[newest].created, zone)
      for (index, position) in seen.enumerated().reversed() {
        switch walk.meet(points[position].created, wall: walls[index], isOldest: index == 0) {
        case .keep(let reason): keep[position, default: []].append(reason)
        case .pass(let reason): remove[position, default: []].append(reason)
        }
      }
    }
  }
}

/// One rule while it goes from the newest point to the oldest.
private struct RuleWalk {
  enum Answer {
    case keep(String)
    case pass(String)
  }

  private let rule: KeepRule
  private let since: Timestamp?
  private var left: Int
  private var last: Int64?

  init(_ rule: KeepRule, newest: Timestamp, _ zone: ZoneRules) {
    self.rule = rule
    switch rule.amount {
    case .count(let count): (since, left) = (nil, count)
    case .span(let span): (since, left) = (span.before(newest, in: zone), -1)
    // Tags do not depend on the calendar.
    case .tags: (since, left) = (nil, 0)
    }
  }

  mutating func meet(_ time: Timestamp, wall: Timestamp, isOldest: Bool) -> Answer {
    if let since, time <= since { return .pass("older than \(rule.name)") }
    guard left != 0 else { return .pass("beyond \(rule.name)") }
    guard let unit = rule.kind.unit else { return .keep("close to the newest (\(rule.name))") }
    let number = unit.number(wall)
    let isFirstMet = number != last
    guard isFirstMet || isOldest else { return .pass("not the last of its \(unit.rawValue) (\(rule.name))") }
    last = number
    if left > 0 { left -= 1 }
    return .keep(isFirstMet ? "the last of its \(unit.rawValue) (\(rule.name))" : "the oldest (\(rule.name))")
  }
}

extension KeepRule.Unit {
  /// Equal for times of the same hour, day, week, month or year of the local calendar; an hour that
  /// the clocks show twice counts once.
  fileprivate func number(_ wall: Timestamp) -> Int64 {
    let day = wall.milliseconds.flooredQuotient(by: 86_400_000)
    return switch self {
    case .hour: wall.milliseconds.flooredQuotient(by: 3_600_000)
    case .day: day
    // 1970-01-01 was a Thursday.
    case .week: (day + 3).flooredQuotient(by: 7)
    case .month: Int64(wall.civil.year * 12 + wall.civil.month)
    case .year: Int64(wall.civil.year)
    }
  }
}

/// A span of the calendar, as restic writes it: `1y5m7d2h` is a year, five months, seven days and
/// two hours.
///
/// The length of a year or a month depends on the start.
///
/// ```swift
/// var policy = RetentionPolicy()
/// policy.keepWithin = CalendarSpan(days: 2, time: .seconds(12 * 3600))
/// policy.keepWithinDaily = CalendarSpan(months: 1)
/// ```
public struct CalendarSpan: Hashable, Sendable {
  /// Years.
  public var years: Int
  /// Months.
  public var months: Int
  /// Days of the calendar; clock changes make them longer or shorter.
  public var days: Int
  /// Hours and less, in whole milliseconds.
  public var time: Duration

  /// - Parameters:
  ///   - years: years.
  ///   - months: months.
  ///   - days: days of the calendar.
  ///   - time: hours and less.
  public init(years: Int = 0, months: Int = 0, days: Int = 0, time: Duration = .zero) {
    self.years = years
    self.months = months
    self.days = days
    self.time = time
  }

  /// Whether the span is zero.
  public var isZero: Bool { years == 0 && months == 0 && days == 0 && time == .zero }
}

extension CalendarSpan {
  /// Reads numbers with units: `y`, `m` (months), `w` (seven days), `d`, `h`, `min` and `s`; each
  /// unit once, in any order. Returns nil if the text has another form or a number exceeds a
  /// million.
  package init?(_ text: String) {
    var rest = Substring(text)
    var seen: Set<Substring> = []
    self.init()
    while !rest.isEmpty {
      let digits = rest.prefix { $0.isASCII && $0.isNumber }
      rest = rest.dropFirst(digits.count)
      let unit = rest.prefix { $0.isASCII && $0.isLetter }
      rest = rest.dropFirst(unit.count)
      guard let number = Int(digits), number <= Self.largest, seen.insert(unit).inserted, add(number, unit) else {
        return nil
      }
    }
    guard !seen.isEmpty else { return nil }
  }

  private static let largest = 1_000_000

  private mutating func add(_ number: Int, _ unit: Substring) -> Bool {
    switch unit {
    case "y": years += number
    case "m": months += number
    case "w": days += number * 7
    case "d": days += number
    case "h": time += .seconds(number * 3600)
    case "min": time += .seconds(number * 60)
    case "s": time += .seconds(number)
    default: return false
    }
    return true
  }

  /// The approximate number of days, with 30 for a month and 365 for a year; nil if that is not a
  /// whole number.
  package var wholeDays: Int? {
    guard milliseconds % 86_400_000 == 0, years <= Self.largest, months <= Self.largest, days <= Self.largest * 7 else {
      return nil
    }
    return years * 365 + months * 30 + days + Int(milliseconds / 86_400_000)
  }

  /// The written form: `1y5m7d2h`.
  package var text: String {
    let parts: [(Int64, String)] = [
      (Int64(years), "y"), (Int64(months), "m"), (Int64(days), "d"), (milliseconds / 3_600_000, "h"),
      (milliseconds % 3_600_000 / 60000, "min"), (milliseconds % 60000 / 1000, "s"), (milliseconds % 1000, "ms"),
    ]
    let text = parts.filter { $0.0 != 0 }.map { "\($0.0)\($0.1)" }.joined()
    return text.isEmpty ? "0d" : text
  }

  /// The time that is this span before another, by the clocks of a zone: first the date goes back
  /// while the time of day stays, then the seconds are subtracted. 31 March less a month is 3
  /// March, because there is no 31 February: the extra days are carried over.
  func before(_ time: Timestamp, in zone: ZoneRules) -> Timestamp {
    func bounded(_ number: Int) -> Int { min(max(number, -Self.largest), Self.largest) }
    let civil = zone.local(time)
    let month = (civil.year - bounded(years)) * 12 + civil.month - 1 - bounded(months)
    let year = month.flooredQuotient(by: 12)
    let first = CalendarMonth(year: year, month: month - year * 12 + 1).firstDay
    let day = first + Int64(civil.day - 1 - bounded(days))
    let timeOfDay = Int64(civil.hour * 3600 + civil.minute * 60 + civil.second) * 1000 + Int64(civil.millisecond)
    let wall = Timestamp(milliseconds: day.multipliedClamped(by: 86_400_000).addingClamped(timeOfDay))
    return instant(ofWall: wall, zone).adding(.milliseconds(milliseconds == .min ? .max : -milliseconds))
  }

  private var milliseconds: Int64 { time.wholeMilliseconds }

  /// In a gap or an overlap of the clocks, the one of the two answers that Go's `time.Date` gives, and so restic.
  private func instant(ofWall wall: Timestamp, _ zone: ZoneRules) -> Timestamp {
    let guess = zone.offset(at: wall)
    let offset = zone.offset(at: wall.adding(seconds: -Int64(guess)))
    return wall.adding(seconds: -Int64(offset))
  }
}
