import Testing

@testable import BackupPolicy

@Suite struct QuietHoursTests {
  /// Monday is 2026-11-23.
  @Test(arguments: [
    ("22:00-06:00", "2026-11-23 21:59:59.999", nil), ("22:00-06:00", "2026-11-23 22:00:00", "2026-11-24 06:00:00"),
    ("22:00-06:00", "2026-11-24 05:59:59.999", "2026-11-24 06:00:00"), ("22:00-06:00", "2026-11-24 06:00:00", nil),
    // From Sunday to Monday, the end of the week.
    ("22:00-06:00", "2026-11-22 23:00:00", "2026-11-23 06:00:00"),
    ("22:00-06:00", "2026-11-23 05:00:00", "2026-11-23 06:00:00"),
    ("sat-Sun 00:00-24:00", "2026-11-27 23:59:59.999", nil),
    ("sat-Sun 00:00-24:00", "2026-11-28 00:00:00", "2026-11-30 00:00:00"),
    ("Sat-Sun 00:00-24:00", "2026-11-30 00:00:00", nil),
    ("Saturday 0:00-24:00 , Sun 00:00-08:00", "2026-11-28 12:00:00", "2026-11-29 08:00:00"),
    ("Fri-Mon 12:00-13:00", "2026-11-23 12:30:00", "2026-11-23 13:00:00"),
    ("Fri-Mon 12:00-13:00", "2026-11-24 12:30:00", nil),
    // The hours belong to the day on which they begin.
    ("Fri 22:00-06:00", "2026-11-28 05:00:00", "2026-11-28 06:00:00"), ("Fri 22:00-06:00", "2026-11-27 05:00:00", nil),
    ("09:00-12:00,11:00-14:00,14:00-15:00", "2026-11-23 10:00:00", "2026-11-23 15:00:00"),
  ])
  func ends(text: String, time: String, end: String?) throws {
    #expect(try QuietHours(text).end(after: TriggerTimes.utc(time), in: .utc) == end.map(TriggerTimes.utc))
  }

  /// Berlin, with the end in summer time, winter time, the hour that is skipped, and the hour that
  /// comes twice.
  @Test(arguments: [
    ("22:00-06:00", "2026-06-30 20:00:00", "2026-07-01 04:00:00"), ("22:00-06:00", "2026-06-30 19:59:59", nil),
    ("22:00-06:00", "2026-03-28 21:00:00", "2026-03-29 04:00:00"),
    ("22:00-06:00", "2026-10-24 20:00:00", "2026-10-25 05:00:00"),
    ("22:00-02:30", "2026-03-28 21:00:00", "2026-03-29 01:00:00"),
    ("22:00-02:30", "2026-10-24 20:00:00", "2026-10-25 00:30:00"),
    ("22:00-02:30", "2026-10-25 00:45:00", nil), ("22:00-02:30", "2026-10-25 01:10:00", "2026-10-25 01:30:00"),
    ("22:00-03:00", "2026-10-24 20:00:00", "2026-10-25 02:00:00"), ("02:00-03:00", "2026-03-29 01:00:00", nil),
  ])
  func summerTime(text: String, time: String, end: String?) throws {
    let hours = try QuietHours(text)
    #expect(hours.end(after: TriggerTimes.utc(time), in: TriggerTimes.berlin) == end.map(TriggerTimes.utc))
  }

  /// The end agrees with a check of every quarter of an hour of a week beside each change of the
  /// clocks.
  @Test(arguments: ["2026-04-08", "2026-04-01", "2026-10-08", "2026-10-29"])
  func theEndIsTheFirstTimeOutside(day: String) throws {
    for zone in [TriggerTimes.berlin, TriggerTimes.lordHowe] {
      for text in ["22:00-02:15", "Sun 01:30-02:15, Sat 23:00-24:00", "Mon-Fri 00:00-24:00", "02:00-03:00"] {
        let hours = try QuietHours(text)
        var end: Timestamp?
        // Backwards, so that the next time outside is known.
        for quarter in 1...(8 * 96) {
          let here = TriggerTimes.utc("\(day) 00:00:00").adding(seconds: -Int64(quarter) * 900)
          let found = hours.end(after: here, in: zone)
          if found == nil {
            end = here
          } else if let end {
            #expect(found == end, "\(zone.name), \(text), \(here.iso8601)")
          }
        }
      }
    }
  }

  @Test(arguments: [
    ("", "column 1: hours are missing"), ("22:00-06:00,", "column 13: hours are missing"),
    ("22:00", "column 1: `22:00` is not a span of hours"), ("22-6", "column 1: `22` is not a time of day"),
    ("22:00-6:0", "column 7: `6:0` is not a time of day"), ("22:60-06:00", "column 1: `22:60` is not a time of day"),
    ("25:00-06:00", "column 1: `25:00` is not a time of day"),
    ("22:00-24:01", "column 7: `24:01` is not a time of day"),
    ("24:00-06:00", "column 1: `24:00` is the end of a day"),
    ("06:00-06:00", "column 1: `06:00-06:00` ends when it begins"),
    ("Sat,Sun 00:00-24:00", "column 1: `Sat` is not a span of hours"),
    ("Sut 00:00-24:00", "column 1: `Sut` is not a day of the week"),
    ("Sat-Son 1:00-2:00", "column 5: `Son` is not a day of the week"),
    ("Sat-Sun-Mon 1:00-2:00", "column 1: `Sat-Sun-Mon` is not a range of days"),
    ("Sat at 1:00-2:00", "column 8: `1:00-2:00` is one word too many"), ("-06:00", "column 1: `` is not a time of day"),
    ("Sa 1:00-2:00", "column 1: `Sa` is not a day of the week"),
    ("٢٢:00-06:00", "column 1: `٢٢:00` is not a time of day"),
  ])
  func mistakes(text: String, problem: String) throws {
    let error = #expect(throws: HoldfastError.self) { try QuietHours(text) }
    #expect(error?.code == .usage && error?.message == "quiet hours `\(text)`, \(problem)" && error?.hint != nil)
  }

  @Test(arguments: [
    "00:00-24:00", "Mon-Sun 00:00-24:00", "00:00-12:00,12:00-00:00", "Mon-Fri 0:00-24:00,Sat-Sun 0:00-24:00",
  ])
  func theWholeWeekIsRefused(text: String) {
    let error = #expect(throws: HoldfastError.self) { try QuietHours(text) }
    #expect(error?.message == "quiet hours `\(text)` cover the whole week, so no change would ever be backed up")
  }
}
