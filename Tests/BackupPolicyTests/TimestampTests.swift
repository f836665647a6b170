import TestSupport
import Testing

@testable import BackupPolicy

@Suite struct TimestampTests {
  @Test(
    "Seconds equal those of Python's datetime",
    arguments: [
      ("0001-01-01T00:00:00.000Z", -62_135_596_800), ("1582-10-04T00:00:00.000Z", -12_220_243_200),
      ("1899-12-31T23:59:59.000Z", -2_208_988_801), ("1900-02-28T12:00:00.000Z", -2_203_934_400),
      ("1900-03-01T12:00:00.000Z", -2_203_848_000), ("1969-12-31T23:59:59.000Z", -1),
      ("1970-01-01T00:00:00.000Z", 0), ("2000-02-29T00:00:00.000Z", 951_782_400),
      ("2023-11-16T14:30:22.000Z", 1_700_145_022), ("2024-02-29T23:59:59.000Z", 1_709_251_199),
      ("2038-01-19T03:14:08.000Z", 2_147_483_648), ("9999-12-31T23:59:59.000Z", 253_402_300_799),
    ] as [(String, Int64)])
  func knownTimes(text: String, seconds: Int64) {
    let time = Timestamp(milliseconds: seconds * 1000)
    #expect(time.iso8601 == text)
    #expect(Timestamp(iso8601: text) == time)
    #expect(Timestamp(time.civil) == time)
  }

  /// The calendar counted day by day, by the rule for leap years alone.
  @Test func everyDayOfEightCenturies() {
    var wrong: [String] = []
    var day = Self.daysBefore(year: 1600)
    for year in 1600..<2400 {
      for month in 1...12 {
        for date in 1...Self.days(month, year) {
          let time = Timestamp(milliseconds: day * 86_400_000 + 12_345_678)
          let civil = CivilTime(year: year, month: month, day: date, hour: 3, minute: 25, second: 45, millisecond: 678)
          if time.civil != civil || Timestamp(civil) != time { wrong.append("\(civil)") }
          day += 1
        }
      }
    }
    #expect(wrong.isEmpty, "\(wrong.prefix(5))")
  }

  @Test func theEdgesOfEveryYear() {
    var wrong: [String] = []
    for year in 1...9999 {
      let leap = Int64(Self.days(2, year) - 28)
      let first = Self.daysBefore(year: year)
      let edges = [(1, 1, 0), (2, 28, 58), (3, 1, 59 + leap), (12, 31, 364 + leap)] as [(Int, Int, Int64)]
      for (month, date, offset) in edges {
        let time = Timestamp(milliseconds: (first + offset) * 86_400_000)
        let civil = time.civil
        if (civil.year, civil.month, civil.day) != (year, month, date) || Timestamp(iso8601: time.iso8601) != time {
          wrong.append("\(year)-\(month)-\(date): \(time.iso8601)")
        }
      }
    }
    #expect(wrong.isEmpty, "\(wrong.prefix(5))")
  }

  @Test func dayThatIsNotThere() {
    for (year, month, day) in [(2023, 2, 29), (1900, 2, 29), (2024, 2, 30), (2024, 4, 31), (2024, 0, 1), (2024, 13, 1)]
    {
      let civil = CivilTime(year: year, month: month, day: day, hour: 0, minute: 0, second: 0, millisecond: 0)
      #expect(Timestamp(civil) == nil, "\(year)-\(month)-\(day)")
    }
  }

  @Test(
    "Different spellings of one instant are equal",
    arguments: [
      "2023-11-16T14:30:22.123Z", "2023-11-16T14:30:22.123456", "2023-11-16 14:30:22.123456+00:00",
      "2023-11-16T16:30:22.1239+02:00", "2023-11-16T09:00:22.123-05:30", "2023-11-17T14:29:22.123+23:59",
    ])
  func spellings(text: String) {
    #expect(Timestamp(iso8601: text)?.milliseconds == 1_700_145_022_123)
  }

