@testable import BackupPolicy

/// Zones written by hand, so that these tests need no zone files.
enum ZoneSamples {
  /// A zone from the one rule that applies in all years.
  static func zone(_ name: String, _ rule: String) throws -> ZoneRules {
    guard let posix = PosixZone(rule) else { throw HoldfastError(.failed, "not a rule: \(rule)") }
    return ZoneRules(name: name, firstOffset: 0, transitions: [], rule: posix)
  }

  /// A zone with changes at the given instants (RFC 3339) and none after them.
  static func zone(_ name: String, from offset: Int, _ changes: [(String, Int)]) -> ZoneRules {
    let transitions = changes.compactMap { text, offset in
      Timestamp(iso8601: text).map { ZoneRules.Transition(instant: $0.milliseconds / 1000, offset: offset) }
    }
    return ZoneRules(name: name, firstOffset: offset, transitions: transitions, rule: nil)
  }

  static func named(_ name: String) throws -> ZoneRules {
    switch name {
    case "UTC": .utc
    case "Europe/Berlin": try zone(name, "CET-1CEST,M3.5.0,M10.5.0/3")
    case "America/New_York": try zone(name, "EST5EDT,M3.2.0,M11.1.0")
    case "Australia/Sydney": try zone(name, "AEST-10AEDT,M10.1.0,M4.1.0/3")
    // Half an hour of daylight saving.
    case "Australia/Lord_Howe": try zone(name, "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0")
    // Both changes at midnight: days that begin at one o'clock, and days that show 23 o'clock twice.
    case "Asia/Beirut": try zone(name, "EET-2EEST,M3.5.0/0,M10.5.0/0")
    case "America/Sao_Paulo":
      zone(name, from: -10800, [("2017-10-15T03:00:00Z", -7200), ("2018-02-18T02:00:00Z", -10800)])
    // A whole day was skipped.
    case "Pacific/Apia": zone(name, from: -36000, [("2011-12-30T10:00:00Z", 50400)])
    // Winter time is the exception, and moves back by an hour.
    case "Europe/Dublin": try zone(name, "IST-1GMT0,M10.5.0,M3.5.0/1")
    // An hour less during Ramadan.
    case "Africa/Casablanca":
      zone(name, from: 3600, [("2026-02-15T02:00:00Z", 0), ("2026-03-22T02:00:00Z", 3600)])
    case "Asia/Kathmandu": try zone(name, "<+0545>-5:45")
    // Local mean time, then whole hours: offsets with seconds.
    case "Africa/Monrovia": zone(name, from: -2670, [("1972-01-07T00:44:30Z", 0)])
    default: throw HoldfastError(.failed, "no such sample: \(name)")
    }
  }
}

extension CronSchedule {
  /// The runs after a time, by the clocks of the zone.
  func runs(_ count: Int, after time: String, in zone: ZoneRules) throws -> [String] {
    var time = try zone.time(time, name: "test")
    return (0..<count).compactMap { _ in
      guard let next = next(after: time, in: zone) else { return nil }
      time = next
      return zone.text(next)
    }
  }
}
