import Testing

@testable import BackupPolicy

/// The effects of clock changes on schedules, worked out by hand.
@Suite("Schedules across changes of the clocks")
struct ClockChangeTests {
  struct Case: Sendable {
    let zone: String
    let schedule: String
    let after: String
    let runs: [String]
  }

  static let gaps = [
    // Berlin goes from 02:00 to 03:00.
    Case(
      zone: "Europe/Berlin", schedule: "30 2 * * *", after: "2026-03-28",
      runs: ["2026-03-28 02:30 +01:00", "2026-03-29 03:00 +02:00", "2026-03-30 02:30 +02:00"]),
    Case(
      zone: "Europe/Berlin", schedule: "0,20,40 2 * * *", after: "2026-03-28T02:39",
      runs: ["2026-03-28 02:40 +01:00", "2026-03-29 03:00 +02:00", "2026-03-30 02:00 +02:00"]),
    Case(
      zone: "Europe/Berlin", schedule: "0 1-4 * * *", after: "2026-03-29",
      runs: ["2026-03-29 01:00 +01:00", "2026-03-29 03:00 +02:00", "2026-03-29 04:00 +02:00"]),
    Case(
      zone: "Europe/Berlin", schedule: "*/30 * * * *", after: "2026-03-29T01:00",
      runs: ["2026-03-29 01:30 +01:00", "2026-03-29 03:00 +02:00", "2026-03-29 03:30 +02:00"]),
    Case(
      zone: "Europe/Berlin", schedule: "45 * * * *", after: "2026-03-29T01:00",
      runs: ["2026-03-29 01:45 +01:00", "2026-03-29 03:45 +02:00"]),
    // No run is made up.
    Case(
      zone: "Europe/Berlin", schedule: "*/20 2 * * *", after: "2026-03-28T02:39",
      runs: ["2026-03-28 02:40 +01:00", "2026-03-30 02:00 +02:00"]),
    Case(
      zone: "America/New_York", schedule: "15 2 * * Sun", after: "2026-03-01T03:00",
      runs: ["2026-03-08 03:00 -04:00", "2026-03-15 02:15 -04:00"]),
    Case(
      zone: "Australia/Sydney", schedule: "30 2 * * *", after: "2026-10-03T12:00",
      runs: ["2026-10-04 03:00 +11:00", "2026-10-05 02:30 +11:00"]),
    // From 02:00 to 02:30.
    Case(
      zone: "Australia/Lord_Howe", schedule: "15 2 * * *", after: "2026-10-03T12:00",
      runs: ["2026-10-04 02:30 +11:00", "2026-10-05 02:15 +11:00"]),
    Case(
      zone: "Australia/Lord_Howe", schedule: "0 * * * *", after: "2026-10-04T00:30",
      runs: ["2026-10-04 01:00 +10:30", "2026-10-04 03:00 +11:00"]),
    // From midnight to one o'clock.
    Case(
      zone: "Asia/Beirut", schedule: "@daily", after: "2026-03-28T12:00",
      runs: ["2026-03-29 01:00 +03:00", "2026-03-30 00:00 +03:00"]),
    Case(
      zone: "America/Sao_Paulo", schedule: "0 0 * * *", after: "2017-10-14T12:00",
      runs: ["2017-10-15 01:00 -02:00", "2017-10-16 00:00 -02:00"]),
    Case(
      zone: "America/Sao_Paulo", schedule: "30 0 15 10 *", after: "2017-10-14T12:00",
      runs: ["2017-10-15 01:00 -02:00", "2018-10-15 00:30 -03:00"]),
    // Samoa's 30 December 2011 did not exist: its run comes as the 31st begins, once.
    Case(
      zone: "Pacific/Apia", schedule: "0 2 * * *", after: "2011-12-29T00:00",
      runs: ["2011-12-29 02:00 -10:00", "2011-12-31 00:00 +14:00", "2011-12-31 02:00 +14:00"]),
    Case(
      zone: "Pacific/Apia", schedule: "0 0 * * *", after: "2011-12-29T00:00",
      runs: ["2011-12-31 00:00 +14:00", "2012-01-01 00:00 +14:00"]),
    Case(
      zone: "Pacific/Apia", schedule: "0 */6 * * *", after: "2011-12-29T13:00",
      runs: ["2011-12-29 18:00 -10:00", "2011-12-31 00:00 +14:00", "2011-12-31 06:00 +14:00"]),
    Case(
      zone: "Pacific/Apia", schedule: "0 2 30 12 *", after: "2011-12-29T13:00",
      runs: ["2011-12-31 00:00 +14:00", "2012-12-30 02:00 +14:00"]),
    Case(
      zone: "Europe/Dublin", schedule: "30 1 * * *", after: "2026-03-28T12:00",
      runs: ["2026-03-29 02:00 +01:00", "2026-03-30 01:30 +01:00"]),
    Case(
      zone: "Africa/Casablanca", schedule: "30 2 * * *", after: "2026-03-21T12:00",
      runs: ["2026-03-22 03:00 +01:00", "2026-03-23 02:30 +01:00"]),
    // From 00:00:00 to 00:44:30: the first instant after the gap is no full minute.
    Case(
      zone: "Africa/Monrovia", schedule: "10 0 7 1 *", after: "1972-01-06T12:00",
      runs: ["1972-01-07 00:44:30 +00:00", "1973-01-07 00:10 +00:00"]),
  ]