  @Test func shortFractions() {
    #expect(Timestamp(iso8601: "1970-01-01T00:00:00.5Z")?.milliseconds == 500)
    #expect(Timestamp(iso8601: "1970-01-01T00:00:00.05Z")?.milliseconds == 50)
    #expect(Timestamp(iso8601: "1970-01-01T00:00:00")?.milliseconds == 0)
  }

  @Test(
    "A text that is not a time is rejected",
    arguments: [
      "", "now", "2023-11-16", "2023-11-16T14:30", "2023-11-16T24:00:00Z", "2023-11-16T14:60:00Z",
      "2023-11-16T14:30:61Z", "2023-02-29T00:00:00Z", "2023-11-16T14:30:22.Z", "2023-11-16T14:30:22+2:00",
      "2023-11-16T14:30:22+24:00", "2023-11-16T14:30:22 ", "2023-11-16T14:30:22Zebra", "-023-11-16T14:30:22Z",
      "２０２３-11-16T14:30:22Z", "2023-11-16T14:30:2٣Z", "0000-12-31T00:00:00Z", "0001-01-01T00:00:00+00:01",
      "9999-12-31T23:59:59-00:01", "10000-01-01T00:00:00Z",
    ])
  func garbage(text: String) {
    #expect(Timestamp(iso8601: text) == nil)
  }

  @Test func longGarbage() {
    #expect(
      Timestamp(iso8601: "2023-11-16T14:30:22." + String(repeating: "9", count: 10_000))?.civil.millisecond == 999)
    #expect(Timestamp(iso8601: String(repeating: "2", count: 10_000)) == nil)
  }

  /// A header may carry any 64 bits as its time.
  @Test(arguments: [Int64.min, .min + 1, -62_135_596_800_001, 253_402_300_800_000, .max - 1, .max])
  func anyNumberOfMilliseconds(milliseconds: Int64) throws {
    let time = Timestamp(milliseconds: milliseconds)
    let civil = time.civil
    #expect((1...12).contains(civil.month) && (1...31).contains(civil.day) && (0...999).contains(civil.millisecond))
    let read = try #require(Timestamp(iso8601: time.iso8601), "\(time.iso8601)")
    #expect(read.iso8601 == time.iso8601)
    #expect(PointID(PointID(at: time).text) == PointID(at: time))
    #expect(time.adding(seconds: .max) >= time && time.adding(seconds: .min) <= time)
    #expect(time.adding(.seconds(Int64.max)) >= time && time.adding(.seconds(Int64.min)) <= time)
  }

  @Test func addingADurationIsExactToTheMillisecond() {
    let time = Timestamp(milliseconds: 1000)
    #expect(time.adding(.milliseconds(1500)).milliseconds == 2500 && time.adding(.seconds(-2)).milliseconds == -1000)
    #expect(time.adding(.microseconds(1999)).milliseconds == 1001)
    #expect(time.adding(.microseconds(-1999)).milliseconds == 999)
    #expect(Duration.milliseconds(Int64.max).wholeMilliseconds == .max)
    #expect(Duration.milliseconds(Int64.min).wholeMilliseconds == .min)
  }

  @Test func randomRoundTrips() {
    var random = SeededGenerator(seed: 20_231_116)
    for _ in 0..<20_000 {
      let range = Timestamp.writable.lowerBound.milliseconds...Timestamp.writable.upperBound.milliseconds
      let time = Timestamp(milliseconds: Int64.random(in: range, using: &random))
      guard Timestamp(iso8601: time.iso8601) == time, Timestamp(time.civil) == time else {
        Issue.record("\(time.milliseconds) reads back as something else: \(time.iso8601)")
        return
      }
    }
  }

  private static func days(_ month: Int, _ year: Int) -> Int {
    if month == 2 { return year % 400 == 0 || (year % 4 == 0 && year % 100 != 0) ? 29 : 28 }
    return [31, 0, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]
  }

  /// Days from 1970-01-01 to the first of `year`.
  private static func daysBefore(year: Int) -> Int64 {
    let years = year - 1
    return Int64(years * 365 + years / 4 - years / 100 + years / 400) - 719_162
  }
}
