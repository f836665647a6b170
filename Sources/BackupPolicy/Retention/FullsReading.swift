/// The results of `keep`, `retention_days` and `max_backups` for fulls, and the removal by age of
/// fulls that do not count.
struct FullsReading {
  private(set) var keep: [Int: [String]] = [:]
  private(set) var remove: [Int: [String]] = [:]
  private let rules: RetentionRules
  private let time: Timestamp

  /// Seconds for which all fulls of a changed database stay, before only the last of each hour
  /// does.
  private static let every: Int64 = 3600
  private static let oneAnHour: Int64 = 86400

  init(_ rules: RetentionRules, _ points: [Point], _ zone: ZoneRules, now: Timestamp) {
    self.rules = rules
    time = now
    // The newest first: `rank` is the number that keep and max_backups count.
    let fulls = points.indices.reversed().filter { points[$0].kind == .full && points[$0].isHistory }
    let counted = Self.counted(fulls, points, zone)
    if rules.counts { count(fulls.filter(counted.contains), points) }
    thin(fulls.filter { points[$0].type == .change }, counted, points, zone)
  }

  /// The requested fulls, and on a day without them the last one.
  private static func counted(_ fulls: [Int], _ points: [Point], _ zone: ZoneRules) -> Set<Int> {
    func day(_ position: Int) -> Int64 {
      zone.wall(points[position].created).milliseconds.flooredQuotient(by: 86_400_000)
    }
    let asked = fulls.filter { points[$0].type != .change }
    var days = Set(asked.map(day))
    return Set(asked + fulls.filter { points[$0].type == .change && days.insert(day($0)).inserted })
  }

  private mutating func count(_ counted: [Int], _ points: [Point]) {
    var staying = 0
    for (rank, position) in counted.enumerated() {
      let (keep, remove) = reasons(points[position], rank: rank)
      if keep.isEmpty {
        self.remove[position] = remove
      } else if let maxBackups = rules.maxBackups, staying >= maxBackups {
        self.remove[position] = ["beyond max_backups \(maxBackups)"]
      } else {
        staying += 1
        self.keep[position] = keep
      }
    }
  }

  /// Reasons of the rules that keep this point, and of those that do not; `maxBackups` is applied
  /// later.
  private func reasons(_ point: Point, rank: Int) -> (keep: [String], remove: [String]) {
    var (keep, remove): ([String], [String]) = ([], [])
    if let last = rules.last {
      if last < 0 {
        keep.append("keep all")
      } else if rank < last {
        keep.append("among the newest \(last)")
      } else {
        remove.append("beyond keep \(last)")
      }
    }
    if let days = rules.retentionDays {
      if let reason = youth(point, days) { keep.append(reason) } else { remove.append("older than \(days) days") }
    }
    if rules.last == nil, rules.retentionDays == nil, let maxBackups = rules.maxBackups {
      keep.append("within max_backups \(maxBackups)")
    }
    return (keep, remove)
  }

  /// The reason for which `retention_days` keeps a point; nil if it does not.
  private func youth(_ point: Point, _ days: Int) -> String? {
    guard point.isOlder(than: Int64(days).multipliedClamped(by: 86400), now: time) else {
      return "younger than \(days) days"
    }
    return point.clockSuspect ? RetentionPolicy.doubtfulAge : nil
  }

  /// Fulls of changes that stay for a while, counted or not; the removal of others of the same day
  /// must not affect them.
  private mutating func thin(_ changes: [Int], _ counted: Set<Int>, _ points: [Point], _ zone: ZoneRules) {
    var hour: Int64?
    for position in changes {
      let point = points[position]
      let number = zone.wall(point.created).milliseconds.flooredQuotient(by: 3_600_000)
      let reason = recency(point, isLastOfHour: number != hour) ?? (counted.contains(position) ? nil : age(point))
      if let reason {
        keep[position, default: []].append(reason)
      } else if !counted.contains(position) {
        remove[position] = ["a full of a change does not count if its day has a later or a requested one"]
      }
      if !point.clockSuspect { hour = number }
    }
  }

  private func recency(_ point: Point, isLastOfHour: Bool) -> String? {
    guard !point.clockSuspect else { return nil }
    if !point.isOlder(than: Self.every, now: time) {
      return "a change younger than \(Words.duration(seconds: Self.every))"
    }
    guard isLastOfHour, !point.isOlder(than: Self.oneAnHour, now: time) else { return nil }
    return "the last change of its hour, and younger than \(Words.duration(seconds: Self.oneAnHour))"
  }

  /// `retention_days` applies to every full, even if it is not counted.
  private func age(_ point: Point) -> String? {
    if point.clockSuspect { return RetentionPolicy.doubtfulAge }
    return rules.retentionDays.flatMap { youth(point, $0) }
  }
}
