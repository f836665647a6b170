/// A span of the calendar, as restic writes it: `1y5m7d2h` is a year, five months, seven days and two hours.
///
/// How long a year or a month is depends on when it is counted from.
public struct CalendarSpan: Hashable, Sendable {
  /// Years.
  public var years: Int
  /// Months.
  public var months: Int
  /// Days of the calendar, which changes of the clocks make longer or shorter.
  public var days: Int
  /// Seconds, for hours and less.
  public var seconds: Int64

  /// - Parameters:
  ///   - years: years.
  ///   - months: months.
  ///   - days: days of the calendar.
  ///   - seconds: seconds.
  public init(years: Int = 0, months: Int = 0, days: Int = 0, seconds: Int64 = 0) {
    self.years = years
    self.months = months
    self.days = days
    self.seconds = seconds
  }

  /// Whether it is no time at all.
  public var isZero: Bool { years == 0 && months == 0 && days == 0 && seconds == 0 }
}

extension CalendarSpan {
  /// Reads numbers with units: `y`, `m` (months), `w` (seven days), `d`, `h`, `min` and `s`; each unit once, whatever their
  /// order. Nil for anything else, and for numbers beyond a million.
  package init?(_ text: String) {
    var rest = Substring(text)
    var seen: Set<Substring> = []
    self.init()
    while !rest.isEmpty {
      let digits = rest.prefix { $0.isASCII && $0.isNumber }
      rest = rest.dropFirst(digits.count)
      let unit = rest.prefix { $0.isASCII && $0.isLetter }
      rest = rest.dropFirst(unit.count)
      guard let number = Int(digits), number <= Self.largest, seen.insert(unit).inserted, add(number, unit) else {
        return nil
      }
    }
    guard !seen.isEmpty else { return nil }
  }

  private static let largest = 1_000_000

  private mutating func add(_ number: Int, _ unit: Substring) -> Bool {
    switch unit {
    case "y": years += number
    case "m": months += number
    case "w": days += number * 7
    case "d": days += number
    case "h": seconds += Int64(number) * 3600
    case "min": seconds += Int64(number) * 60
    case "s": seconds += Int64(number)
    default: return false
    }
    return true
  }

  /// About how many days it is, a month being 30 and a year 365; nil where that is not a whole number.
  package var wholeDays: Int? {
    guard seconds % 86400 == 0, years <= Self.largest, months <= Self.largest, days <= Self.largest * 7 else {
      return nil
    }
    return years * 365 + months * 30 + days + Int(seconds / 86400)
  }

  /// As it is written: `1y5m7d2h`.
  package var text: String {
    let parts: [(Int64, String)] = [
      (Int64(years), "y"), (Int64(months), "m"), (Int64(days), "d"), (seconds / 3600, "h"),
      (seconds % 3600 / 60, "min"), (seconds % 60, "s"),
    ]
    let text = parts.filter { $0.0 != 0 }.map { "\($0.0)\($0.1)" }.joined()
    return text.isEmpty ? "0d" : text
  }

  /// The time that is so long before another, by the clocks of a zone: first the date goes back, the time of day stays, then
  /// the seconds go off. 31 March less a month is 3 March, there being no 31 February: the days that are too many count on.
  func before(_ time: Timestamp, in zone: ZoneRules) -> Timestamp {
    func bounded(_ number: Int) -> Int { min(max(number, -Self.largest), Self.largest) }
    let civil = zone.local(time)
    let month = (civil.year - bounded(years)) * 12 + civil.month - 1 - bounded(months)
    let year = month.flooredQuotient(by: 12)
    let first = CalendarMonth(year: year, month: month - year * 12 + 1).firstDay
    let day = first + Int64(civil.day - 1 - bounded(days))
    let timeOfDay = Int64(civil.hour * 3600 + civil.minute * 60 + civil.second) * 1000 + Int64(civil.millisecond)
    let wall = Timestamp(milliseconds: day.multipliedClamped(by: 86_400_000).addingClamped(timeOfDay))
    return instant(ofWall: wall, zone).adding(seconds: seconds == .min ? .max : -seconds)
  }

  /// In a gap or an overlap of the clocks, the one of the two answers that Go's `time.Date` gives, and so restic.
  private func instant(ofWall wall: Timestamp, _ zone: ZoneRules) -> Timestamp {
    let guess = zone.offset(at: wall)
    let offset = zone.offset(at: wall.adding(seconds: -Int64(guess)))
    return wall.adding(seconds: -Int64(offset))
  }
}
