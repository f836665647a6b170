import TestSupport
import Testing

@testable import BackupPolicy

@Suite("Zones")
struct ZoneRulesTests {
  @Test(
    "Rules for all years are read",
    arguments: [
      ("UTC0", 0, 0), ("EST5", -18000, -18000), ("<+0545>-5:45", 20700, 20700), ("<-0230>+2:30:15", -9015, -9015),
      ("CET-1CEST,M3.5.0,M10.5.0/3", 3600, 7200), ("IST-1GMT0,M10.5.0,M3.5.0/1", 0, 3600),
      ("NST3:30NDT", -12600, -9000),
      ("AEST-10AEDT,M10.1.0,M4.1.0/3", 39600, 36000), ("XST-2XDT-3,J60,J300/4:30", 7200, 10800),
      ("XST-2XDT-3,59/-1,299/167", 7200, 10800), ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", -7200, -3600),
    ] as [(String, Int, Int)])
  func rules(text: String, january: Int, july: Int) throws {
    let zone = try ZoneSamples.zone(text, text)
    for year in ["1971", "2026", "2100", "9998"] {
      #expect(zone.offset(at: try #require(Timestamp(iso8601: "\(year)-01-15T12:00:00Z"))) == january)
      #expect(zone.offset(at: try #require(Timestamp(iso8601: "\(year)-07-15T12:00:00Z"))) == july)
    }
  }

  @Test(
    "A text that is not a rule is rejected",
    arguments: [
      "", "UTC", "CE-1", "1CET", "CET-1CEST,", "CET-1CEST,M3.5.0", "CET-1CEST,M3.5.0,M10.5.0/3,", "CET-25",
      "CET-1CEST,M13.5.0,M10.5.0", "CET-1CEST,M3.6.0,M10.5.0", "CET-1CEST,M3.5.7,M10.5.0", "CET-1CEST,J0,J365",
      "CET-1CEST,J366,J365", "CET-1CEST,366,0", "CET-1CEST,M3.5.0/168,M10.5.0", "CET-1:60", "CET-1:00:60", "<CET-1",
      "CET-1 CEST", "Europe/Berlin", "CET-1CEST,M3.5.0,M10.5.0/3\n", "ÄÖÜ-1", "CET-99999999999999999999",
    ])
  func notARule(text: String) { #expect(PosixZone(text) == nil) }

  /// The 60th day is 1 March if 29 February is not counted. If it is counted, the 60th day is 1
  /// March only in other years.
  @Test func daysOfTheYear() throws {
    for (year, counted) in [(2026, "2026-03-01"), (2028, "2028-02-29")] {
      let zero = PosixZone.YearlyDay.zeroBased(59).number(in: year)
      let julian = PosixZone.YearlyDay.julian(60).number(in: year)
      #expect(Timestamp(milliseconds: zero * 86_400_000).iso8601.hasPrefix(counted))
      #expect(Timestamp(milliseconds: julian * 86_400_000).iso8601.hasPrefix("\(year)-03-01"))
    }
  }

  @Test("A wall time has no instant in a gap, two in an overlap, else one")
  func instants() throws {
    let berlin = try ZoneSamples.named("Europe/Berlin")
    func instants(_ month: Int, _ day: Int, _ hour: Int, _ minute: Int) -> [String] {
      berlin.instants(
        of: CivilTime(year: 2026, month: month, day: day, hour: hour, minute: minute, second: 0, millisecond: 0)
      ).map(\.iso8601)
    }
    #expect(instants(3, 29, 1, 59) == ["2026-03-29T00:59:00.000Z"])
    #expect(instants(3, 29, 2, 0) == [] && instants(3, 29, 2, 59) == [])
    #expect(instants(3, 29, 3, 0) == ["2026-03-29T01:00:00.000Z"])
    #expect(instants(10, 25, 2, 0) == ["2026-10-25T00:00:00.000Z", "2026-10-25T01:00:00.000Z"])
    #expect(instants(10, 25, 3, 0) == ["2026-10-25T02:00:00.000Z"])
    #expect(instants(2, 30, 3, 0) == [] && instants(13, 1, 3, 0) == [])
    let apia = try ZoneSamples.named("Pacific/Apia")
    for hour in 0..<24 {
      let skipped = CivilTime(year: 2011, month: 12, day: 30, hour: hour, minute: 0, second: 0, millisecond: 0)
      #expect(apia.instants(of: skipped) == [])
    }
  }

  @Test("Every instant is among the instants of its own wall time")
  func roundTrip() throws {
    var random = SeededGenerator(seed: 9_636)
    for name in [
      "Europe/Berlin", "Australia/Lord_Howe", "Europe/Dublin", "Pacific/Apia", "Africa/Monrovia", "Asia/Beirut",
    ] {
      let zone = try ZoneSamples.named(name)
      for _ in 0..<300 {
        let time = Timestamp(milliseconds: Int64.random(in: 0...8_000_000_000_000, using: &random))
        #expect(zone.instants(of: zone.local(time)).contains(time), "\(name) \(time.iso8601)")
      }
    }
  }

  @Test("A time with an offset is read, and a time without one uses the clocks of the zone")
  func readingTimes() throws {
    let berlin = try ZoneSamples.named("Europe/Berlin")
    for (text, time) in [
      ("2026-07-01", "2026-06-30T22:00:00.000Z"), ("2026-07-01T12:30", "2026-07-01T10:30:00.000Z"),
      ("2026-07-01 12:30:15", "2026-07-01T10:30:15.000Z"), ("2026-07-01T12:30:15Z", "2026-07-01T12:30:15.000Z"),
      ("2026-10-25T02:30:00+01:00", "2026-10-25T01:30:00.000Z"),
    ] {
      #expect(try berlin.time(text, name: "--after").iso8601 == time)
    }
    let gap = try #require(throws: HoldfastError.self) { try berlin.time("2026-03-29T02:30", name: "--after") }
    #expect(gap.code == .usage && gap.hint == "the first time after it is 2026-03-29T03:00:00+02:00")
    let twice = try #require(throws: HoldfastError.self) { try berlin.time("2026-10-25T02:30", name: "--after") }
    #expect(twice.hint == "choose one: 2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00")
    for text in ["", "now", "2026-13-01", "2026-07-01T25:00", "12:30", "2026-07-01T12:30:15+2"] {
      #expect(throws: HoldfastError.self) { try berlin.time(text, name: "--after") }
    }
  }

  @Test func writtenTimes() throws {
    let time = try #require(Timestamp(iso8601: "1971-12-31T23:00:00Z"))
    #expect(ZoneRules.utc.text(time) == "1971-12-31 23:00 +00:00")
    #expect(try ZoneSamples.named("Africa/Monrovia").rfc3339(time) == "1971-12-31T22:15:30-00:44:30")
    #expect(try ZoneSamples.named("Asia/Kathmandu").rfc3339(time) == "1972-01-01T04:45:00+05:45")
  }

  @Test(
    "The nearest spelling is suggested",
    arguments: [
      ("Febuary", nil), ("Tus", "Tue"), ("tue", "Tue"), ("Wen", "Wed"), ("Eruope/Berlin", "Europe/Berlin"), ("x", nil),
      ("", nil), ("Erupe", nil),
    ] as [(String, String?)])
  func spelling(word: String, nearest: String?) {
    #expect(Spelling.nearest(to: word, among: ["Mon", "Tue", "Wed", "Feb", "Europe/Berlin"]) == nearest)
  }
}
