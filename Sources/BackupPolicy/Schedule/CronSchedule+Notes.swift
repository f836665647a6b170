extension CronSchedule {
  /// What a change of the clocks does to a run; nil where it does nothing.
  ///
  /// - Parameters:
  ///   - run: as ``next(after:in:)`` gave it.
  ///   - previous: what that was asked with.
  package func note(on run: Timestamp, after previous: Timestamp, in zone: ZoneRules) -> String? {
    skipped(before: run, after: previous, in: zone) ?? repeated(run, in: zone)
  }

  private func skipped(before run: Timestamp, after previous: Timestamp, in zone: ZoneRules) -> String? {
    var time = previous
    while let change = zone.nextChange(after: time), change.instant <= run {
      time = change.instant
      let gap = change.instant.adding(seconds: Int64(change.before))
      let end = change.instant.adding(seconds: Int64(change.after))
      guard gap < end, let missed = pattern.firstMatch(notBefore: gap), missed < end else { continue }
      let clocks = Self.jump(from: gap, to: end)
      if !namesTimesOfDay { return "\(clocks) before it, and what falls between is left out" }
      if run == change.instant { return "\(clocks): \(ZoneRules.utc.clock(missed)) is skipped and runs now" }
    }
    return nil
  }

  /// Wall times; with their dates where a day is skipped.
  private static func jump(from gap: Timestamp, to end: Timestamp) -> String {
    let utc = ZoneRules.utc
    if gap.civil.day == end.civil.day { return "the clocks go from \(utc.clock(gap)) to \(utc.clock(end))" }
    return "the clocks go from \(utc.date(gap)) \(utc.clock(gap)) to \(utc.date(end)) \(utc.clock(end))"
  }

  private func repeated(_ run: Timestamp, in zone: ZoneRules) -> String? {
    let instants = zone.instants(ofWall: zone.wall(run))
    guard instants.count > 1, let index = instants.firstIndex(of: run) else { return nil }
    let time = zone.clock(run)
    if namesTimesOfDay { return "\(time) comes twice; it runs the first time" }
    return index == 0 ? "\(time) comes twice: the first" : "\(time) comes twice: the second"
  }
}
