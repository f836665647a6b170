extension RetentionRules {
  /// Which lists of ``keepTags`` a point fits, in words.
  func tags(of point: RetentionPoint) -> [String] {
    let fitting = keepTags.filter { list in
      list.isEmpty ? point.tags.isEmpty : list.allSatisfy(point.tags.contains)
    }
    return fitting.map { $0.isEmpty ? "has no tags (keep_tag)" : "has tags \($0.joined(separator: ",")) (keep_tag)" }
  }
}

/// What the rules of the calendar say, point by point. The rules are restic's (`forget`, since its version 0.16): from the newest point to
/// the oldest, each rule keeps the first point that it meets of each hour, day and so on, until its count is used up; and the
/// oldest point, while it is not used up, so that a young repository keeps its whole length.
struct CalendarReading {
  /// By position: why a point stays, a reason for each rule that keeps it.
  private(set) var keep: [Int: [String]] = [:]
  /// By position: why a point goes, where no rule keeps it.
  private(set) var remove: [Int: [String]] = [:]

  /// - Parameters:
  ///   - rules: the rules, which each look for themselves.
  ///   - seen: the positions of the points that they see, the oldest first.
  init(_ rules: [KeepRule], _ points: [RetentionPoint], seen: [Int], _ zone: ZoneRules) {
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

/// One rule on its way from the newest point to the oldest.
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
    switch rule.extent {
    case .count(let count): (since, left) = (nil, count)
    case .within(let span): (since, left) = (span.before(newest, in: zone), -1)
    }
  }

  mutating func meet(_ time: Timestamp, wall: Timestamp, isOldest: Bool) -> Answer {
    if let since, time <= since { return .pass("older than \(rule.name)") }
    guard left != 0 else { return .pass("beyond \(rule.name)") }
    guard let unit = rule.unit else { return .keep("close to the newest (\(rule.name))") }
    let number = unit.number(wall)
    let isFirstMet = number != last
    guard isFirstMet || isOldest else { return .pass("not the last of its \(unit.rawValue) (\(rule.name))") }
    last = number
    if left > 0 { left -= 1 }
    return .keep(isFirstMet ? "the last of its \(unit.rawValue) (\(rule.name))" : "the oldest (\(rule.name))")
  }
}

extension KeepRule.Unit {
  /// Equal for times of one hour, day, week, month or year of the wall's calendar; an hour that is shown twice is one.
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
