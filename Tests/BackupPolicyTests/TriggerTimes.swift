@testable import BackupPolicy

/// Times and zones of the trigger tests.
enum TriggerTimes {
  static let minute: Int64 = 60000
  static let hour: Int64 = 60 * minute
  static let day: Int64 = 24 * hour

  static let berlin = zone("Europe/Berlin", "CET-1CEST,M3.5.0,M10.5.0/3")
  static let lordHowe = zone("Australia/Lord_Howe", "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0")

  private static func zone(_ name: String, _ rule: String) -> ZoneRules {
    ZoneRules(name: name, firstOffset: 0, transitions: [], rule: PosixZone(rule))
  }

  /// `2026-11-23 01:30:00`, UTC.
  static func utc(_ text: String) -> Timestamp {
    Timestamp(iso8601: text) ?? Timestamp(milliseconds: .min)
  }

  static func schedules(_ texts: [String]) throws -> [CronSchedule] { try texts.map { try CronSchedule($0) } }
}