  static let overlaps = [
    // Berlin goes from 03:00 back to 02:00.
    Case(
      zone: "Europe/Berlin", schedule: "30 2 * * *", after: "2026-10-24T12:00",
      runs: ["2026-10-25 02:30 +02:00", "2026-10-26 02:30 +01:00"]),
    Case(
      zone: "Europe/Berlin", schedule: "0 1-4 * * *", after: "2026-10-25",
      runs: [
        "2026-10-25 01:00 +02:00", "2026-10-25 02:00 +02:00", "2026-10-25 03:00 +01:00", "2026-10-25 04:00 +01:00",
      ]),
    Case(
      zone: "Europe/Berlin", schedule: "*/30 * * * *", after: "2026-10-25T01:40",
      runs: [
        "2026-10-25 02:00 +02:00", "2026-10-25 02:30 +02:00", "2026-10-25 02:00 +01:00", "2026-10-25 02:30 +01:00",
        "2026-10-25 03:00 +01:00",
      ]),
    // Asked in the second pass of the hour: the first had its run.
    Case(
      zone: "Europe/Berlin", schedule: "30 2 * * *", after: "2026-10-25T02:10:00+01:00",
      runs: ["2026-10-26 02:30 +01:00"]),
    Case(
      zone: "Europe/Berlin", schedule: "*/20 2 * * *", after: "2026-10-25T02:50:00+02:00",
      runs: [
        "2026-10-25 02:00 +01:00", "2026-10-25 02:20 +01:00", "2026-10-25 02:40 +01:00", "2026-10-26 02:00 +01:00",
      ]),
    Case(
      zone: "America/New_York", schedule: "30 1 1 11 *", after: "2026-01-01",
      runs: ["2026-11-01 01:30 -04:00", "2027-11-01 01:30 -04:00"]),
    Case(
      zone: "Australia/Sydney", schedule: "0 * * * *", after: "2026-04-05T01:30",
      runs: ["2026-04-05 02:00 +11:00", "2026-04-05 02:00 +10:00", "2026-04-05 03:00 +10:00"]),
    // From 02:00 back to 01:30.
    Case(
      zone: "Australia/Lord_Howe", schedule: "*/15 * * * *", after: "2026-04-05T01:20",
      runs: [
        "2026-04-05 01:30 +11:00", "2026-04-05 01:45 +11:00", "2026-04-05 01:30 +10:30", "2026-04-05 01:45 +10:30",
        "2026-04-05 02:00 +10:30",
      ]),
    Case(
      zone: "Australia/Lord_Howe", schedule: "40 1 * * *", after: "2026-04-05T01:20",
      runs: ["2026-04-05 01:40 +11:00", "2026-04-06 01:40 +10:30"]),
    // From midnight back to 23:00 of the day before.
    Case(
      zone: "Asia/Beirut", schedule: "0 0 * * *", after: "2026-10-24T12:00",
      runs: ["2026-10-25 00:00 +02:00", "2026-10-26 00:00 +02:00"]),
    Case(
      zone: "Asia/Beirut", schedule: "30 23 * * *", after: "2026-10-24T12:00",
      runs: ["2026-10-24 23:30 +03:00", "2026-10-25 23:30 +02:00"]),
    Case(
      zone: "America/Sao_Paulo", schedule: "0,30 23 17 2 *", after: "2018-02-17T12:00",
      runs: ["2018-02-17 23:00 -02:00", "2018-02-17 23:30 -02:00", "2019-02-17 23:00 -03:00"]),
    Case(
      zone: "Europe/Dublin", schedule: "30 1 * * *", after: "2026-10-24T12:00",
      runs: ["2026-10-25 01:30 +01:00", "2026-10-26 01:30 +00:00"]),
    Case(
      zone: "Africa/Casablanca", schedule: "30 2 * * *", after: "2026-02-14T12:00",
      runs: ["2026-02-15 02:30 +01:00", "2026-02-16 02:30 +00:00"]),
  ]

