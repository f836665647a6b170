import TestSupport
import Testing

@testable import BackupPolicy

@Suite("Cron schedules, without changes of the clocks")
struct CronScheduleTests {
  @Test(
    "The next runs of a schedule are computed",
    arguments: [
      ("* * * * *", "2026-11-23T10:07", ["2026-11-23 10:08", "2026-11-23 10:09"]),
      ("*/15 9-17 * * Mon-Fri", "2026-11-20T17:40", ["2026-11-20 17:45", "2026-11-23 09:00"]),
      ("0 2 * * *", "2026-11-23T02:00", ["2026-11-24 02:00", "2026-11-25 02:00"]),
      ("5-50/15 * * * *", "2026-11-23T10:40", ["2026-11-23 10:50", "2026-11-23 11:05"]),
      ("10/20 * * * *", "2026-11-23T10:40", ["2026-11-23 10:50", "2026-11-23 11:10"]),
      ("0 12 1,15 * *", "2026-11-15T12:00", ["2026-12-01 12:00", "2026-12-15 12:00"]),
      ("0 0 31 * *", "2026-11-23", ["2026-12-31 00:00", "2027-01-31 00:00", "2027-03-31 00:00"]),
      ("0 0 29 2 *", "2026-11-23", ["2028-02-29 00:00", "2032-02-29 00:00"]),
      ("0 0 29 2 *", "2096-03-01", ["2104-02-29 00:00", "2108-02-29 00:00"]),
      // Either day: the 13th, and Fridays.
      ("0 0 13 * 5", "2026-11-06", ["2026-11-13 00:00", "2026-11-20 00:00", "2026-11-27 00:00", "2026-12-04 00:00"]),
      ("0 0 1 jan SUN", "2026-12-20", ["2027-01-01 00:00", "2027-01-03 00:00", "2027-01-10 00:00"]),
      // Both: a field that begins with * adds no condition, and */2 begins with it.
      ("0 0 */2 * Mon", "2026-11-22", ["2026-11-23 00:00", "2026-12-07 00:00", "2026-12-21 00:00"]),
      ("0 0 13 * */5", "2026-11-01", ["2026-11-13 00:00", "2026-12-13 00:00", "2027-06-13 00:00"]),
      ("0 0 29 2 */7", "2032-03-01", ["2060-02-29 00:00", "2088-02-29 00:00", "2128-02-29 00:00"]),
      ("0 0 * * 7", "2026-11-23", ["2026-11-29 00:00", "2026-12-06 00:00"]),
      ("0 0 * * Fri-Sun/2", "2026-11-23", ["2026-11-27 00:00", "2026-11-29 00:00", "2026-12-04 00:00"]),
      ("0 0 * * 5-7", "2026-11-23", ["2026-11-27 00:00", "2026-11-28 00:00", "2026-11-29 00:00"]),
      ("0 0 * * 0-7", "2026-11-23", ["2026-11-24 00:00", "2026-11-25 00:00"]),
      ("0 0 1 Jan,JUN-aug *", "2026-11-23", ["2027-01-01 00:00", "2027-06-01 00:00", "2027-07-01 00:00"]),
      ("00 02 007 * *", "2026-11-23", ["2026-12-07 02:00"]),
      (" \t0  2\t* * * ", "2026-11-23T12:00", ["2026-11-24 02:00"]),
      ("59 23 31 12 *", "9998-12-31T23:59", ["9999-12-31 23:59"]),
      ("@yearly", "2026-11-23", ["2027-01-01 00:00"]), ("@annually", "2026-11-23", ["2027-01-01 00:00"]),
      ("@monthly", "2026-11-23", ["2026-12-01 00:00"]), ("@Weekly", "2026-11-23", ["2026-11-29 00:00"]),
      ("@daily", "2026-11-23", ["2026-11-24 00:00"]), ("@midnight", "2026-11-23", ["2026-11-24 00:00"]),
      ("@hourly", "2026-11-23", ["2026-11-23 01:00"]),
    ] as [(String, String, [String])])
  func nextRuns(text: String, after: String, runs: [String]) throws {
    let found = try CronSchedule(text).runs(runs.count, after: after, in: .utc)
    #expect(found == runs.map { "\($0) +00:00" })
  }

  @Test("The next run is strictly after the given time, to the millisecond")
  func strictlyAfter() throws {
    let schedule = try CronSchedule("0 2 * * *")
    let run = try #require(Timestamp(iso8601: "2026-11-24T02:00:00Z"))
    #expect(schedule.next(after: run.adding(milliseconds: -1), in: .utc) == run)
    #expect(schedule.next(after: run, in: .utc) == run.adding(seconds: 86400))
    #expect(schedule.next(after: run.adding(milliseconds: 1), in: .utc) == run.adding(seconds: 86400))
  }

  @Test(
    "Days that never come are found at once",
    arguments: ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "0 0 31 Feb */2", "0 0 30-31 2 *"])
  func never(text: String) throws {
    let schedule = try CronSchedule(text)
    #expect(schedule.next(after: Timestamp(milliseconds: 0), in: .utc) == nil)
    #expect(schedule.next(after: Timestamp(milliseconds: 0), in: try ZoneSamples.named("Europe/Berlin")) == nil)
    #expect(schedule.words.hasPrefix("never"))
  }

  @Test("29 February falls on each weekday again and again, though decades apart")
  func leapDays() throws {
    for weekday in [0, 6] {
      let schedule = try CronSchedule(weekday == 0 ? "0 0 29 2 */7" : "0 0 29 2 */6")
      var time = try #require(Timestamp(iso8601: "1890-01-01T00:00:00Z"))
      let end = try #require(Timestamp(iso8601: "2300-01-01T00:00:00Z"))
      var years: [Int] = []
      while let next = schedule.next(after: time, in: .utc), next < end {
        years.append(next.civil.year)
        time = next
      }
      let leapYears = (1890..<2300).filter { CalendarMonth(year: $0, month: 2).length == 29 }
      let expected = leapYears.filter { year in
        let day = (CalendarMonth(year: year, month: 2).firstWeekday + 28) % 7
        return day == 0 || day == weekday
      }
      #expect(years == expected)
    }
  }

  @Test("A time beyond the calendar is handled", arguments: [Int64.min, .min + 1, -62_135_596_800_001, .max - 1, .max])
  func extremeTimes(milliseconds: Int64) throws {
    for name in ["UTC", "Europe/Berlin", "Pacific/Apia"] {
      let zone = try ZoneSamples.named(name)
      for text in ["30 2 * * *", "*/5 * * * *", "0 0 29 2 */7"] {
        let next = try CronSchedule(text).next(after: Timestamp(milliseconds: milliseconds), in: zone)
        #expect(next == nil || milliseconds < 0, "\(text) in \(name)")
      }
      #expect(zone.nextChange(after: Timestamp(milliseconds: .max)) == nil)
      _ = zone.instants(of: CivilTime(year: 50_000, month: 1, day: 1, hour: 0, minute: 0, second: 0, millisecond: 0))
    }
  }

  @Test("Two schedules that are written differently are different")
  func equality() throws {
    #expect(try CronSchedule("0 2 * * *") == CronSchedule("0 2 * * *"))
    #expect(try CronSchedule("0 2 * * *") != CronSchedule("0 3 * * *"))
    #expect(try CronSchedule("0 2 * * *").text == "0 2 * * *")
  }
}
