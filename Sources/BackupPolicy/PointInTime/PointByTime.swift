/// The point for a moment: the newest that is not after it.
package struct PointByTime: Hashable, Sendable {
  package let id: PointID
  package let created: Timestamp
  /// The requested moment.
  package let moment: Timestamp
  /// Warnings about the choice; lower case, no full stop.
  package let warnings: [String]
  private let zone: ZoneRules

  /// Milliseconds from the point to the moment.
  package var behind: Int64 {
    // A forged header may hold any time.
    let (distance, overflow) = moment.milliseconds.subtractingReportingOverflow(created.milliseconds)
    return overflow ? .max : distance
  }

  /// - Parameters:
  ///   - points: every point, in the order in which they were stored.
  ///   - zone: the zone in which the text shows times.
  /// - Throws: `pointNotFound` if every sound point is later.
  package static func choose(
    _ points: [Point], notAfter moment: Timestamp, zone: ZoneRules, now: Timestamp
  ) throws(HoldfastError) -> PointByTime {
    let sound = points.filter { $0.obstacle == nil }
    let past = sound.filter { $0.created <= moment }
    // If two have the same time, the one that was stored later.
    guard let newest = past.map(\.created).max(), let chosen = past.last(where: { $0.created == newest }) else {
      throw nothing(sound, of: points, moment, zone)
    }
    let suspects = Set(zip(points, points.map(\.created).clockSuspects(now: now)).filter(\.1).map(\.0.id))
    return PointByTime(
      id: chosen.id, created: chosen.created, moment: moment,
      warnings: passedOver(points, chosen, moment) + doubts(past, chosen, suspects), zone: zone)
  }

  /// `backup_20261122_130258 of 2026-11-22 14:02:58, 2 s before 14:03:00 +01:00`
  package var words: String {
    let sameDay = zone.date(created) == zone.date(moment)
    let sameOffset = zone.offset(at: created) == zone.offset(at: moment)
    let own = "\(zone.wallClock(created))\(sameOffset ? "" : " \(zone.offsetText(at: created))")"
    let asked = sameDay && sameOffset ? zone.clock(moment, seconds: true) : zone.wallClock(moment)
    let distance = behind == 0 ? "exactly" : "\(Words.distance(milliseconds: behind)) before"
    return "\(id) of \(own), \(distance) \(asked) \(zone.offsetText(at: moment))"
  }

  private static func nothing(
    _ sound: [Point], of points: [Point], _ moment: Timestamp, _ zone: ZoneRules
  ) -> HoldfastError {
    let asked = "\(zone.wallClock(moment)) \(zone.offsetText(at: moment))"
    guard let oldest = sound.min(by: { $0.created < $1.created }) else { return .noSoundPoint(among: points) }
    let own = "\(zone.wallClock(oldest.created)) \(zone.offsetText(at: oldest.created))"
    return HoldfastError(
      .pointNotFound, "there is no backup of \(asked) or before: the oldest is \(oldest.id) of \(own)",
      hint: "name a later time, or that ID; holdfast list shows the existing backups")
  }

  /// Points that are nearer to the moment but were not chosen.
  private static func passedOver(_ points: [Point], _ chosen: Point, _ moment: Timestamp) -> [String] {
    let nearer = points.filter { $0.obstacle != nil && $0.created > chosen.created && $0.created <= moment }
    let shown = nearer.reversed().prefix(3).map { "\($0.id) is nearer and was skipped: \($0.obstacle ?? "")" }
    return shown + (nearer.count > 3 ? ["\(nearer.count - 3) more backups were skipped"] : [])
  }

  /// The clock was set: the order of times differs from the order in which points were stored.
  private static func doubts(
    _ past: [Point], _ chosen: Point, _ suspects: Set<PointID>
  ) -> [String] {
    var warnings: [String] = []
    if suspects.contains(chosen.id) {
      warnings.append("the clock was set back before \(chosen.id) was stored: its time is not reliable")
    }
    guard let place = past.firstIndex(of: chosen) else { return warnings }
    let later = past[(place + 1)...].filter { suspects.contains($0.id) }
    guard let last = later.last else { return warnings }
    let others = later.count > 1 ? " and \(later.count - 1) more" : ""
    warnings.append(
      "the clock was set back: \(last.id)\(others) \(later.count > 1 ? "were" : "was") stored later than \(chosen.id), with an earlier time"
    )
    return warnings
  }
}

