import FoundationEssentials
import TestSupport
import Testing

@testable import BackupEngine
@testable import BackupPolicy

/// Thousands of random schedules against Python. The results of the plain implementation must be
/// met exactly; if croniter differs, the reason must be one of those that are listed.
@Suite("Schedules as in Python", .ownThread)
struct CronOracleTests {
  @Test("The runs in UTC equal Python's")
  func calendars() throws {
    var differences: [CalendarDifference: Int] = [:]
    for example in try CronOracle.calendars(3000, seed: 1_971) {
      let schedule = try CronSchedule(example.schedule)
      let runs = schedule.runs(example.plain.count, after: example.after, .utc)
      try #require(runs == example.plain, "'\(example.schedule)' after \(example.after)")
      if example.plain.isEmpty {
        #expect(schedule.next(after: Timestamp(milliseconds: example.after * 1000), in: .utc) == nil)
      }
      guard runs != example.croniter else { continue }
      let reason = try #require(
        CalendarDifference.allCases.first { $0.explains(example.schedule) },
        "'\(example.schedule)' after \(example.after): croniter has \(example.croniter), not \(runs)")
      differences[reason, default: 0] += 1
    }
    #expect(Set(differences.keys) == Set(CalendarDifference.allCases), "\(differences)")
    print("croniter's calendar differs:", differences)
  }

  /// Reasons for other runs by croniter, in UTC.
  enum CalendarDifference: CaseIterable {
    /// It takes `5-5` for the whole range: 0-59. Here, as in Vixie cron, it is 5.
    case rangeOfOneValue
    /// It takes `7/2` for `0/2`, Sunday and every second day from there. Here it begins on 7, and
    /// no day follows 7.
    case stepFromSeven

    func explains(_ schedule: String) -> Bool {
      let fields = schedule.split(separator: " ")
      switch self {
      case .rangeOfOneValue:
        return fields.joined(separator: ",").split(separator: ",").contains { item in
          let ends = item.split(separator: "/")[0].split(separator: "-")
          return ends.count == 2 && ends[0] == ends[1]
        }
      case .stepFromSeven: return fields[4].split(separator: ",").contains { $0.hasPrefix("7/") }
      }
    }
  }

  @Test(
    "The runs beside clock changes equal Python's",
    .enabled(if: ZoneOracle.hasZoneFiles, "no zone files (apt install tzdata)"))
  func clockChanges() throws {
    var differences: [ClockDifference: Int] = [:]
    for example in try CronOracle.clockChanges(24, seed: 2_026, changes: Self.changes()) {
      let zone = try TimeZones.named(example.zone)
      let schedule = try CronSchedule(example.schedule)
      let runs = schedule.runs(from: example.first, through: example.last, zone)
      try #require(runs == example.plain, "'\(example.schedule)' in \(example.zone) around \(example.change)")
      if CalendarDifference.allCases.contains(where: { $0.explains(example.schedule) }) { continue }
      for run in Set(runs).symmetricDifference(example.croniter) {
        let reason = try #require(
          ClockDifference.allCases.first { $0.explains(run, ours: runs.contains(run), schedule, example) },
          "'\(example.schedule)' in \(example.zone) around \(example.change): \(run) is ours: \(runs.contains(run))")
        differences[reason, default: 0] += 1
      }
    }
    #expect(Set(differences.keys) == Set(ClockDifference.allCases), "\(differences)")
    print("croniter's changes of the clocks differ:", differences)
  }

  /// Reasons for additional or missing runs of croniter beside a change of the clocks.
  enum ClockDifference: CaseIterable {
    /// If a time of day is shown twice, it runs both times. Here, as in Vixie cron, a daily backup
    /// is made once.
    case secondTimeToo
    /// It leaves out the second showing of times that a rhythm fits if the repeated span is not one
    /// whole hour of the clock (Chatham 02:45–03:45). Here `*/5` continues every five minutes.
    case rhythmBroken
    /// At the end of a gap it makes up for runs that a rhythm within one hour lost there (`*/20 2 *
    /// * *`). Here, as in Vixie cron, only times of day are made up for.
    case rhythmMadeUpFor
    /// It leaves out a skipped time of day if it does not see a named hour: all of them are named
    /// (`0-23`).
    case skippedTimeLost

    func explains(_ run: Int64, ours: Bool, _ schedule: CronSchedule, _ example: CronOracle.ClockChange) -> Bool {
      let shift = example.after - example.before
      let shownAgain = shift < 0 && (example.change..<example.change - shift).contains(run)
      let endOfGap = shift > 0 && run == example.change
      return switch self {
      case .secondTimeToo: !ours && shownAgain && schedule.namesTimesOfDay
      case .rhythmBroken: ours && shownAgain && !schedule.namesTimesOfDay
      case .rhythmMadeUpFor: !ours && endOfGap && !schedule.namesTimesOfDay
      case .skippedTimeLost: ours && endOfGap && schedule.namesTimesOfDay && schedule.pattern.hours.count == 24
      }
    }
  }

  /// Two clock changes of each zone with special rules, all of them in whole minutes.
  private static func changes() throws -> [String: [Int64]] {
    var random = SeededGenerator(seed: 4_242)
    let names = [
      "Europe/Berlin", "Europe/London", "Europe/Dublin", "America/New_York", "America/Sao_Paulo", "America/Santiago",
      "America/Havana", "America/St_Johns", "America/Scoresbysund", "Africa/Cairo", "Africa/Casablanca", "Asia/Beirut",
      "Asia/Gaza", "Asia/Tehran", "Asia/Pyongyang", "Australia/Sydney", "Australia/Lord_Howe", "Pacific/Apia",
      "Pacific/Chatham", "Pacific/Easter", "Antarctica/Troll", "America/Caracas",
    ]
    var changes: [String: [Int64]] = ["Pacific/Apia": [1_325_239_200]]
    for name in names {
      let zone = try TimeZones.named(name)
      for _ in 0..<3 {
        let start = Int64.random(in: 800_000_000..<2_500_000_000, using: &random)
        guard let change = zone.nextChange(after: Timestamp(milliseconds: start * 1000)) else { continue }
        changes[name, default: []].append(change.instant.milliseconds / 1000)
      }
    }
    return changes
  }
}

extension CronSchedule {
  fileprivate func runs(_ count: Int, after second: Int64, _ zone: ZoneRules) -> [Int64] {
    var time = Timestamp(milliseconds: second * 1000)
    return (0..<count).compactMap { _ in
      guard let next = next(after: time, in: zone) else { return nil }
      time = next
      return next.milliseconds / 1000
    }
  }

  fileprivate func runs(from first: Int64, through last: Int64, _ zone: ZoneRules) -> [Int64] {
    var runs: [Int64] = []
    var time = Timestamp(milliseconds: first * 1000 - 1)
    while let next = next(after: time, in: zone), next.milliseconds <= last * 1000 {
      runs.append(next.milliseconds / 1000)
      time = next
    }
    return runs
  }
}
