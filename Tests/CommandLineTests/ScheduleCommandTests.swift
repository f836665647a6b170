import TestSupport
import Testing

@Suite("The schedule command", .ownThread)
struct ScheduleCommandTests {
  /// Rules in `TZ` need no zone files.
  private static let berlin = ["TZ": "CET-1CEST,M3.5.0,M10.5.0/3"]

  @Test("schedule prints words and the next runs with their offset and in UTC")
  func runs() throws {
    let bed = try CommandBed(rows: 1)
    #expect(
      try bed.succeed(
        "schedule", "30 0 * * Mon-Fri", "--after", "2026-10-22", "--count", "3", environment: Self.berlin) == """
          at 00:30 on weekdays (CET-1CEST,M3.5.0,M10.5.0/3)

            2026-10-22 00:30 +02:00  2026-10-21 22:30 UTC
            2026-10-23 00:30 +02:00  2026-10-22 22:30 UTC
            2026-10-26 00:30 +01:00  2026-10-25 23:30 UTC

          """)
    #expect(
      try bed.succeed("schedule", "@weekly", "--after", "2026-10-22T12:00:00Z", "--timezone", "UTC") == """
        at 00:00 on Sundays (UTC)

          2026-10-25 00:00 +00:00
          2026-11-01 00:00 +00:00
          2026-11-08 00:00 +00:00
          2026-11-15 00:00 +00:00
          2026-11-22 00:00 +00:00

        """)
    #expect(try bed.succeed("schedule", "*/5 * * * *").hasPrefix("every 5 minutes (UTC)\n\n"))
  }

  @Test("A run that a clock change moves or doubles is marked")
  func clockChanges() throws {
    let bed = try CommandBed(rows: 1)
    #expect(
      try bed.succeed(
        "schedule", "30 2 * * *", "--after", "2026-03-28T12:00", "--count", "2", environment: Self.berlin
      )
      .contains(
        """
          2026-03-29 03:00 +02:00  01:00 UTC  (the clocks change from 02:00 to 03:00: 02:30 is skipped and runs now)
          2026-03-30 02:30 +02:00  00:30 UTC

        """))
    #expect(
      try bed.succeed(
        "schedule", "30 * * * *", "--after", "2026-10-25T01:00", "--count", "3", environment: Self.berlin
      )
      .hasSuffix(
        """
          2026-10-25 01:30 +02:00  2026-10-24 23:30 UTC
          2026-10-25 02:30 +02:00  00:30 UTC  (02:30 occurs twice: the first)
          2026-10-25 02:30 +01:00  01:30 UTC  (02:30 occurs twice: the second)

        """))
  }

  @Test("schedule reports a schedule that never runs and one whose runs end")
  func endings() throws {
    let bed = try CommandBed(rows: 1)
    #expect(try bed.succeed("schedule", "0 0 30 2 *") == "never: no month named has such a day (UTC)\n")
    #expect(
      try bed.succeed("schedule", "@yearly", "--after", "9998-01-01").hasSuffix(
        "  9999-01-01 00:00 +00:00\n  and never again\n"))
  }

  @Test("schedule marks the place of a mistake")
  func mistakes() throws {
    let bed = try CommandBed(rows: 1)
    let result = try bed.run("schedule", "0 2 * Febuary *")
    #expect(result.status == 64 && result.stdout == "")
    #expect(
      result.stderr == """
        holdfast: error: schedule '0 2 * Febuary *', column 7: 'Febuary' is not a month
          0 2 * Febuary *
                ^^^^^^^
        holdfast: hint: did you mean Feb? months are 1-12 or Jan-Dec

        """)
    // Four fields: the missing one follows the last.
    #expect(try bed.run("schedule", "0 2 * *").stderr.contains("\n  0 2 * *\n         ^\n"))
    // Control characters reach no terminal.
    #expect(try !bed.run("schedule", "0 2 * * \u{1b}[2J").stderr.contains("\u{1b}"))
  }

  @Test(
    "schedule reports other mistakes",
    arguments: [
      ("--timezone", "../x", "is not the name of a time zone"), ("--count", "0", "--count 0 is out of range"),
      ("--count", "many", "many"), ("--after", "tomorrow", "--after 'tomorrow' is not a time"),
      ("--after", "latest", "--after latest is not a time"),
      ("--after", "2026-03-29T02:30", "does not exist"), ("--after", "2026-10-25T02:30", "occurs twice"),
    ])
  func usage(option: String, value: String, message: String) throws {
    let bed = try CommandBed(rows: 1)
    let result = try bed.run("schedule", "0 2 * * *", option, value, environment: Self.berlin)
    #expect(result.status == 64 && result.stdout == "")
    #expect(result.stderr.contains(message), "\(result.stderr)")
    #expect(result.stderr.contains("holdfast: hint: "))
  }

  @Test("schedule accepts several schedules with a ; between them, as BACKUP_SCHEDULE does, and any time of --at")
  func several() throws {
    let bed = try CommandBed(rows: 1)
    #expect(
      try bed.succeed("schedule", "@hourly;0 2 * * *", "--count", "1", "--after", "2026-10-24T22:30Z") == """
        every hour (UTC)

          2026-10-24 23:00 +00:00

        at 02:00 every day (UTC)

          2026-10-25 02:00 +00:00

        """)
    try bed.succeed("schedule", "@hourly", "--after", "yesterday 14:03")
    #expect(try bed.run("schedule", "0 25 * * *").stderr.contains("'25' is not an hour"))
  }

  @Test("schedule accepts the five words that a shell passes without quotes")
  func words() throws {
    let bed = try CommandBed(rows: 1)
    #expect(try bed.succeed("schedule", "0", "2", "*", "*", "*").hasPrefix("at 02:00 every day (UTC)\n"))
  }

  @Test("schedule --json prints one document")
  func json() throws {
    struct Document: Decodable {
      struct Run: Decodable, Equatable {
        var at: String
        var local: String
        var note: String?
      }
      var schedule: String
      var words: String
      var timezone: String
      var runs: [Run]
    }
    let bed = try CommandBed(rows: 1)
    let text = try bed.succeed(
      "schedule", "30 2 * * *", "--json", "--after", "2026-03-28T12:00", "--count", "2", environment: Self.berlin)
    let document = try decode(Document.self, text)
    #expect(document.schedule == "30 2 * * *" && document.words == "at 02:30 every day")
    #expect(document.timezone == Self.berlin["TZ"])
    #expect(document.runs.map(\.at) == ["2026-03-29T01:00:00.000Z", "2026-03-30T00:30:00.000Z"])
    #expect(document.runs.map(\.local) == ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"])
    #expect(document.runs[0].note?.contains("skipped") ?? false && document.runs[1].note == nil)
    let failed = try bed.run("schedule", "x", "--json")
    #expect(failed.status == 64 && failed.stderr.contains("\"code\" : \"usage\""))
  }
}
