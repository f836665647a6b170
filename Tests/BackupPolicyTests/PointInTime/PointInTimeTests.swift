import TestSupport
import Testing

@testable import BackupPolicy

/// How people write a time, and how it is read.
@Suite("A time as people write it")
struct PointInTimeTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var zone = "Europe/Berlin"
    let text: String
    var now = "2026-11-22T14:03:07+01:00"
    let time: String
    var testDescription: String { "\(text) at \(now) in \(zone)" }
  }

  private func read(_ text: String, _ zone: String, now: String) throws -> PointInTime {
    try PointInTime(
      text, name: "--at", zone: ZoneSamples.named(zone), now: try #require(Timestamp(iso8601: now)))
  }

  static let plain = [
    Case(text: "2026-11-22", time: "2026-11-22T00:00:00+01:00"),
    Case(text: "2026-11-22 14:03", time: "2026-11-22T14:03:00+01:00"),
    Case(text: "  2026-11-22   9:03 ", time: "2026-11-22T09:03:00+01:00"),
    Case(text: "2026-11-22 14:03:06", time: "2026-11-22T14:03:06+01:00"),
    Case(text: "2026-11-22 14:03:06.5", time: "2026-11-22T14:03:06.500+01:00"),
    Case(text: "2026-11-22T14:03:06.123456", time: "2026-11-22T14:03:06.123+01:00"),
    Case(text: "2026-11-22t13:03z", time: "2026-11-22T13:03:00Z"),
    Case(text: "2026-11-22T14:03:07+02:00", time: "2026-11-22T14:03:07+02:00"),
    Case(text: "2026-11-21 23:03:07 -0530", time: "2026-11-21T23:03:07-05:30"),
    Case(text: "2026-11-22 14:03 +03", time: "2026-11-22T14:03:00+03:00"),
    // A time in summer has the offset of summer.
    Case(text: "2026-07-01 12:00", time: "2026-07-01T12:00:00+02:00"),
    // Both times of the hour that the clocks show twice, by their offsets.
    Case(text: "2026-10-25 02:30 +02:00", time: "2026-10-25T02:30:00+02:00"),
    Case(text: "2026-10-25 02:30 +01:00", time: "2026-10-25T02:30:00+01:00"),
    // In the future, but two machines' clocks may differ by a minute.
    Case(text: "2026-11-22 14:04:07", time: "2026-11-22T14:04:07+01:00"),
    // A day that begins at one o'clock.
    Case(zone: "Asia/Beirut", text: "2026-03-29", time: "2026-03-29T01:00:00+03:00"),
  ]

  static let relative = [
    Case(text: "now", time: "2026-11-22T14:03:07+01:00"),
    Case(text: "90s ago", time: "2026-11-22T14:01:37+01:00"),
    Case(text: "2 hours ago", time: "2026-11-22T12:03:07+01:00"),
    Case(text: "2 Hours  AGO", time: "2026-11-22T12:03:07+01:00"),
    Case(text: "1h 30min ago", time: "2026-11-22T12:33:07+01:00"),
    Case(text: "1h30m ago", time: "2026-11-22T12:33:07+01:00"),
    Case(text: "an hour ago", time: "2026-11-22T13:03:07+01:00"),
    Case(text: "1d ago", time: "2026-11-21T14:03:07+01:00"),
    Case(text: "2 weeks ago", time: "2026-11-08T14:03:07+01:00"),
    // A day in `ago` has 24 hours, even if the clocks changed: an hour later on the wall.
    Case(text: "1 day ago", now: "2026-03-29T14:00:00+02:00", time: "2026-03-28T13:00:00+01:00"),
    // Longer ago than a timestamp can express.
    Case(text: "999999999 weeks ago", time: "0001-01-01T00:00:00Z"),
    Case(text: "today", time: "2026-11-22T00:00:00+01:00"),
    Case(text: "today 09:00", time: "2026-11-22T09:00:00+01:00"),
    Case(text: "yesterday", time: "2026-11-21T00:00:00+01:00"),
    Case(text: "Yesterday 14:03", time: "2026-11-21T14:03:00+01:00"),
    // Yesterday by the zone's calendar, not by UTC's.
    Case(text: "yesterday", now: "2026-11-22T00:30:00+01:00", time: "2026-11-21T00:00:00+01:00"),
    // Nor by 24 hours.
    Case(text: "yesterday 14:00", now: "2026-03-29T14:00:00+02:00", time: "2026-03-28T14:00:00+01:00"),
  ]

  static let clocks = [
    Case(text: "14:03", time: "2026-11-22T14:03:00+01:00"),
    Case(text: "14:03:07", time: "2026-11-22T14:03:07+01:00"),
    // Still in the future, so it is yesterday's.
    Case(text: "14:03:08", time: "2026-11-21T14:03:08+01:00"),
    Case(text: "23:50", now: "2026-11-22T00:10:00+01:00", time: "2026-11-21T23:50:00+01:00"),
    // Of the two that the clocks show, only the first has passed.
    Case(text: "02:30", now: "2026-10-25T02:10:00+01:00", time: "2026-10-25T02:30:00+02:00"),
    // Today's time will not exist, but its hour has not come yet.
    Case(text: "02:30", now: "2026-03-29T01:00:00+01:00", time: "2026-03-28T02:30:00+01:00"),
    Case(zone: "Asia/Kathmandu", text: "00:10", now: "2026-11-22T18:30:00Z", time: "2026-11-22T18:25:00Z"),
  ]

  @Test("Missing parts are zero, and a time without an offset uses the zone", arguments: plain + relative + clocks)
  func reads(_ example: Case) throws {
    let expected = try #require(Timestamp(iso8601: example.time))
    #expect(try read(example.text, example.zone, now: example.now) == .moment(expected))
  }

  @Test("latest is the newest point, whatever its time")
  func latest() throws {
    #expect(try read("latest", "UTC", now: "2026-11-22T14:03:07Z") == .latest)
    #expect(try read(" Latest", "UTC", now: "2026-11-22T14:03:07Z") == .latest)
  }

  struct Mistake: Sendable, CustomTestStringConvertible {
    let text: String
    var now = "2026-11-22T14:03:07+01:00"
    let message: String
    var hint = "'2 hours ago'"
    var testDescription: String { text }
  }

  static let mistakes = [
    Mistake(text: "", message: "is empty"),
    Mistake(text: "soon", message: "is not a time"),
    Mistake(text: "3h", message: "is not a time"),
    Mistake(text: "-1", message: "is not a time"),
    Mistake(text: "2026-11", message: "does not begin with a date"),
    Mistake(text: "2026-02-30", message: "there is no such day"),
    Mistake(text: "2026-13-01", message: "there is no such day"),
    Mistake(text: "0000-01-01", message: "there is no such day"),
    Mistake(text: "2026-11-22 25:00", message: "'25:00' is not a time of day"),
    Mistake(text: "2026-11-22 14:60", message: "'14:60' is not a time of day"),
    Mistake(text: "2026-11-22 14:03:6", message: "'14:03:6' is not a time of day"),
    Mistake(text: "2026-11-22 14:03:06.", message: "'14:03:06.' is not a time of day"),
    Mistake(text: "24:00", message: "'24:00' is not a time of day"),
    Mistake(text: "2026-11-22 noon", message: "is not understood behind its date"),
    Mistake(text: "2026-11-22 14:03 CET", message: "is not understood behind its time of day"),
    Mistake(text: "2026-11-22 14:03+25:00", message: "is not understood behind its time of day"),
    Mistake(text: "14:03Z", message: "is not understood from 'z' on"),
    Mistake(text: "yesterday noon", message: "is not understood from 'noon' on"),
    Mistake(text: "today 14:03 Z", message: "is not understood from '14:03 z' on"),
    Mistake(text: "ago", message: "has no time before 'ago'"),
    Mistake(text: "hours ago", message: "'hours' has no number"),
    Mistake(text: "2 ago", message: "'2' has no unit"),
    Mistake(text: "9999999999 s ago", message: "'9999999999 s' has no unit"),
    Mistake(text: "2 fortnights ago", message: "'fortnights' is not a unit of time", hint: "the units are seconds"),
    Mistake(text: "2 months ago", message: "months and years differ", hint: "'30 days ago'"),
    // The hour that Berlin repeats, and the one that it skips.
    Mistake(
      text: "2026-10-25 02:30", message: "occurs twice in Europe/Berlin",
      hint: "choose one: 2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00"),
    Mistake(
      text: "02:30", now: "2026-10-25T12:00:00+01:00", message: "occurs twice in Europe/Berlin", hint: "choose one"),
    Mistake(
      text: "yesterday 02:30", now: "2026-10-26T12:00:00+01:00", message: "occurs twice", hint: "choose one"),
    Mistake(
      text: "2026-03-29 02:30", message: "does not exist: the clocks of Europe/Berlin skip it",
      hint: "the first time after it is 2026-03-29T03:00:00+02:00"),
    Mistake(
      text: "02:30", now: "2026-03-29T12:00:00+02:00", message: "does not exist", hint: "the first time after it"),
    Mistake(
      text: "2026-11-23", message: "is in the future: it is 2026-11-22 14:03:07 +01:00 now", hint: "latest"),
    Mistake(text: "2026-11-22 14:04:08", message: "is in the future", hint: "a time in the past"),
    Mistake(text: "today 15:00", message: "is in the future", hint: "a time in the past"),
  ]

  @Test("A text that is not a time is refused with the mistake and a correct form", arguments: mistakes)
  func refuses(_ mistake: Mistake) throws {
    let error = #expect(throws: HoldfastError.self) { try read(mistake.text, "Europe/Berlin", now: mistake.now) }
    #expect(error?.code == .usage)
    let (message, hint) = (error?.message ?? "", error?.hint ?? "")
    #expect(message.hasPrefix("--at '\(mistake.text)' "), "\(message)")
    #expect(message.contains(mistake.message), "\(message)")
    #expect(hint.contains(mistake.hint), "\(hint)")
  }

  @Test("No input causes a crash")
  func garbage() throws {
    var generator = SeededGenerator(seed: 20)
    let parts = [
      "2026-11-22", "T", " ", "14:03", ":", "-", "+01:00", "z", "ago", "99999999999999999999", "1", "h", "yesterday",
      "a",
      "\u{1F600}", "\u{0}", "٣", ".", "week", "today", "0000-00-00", "9999-12-31",
    ]
    for _ in 0..<5000 {
      let text = (0..<Int.random(in: 0..<6, using: &generator)).map { _ in generator.pick(parts) }.joined()
      _ = try? read(text, "Asia/Beirut", now: "2026-11-22T14:03:07Z")
    }
  }
}
