/// The point that stands for a moment: the newest that is not after it.
package struct PointByTime: Hashable, Sendable {
  package let id: PointID
  package let created: Timestamp
  /// The moment that was asked for.
  package let moment: Timestamp
  /// What to know of the choice; lower case, no full stop.
  package let warnings: [String]
  private let zone: ZoneRules

  /// Milliseconds from the point to the moment.
  package var behind: Int64 {
    // A forged header may say any time.
    let (distance, overflow) = moment.milliseconds.subtractingReportingOverflow(created.milliseconds)
    return overflow ? .max : distance
  }

  /// - Parameters:
  ///   - points: every point, in the order in which they were stored.
  ///   - zone: whose clocks the words go by.
  /// - Throws: `pointNotFound` where every sound point is later.
  package static func choose(
    _ points: [Point], notAfter moment: Timestamp, zone: ZoneRules, now: Timestamp
  ) throws(HoldfastError) -> PointByTime {
    let sound = points.filter { $0.obstacle == nil }
    let past = sound.filter { $0.created <= moment }
    // Of two with the same time, the one that was stored later.
    guard let newest = past.map(\.created).max(), let chosen = past.last(where: { $0.created == newest }) else {
      throw nothing(sound, of: points.count, moment, zone)
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
    _ sound: [Point], of count: Int, _ moment: Timestamp, _ zone: ZoneRules
  ) -> HoldfastError {
    let asked = "\(zone.wallClock(moment)) \(zone.offsetText(at: moment))"
    guard let oldest = sound.min(by: { $0.created < $1.created }) else { return .noSoundPoint(of: count) }
    let own = "\(zone.wallClock(oldest.created)) \(zone.offsetText(at: oldest.created))"
    return HoldfastError(
      .pointNotFound, "there is no backup of \(asked) or before: the oldest is \(oldest.id) of \(own)",
      hint: "name a later time, or that ID; holdfast list shows what there is")
  }

  /// Points that are nearer to the moment and are not chosen.
  private static func passedOver(_ points: [Point], _ chosen: Point, _ moment: Timestamp) -> [String] {
    let nearer = points.filter { $0.obstacle != nil && $0.created > chosen.created && $0.created <= moment }
    let shown = nearer.reversed().prefix(3).map { "\($0.id) is nearer and was passed over: \($0.obstacle ?? "")" }
    return shown + (nearer.count > 3 ? ["\(nearer.count - 3) more points were passed over"] : [])
  }

  /// The clock was set: the order of times is not the order in which points were stored.
  private static func doubts(
    _ past: [Point], _ chosen: Point, _ suspects: Set<PointID>
  ) -> [String] {
    var warnings: [String] = []
    if suspects.contains(chosen.id) {
      warnings.append("the clock was set back before \(chosen.id) was stored: its time is not to be relied on")
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
  /// How far two times are apart, to two units: `250 ms`, `2 s`, `1 min 30 s`, `3 h 5 min`, `2 days 4 h`.
  static func distance(milliseconds: Int64) -> String {
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
  /// What is said where any sound point would do, and there is none.
  ///
  /// - Parameter count: of all points.
  package static func noSoundPoint(of count: Int) -> HoldfastError {
    guard count > 0 else {
      return HoldfastError(.pointNotFound, "there is no backup yet", hint: "holdfast create makes one")
    }
    return HoldfastError(
      .pointNotFound,
      count == 1
        ? "the only backup cannot stand for the database" : "none of the \(count) backups can stand for the database",
      hint: "holdfast list shows what is wrong with each, and which was made before a restore; an ID names any of them")
  }
}

extension Point {
  /// The newest of the backups that cannot be read now and might be meant instead of the chosen one.
  ///
  /// - Parameters:
  ///   - points: every one, in the order in which they were stored. One of which the number is not known is anywhere.
  ///   - chosen: nil if there is none to choose.
  ///   - moment: the time that was asked for; nil for the newest.
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
  /// Which times are not to be relied on: earlier than one that came before, or still to come. The clock was set in between.
  ///
  /// All that a clock which was set back stamps is in doubt until it has caught up, not just the first of it. A time to come
  /// makes none of the following suspect: whoever forges one must not stop removal by age for ever.
  ///
  /// - Parameter self: when points were made, in the order in which they were stored.
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