  @Test("A skipped time runs right after the gap, and a rhythm makes nothing up", arguments: gaps)
  func gap(example: Case) throws { try check(example) }

  @Test("A time shown twice runs once, and a rhythm continues", arguments: overlaps)
  func overlap(example: Case) throws { try check(example) }

  private func check(_ example: Case) throws {
    let zone = try ZoneSamples.named(example.zone)
    let schedule = try CronSchedule(example.schedule)
    let runs = try schedule.runs(example.runs.count, after: example.after, in: zone)
    #expect(runs == example.runs, "\(example.schedule) in \(example.zone)")
  }

  @Test("A zone may have an offset that is not a whole hour")
  func oddOffsets() throws {
    let kathmandu = try ZoneSamples.named("Asia/Kathmandu")
    let schedule = try CronSchedule("0 * * * *")
    let run = try #require(schedule.next(after: try kathmandu.time("2026-05-01T10:20", name: ""), in: kathmandu))
    #expect(run.iso8601 == "2026-05-01T05:15:00.000Z")
    let monrovia = try ZoneSamples.named("Africa/Monrovia")
    let early = try #require(schedule.next(after: try monrovia.time("1971-05-01T10:20", name: ""), in: monrovia))
    #expect(early.iso8601 == "1971-05-01T11:44:30.000Z")
  }

  @Test("The effect of a clock change on a run is reported beside it")
  func notes() throws {
    let berlin = try ZoneSamples.named("Europe/Berlin")
    func note(_ text: String, after: String) throws -> String? {
      let schedule = try CronSchedule(text)
      let start = try berlin.time(after, name: "")
      return schedule.note(on: try #require(schedule.next(after: start, in: berlin)), after: start, in: berlin)
    }
    #expect(try note("30 2 * * *", after: "2026-03-27T12:00") == nil)
    #expect(
      try note("30 2 * * *", after: "2026-03-28T12:00")
        == "the clocks change from 02:00 to 03:00: 02:30 is skipped and runs now")
    #expect(try note("30 4 * * *", after: "2026-03-28T12:00") == nil)
    #expect(
      try note("*/20 2 * * *", after: "2026-03-28T12:00")
        == "the clocks change from 02:00 to 03:00 before it, and the runs in between are skipped")
    #expect(try note("30 2 * * *", after: "2026-10-24T12:00") == "02:30 occurs twice; it runs the first time")
    #expect(try note("*/30 * * * *", after: "2026-10-25T02:10:00+02:00") == "02:30 occurs twice: the first")
    #expect(try note("*/30 * * * *", after: "2026-10-25T02:10:00+01:00") == "02:30 occurs twice: the second")
    #expect(try note("0 4 * * *", after: "2026-10-24T12:00") == nil)
    let apia = try ZoneSamples.named("Pacific/Apia")
    let eve = try apia.time("2011-12-29T12:00", name: "")
    let daily = try CronSchedule("30 2 * * *")
    #expect(
      daily.note(on: try #require(daily.next(after: eve, in: apia)), after: eve, in: apia)
        == "the clocks change from 2011-12-30 00:00 to 2011-12-31 00:00: 02:30 is skipped and runs now")
  }
}