extension ZoneRules {
  /// Date and time of day to the second: `2026-11-22 14:02:58`.
  package func wallClock(_ time: Timestamp) -> String { "\(date(time)) \(clock(time, seconds: true))" }
}

extension Words {
  /// The distance between two times, to two units: `250 ms`, `2 s`, `1 min 30 s`, `3 h 5 min`,
  /// `2 days 4 h`.
  package static func distance(milliseconds: Int64) -> String {
    guard milliseconds >= 1000 else { return "\(milliseconds) ms" }
    let seconds = milliseconds.addingClamped(500) / 1000
    let units: [(Int64, String)] = [(86400, "day"), (3600, "h"), (60, "min"), (1, "s")]
    guard let first = units.firstIndex(where: { seconds >= $0.0 }) else { return "0 s" }
    let parts = units[first...].prefix(2).enumerated().compactMap { index, unit -> String? in
      let count = (index == 0 ? seconds : seconds % units[first].0) / unit.0
      guard count > 0 else { return nil }
      return "\(count) \(unit.1)\(unit.1 == "day" && count > 1 ? "s" : "")"
    }
    return parts.joined(separator: " ")
  }
}

extension HoldfastError {
  /// The error if there is no sound point to choose. If some are damaged, it names the newest of
  /// them and its defect.
  package static func noSoundPoint(among points: [Point]) -> HoldfastError {
    var error = noSoundPoint(of: points.count)
    guard let damaged = points.last(where: { $0.status == .failed }) else { return error }
    error.code = .verificationFailed
    error.message += (points.count == 1 ? ": " : "; the newest damaged one is ") + damaged.id.text
    if let obstacle = damaged.obstacle { error.message += ": \(obstacle)" }
    error.hint = "holdfast list shows the reason for each; holdfast verify \(damaged.id) checks that one again"
    return error
  }

  /// The error if there is no sound point to choose.
  ///
  /// - Parameter count: of all points.
  package static func noSoundPoint(of count: Int) -> HoldfastError {
    guard count > 0 else {
      return HoldfastError(.pointNotFound, "there is no backup yet", hint: "make one with holdfast create")
    }
    return HoldfastError(
      .pointNotFound,
      count == 1
        ? "the only backup cannot be used" : "none of the \(count) backups can be used",
      hint: "holdfast list shows the reason for each; use an ID to choose any of them")
  }
}

extension Point {
  /// The newest of the backups that cannot be read now and might be the intended one instead of the
  /// chosen one.
  ///
  /// - Parameters:
  ///   - points: all of them, in the order in which they were stored. A point without a known
  ///     number may be anywhere.
  ///   - chosen: nil if there is no point to choose.
  ///   - moment: the requested time; nil for the newest.
  package static func hidden(
    _ points: [Point], after chosen: PointID?, notAfter moment: Timestamp?
  ) -> PointID? {
    let place = points.firstIndex { $0.id == chosen }
    return points.indices.last { index in
      let point = points[index]
      guard point.isUnreadable, index != place, moment.map({ point.created <= $0 }) ?? true else { return false }
      guard let place else { return true }
      let isLaterByTime = point.created >= points[place].created
      if moment != nil { return isLaterByTime }
      return index > place || point.sequence == nil && isLaterByTime
    }.map { points[$0].id }
  }
}

extension Sequence<Timestamp> {
  /// The times that are unreliable, because the clock was set in between: earlier than a preceding
  /// one, or in the future.
  ///
  /// After a clock was set back, all its times are in doubt until it has caught up, not just the
  /// first one. A time in the future makes no later time suspect: a forged one must not stop
  /// removal by age for ever.
  ///
  /// - Parameter self: the times of points, in the order in which they were stored.
  /// - Returns: by position.
  package func clockSuspects(now: Timestamp) -> [Bool] {
    var latest = Timestamp(milliseconds: .min)
    // Two machines' clocks may differ by a minute.
    let toCome = now.adding(seconds: 60)
    return map { time in
      guard time <= toCome else { return true }
      defer { latest = Swift.max(latest, time) }
      return time < latest
    }
  }
}
