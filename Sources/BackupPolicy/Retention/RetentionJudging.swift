extension RetentionPolicy {
  static var doubtfulAge: String { "its clock is suspect, so its age does not count" }

  /// How long a chain stays for its incrementals' sake where the calendar would remove it; seconds.
  private static let freshness: Int64 = 3600

  /// What the rules say, before anything is protected from them.
  func judge(_ points: [RetentionPoint], _ family: PointFamily, now: Timestamp) -> RetentionJudgement {
    var judgement = RetentionJudgement(count: points.count)
    guard !rules.isEmpty else {
      for position in points.indices { judgement.keep(position, "no rule is set") }
      return judgement
    }
    judgeByNumber(points, now: now, &judgement)
    judgeByTag(points, &judgement)
    let calendar = judgeByCalendar(points, family, &judgement)
    for position in points.indices where !points[position].isHistory {
      judgeApart(points[position], position, now: now, &judgement)
    }
    followFulls(points, family, calendar, now: now, &judgement)
    return judgement
  }

  private func judgeByNumber(_ points: [RetentionPoint], now: Timestamp, _ judgement: inout RetentionJudgement) {
    let reading = FullsReading(rules, points, zone, now: now)
    for (position, reasons) in reading.keep { for reason in reasons { judgement.keep(position, reason) } }
    for (position, reasons) in reading.remove { for reason in reasons { judgement.remove(position, reason) } }
  }

  private func judgeByTag(_ points: [RetentionPoint], _ judgement: inout RetentionJudgement) {
    guard !rules.keepTags.isEmpty else { return }
    for position in points.indices where points[position].isTrusted {
      let reasons = rules.tags(of: points[position])
      for reason in reasons { judgement.keep(position, reason) }
      if reasons.isEmpty { judgement.remove(position, "has not the tags (keep_tag)") }
    }
  }

  /// - Returns: the positions that a rule of the calendar keeps.
  private func judgeByCalendar(
    _ points: [RetentionPoint], _ family: PointFamily, _ judgement: inout RetentionJudgement
  ) -> Set<Int> {
    guard !rules.calendar.isEmpty else { return [] }
    let history = ruledByCalendar(points, family)
    for position in history where points[position].clockSuspect { judgement.keep(position, Self.doubtfulAge) }
    let (reading, seen) = readCalendar(points, family)
    for position in seen {
      if let reasons = reading.keep[position] {
        for reason in reasons { judgement.keep(position, reason) }
      } else {
        for reason in reading.remove[position] ?? [] { judgement.remove(position, reason) }
      }
    }
    return Set(reading.keep.keys)
  }

  /// What the rules of the calendar say, and the positions of the points that they see, the oldest first.
  func readCalendar(_ points: [RetentionPoint], _ family: PointFamily) -> (reading: CalendarReading, seen: [Int]) {
    let seen = ruledByCalendar(points, family).filter { !points[$0].clockSuspect }
    return (CalendarReading(rules.calendar, points, seen: seen, zone), seen)
  }

  private func ruledByCalendar(_ points: [RetentionPoint], _ family: PointFamily) -> [Int] {
    points.indices.filter { points[$0].isHistory && points[family.top[$0]].kind == "full" }
  }

  /// Points that no rule is about.
  private func judgeApart(
    _ point: RetentionPoint, _ position: Int, now: Timestamp, _ judgement: inout RetentionJudgement
  ) {
    if point.status == "failed" {
      judgement.remove(position, "failed")
    } else if point.status == "unauthenticated" {
      judgement.keep(position, "not authenticated: accept or delete it by hand")
    } else if point.isSafety {
      judgeSafety(point, position, now: now, &judgement)
    }
  }

  private func judgeSafety(
    _ point: RetentionPoint, _ position: Int, now: Timestamp, _ judgement: inout RetentionJudgement
  ) {
    let grace = Words.duration(seconds: safetyGrace)
    if !point.isOlder(than: safetyGrace, now: now) {
      judgement.keep(position, "\(point.type) backup younger than \(grace)")
    } else if point.clockSuspect {
      judgement.keep(position, Self.doubtfulAge)
    } else {
      judgement.remove(position, "\(point.type) backup older than \(grace)")
    }
  }

  /// Incrementals stay and go with their chains.
  private func followFulls(
    _ points: [RetentionPoint], _ family: PointFamily, _ calendar: Set<Int>, now: Timestamp,
    _ judgement: inout RetentionJudgement
  ) {
    // Nobody pins a full to lose what builds on it.
    var staying = Set(calendar.map { family.top[$0] } + points.indices.filter { points[$0].pinned })
    let followers = points.indices.filter { points[$0].followsItsFull }
    if !rules.calendar.isEmpty {
      let fresh = followers.filter { !points[$0].isOlder(than: Self.freshness, now: now) }
      staying.formUnion(fresh.map { family.top[$0] })
    }
    let ruled = Set(points.indices.filter { judgement.kept[$0] != nil })
    for position in followers where !ruled.contains(position) {
      let root = family.top[position]
      if points[root].kind != "full" {
        judgement.keep(position, "its chain has no full here: `holdfast verify` tells more")
      } else if ruled.contains(root) || staying.contains(root) {
        judgement.keep(position, "belongs to \(points[root].id), which stays")
      } else {
        judgement.remove(position, "belongs to \(points[root].id), which goes")
      }
    }
  }
}
