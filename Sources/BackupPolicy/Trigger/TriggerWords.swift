extension Words {
  /// A wall time for a person in that zone: `02:00`, and on another day than `now` with its date.
  static func time(_ time: Timestamp, in zone: ZoneRules, seenFrom now: Timestamp) -> String {
    let local = zone.local(time)
    let today = zone.local(now)
    let clock = "\(local.hour.padded(2)):\(local.minute.padded(2))"
    if (local.year, local.month, local.day) == (today.year, today.month, today.day) { return clock }
    return "\(local.year.padded(4))-\(local.month.padded(2))-\(local.day.padded(2)) \(clock)"
  }

  /// `1 run`, `3 runs`, `more than 100 runs`.
  static func runs(_ count: Int) -> String {
    if count > Timetable.countLimit { return "more than \(Timetable.countLimit) runs" }
    return count == 1 ? "1 run" : "\(count) runs"
  }

  /// A duration in whole minutes.
  static func minutes(milliseconds: Int64) -> String {
    duration(seconds: max(1, milliseconds / 60000) * 60)
  }
}
