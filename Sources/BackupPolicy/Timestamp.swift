/// A point in wall time: milliseconds since 1970-01-01T00:00:00Z, without leap seconds.
///
/// Policy receives times as values; its caller reads the clock.
///
/// ```swift
/// let lastWeek = backup.created.adding(.seconds(-7 * 86400))
/// let older = try await service.list().filter { $0.created < lastWeek }
/// ```
public struct Timestamp: Hashable, Comparable, Sendable {
  /// Milliseconds since the Unix epoch; negative before it.
  public var milliseconds: Int64

  /// - Parameter milliseconds: milliseconds since the Unix epoch.
  public init(milliseconds: Int64) {
    self.milliseconds = milliseconds
  }

  /// Earlier in time.
  public static func < (left: Timestamp, right: Timestamp) -> Bool {
    left.milliseconds < right.milliseconds
  }

  /// Returns this time moved by `duration`, in whole milliseconds. The first or the last time that can be expressed is the
  /// limit.
  public func adding(_ duration: Duration) -> Timestamp {
    Timestamp(milliseconds: milliseconds.addingClamped(duration.wholeMilliseconds))
  }

  /// The same as ``adding(_:)``, for seconds.
  package func adding(seconds: Int64) -> Timestamp {
    Timestamp(milliseconds: milliseconds.addingClamped(seconds.multipliedClamped(by: 1000)))
  }
}

extension Duration {
  /// Milliseconds, rounded towards zero, and limited to what 64 bits can express.
  package var wholeMilliseconds: Int64 {
    let (seconds, attoseconds) = components
    return seconds.multipliedClamped(by: 1000).addingClamped(attoseconds / 1_000_000_000_000_000)
  }
}

/// A date and time of day in the proleptic Gregorian calendar, UTC.
///
/// ```swift
/// let time = backup.created.civil
/// print("made on day \(time.day) at \(time.hour):\(time.minute) UTC")
/// ```
public struct CivilTime: Hashable, Sendable {
  /// The year; 0 is 1 BC.
  public var year: Int
  /// 1…12.
  public var month: Int
  /// 1…31.
  public var day: Int
  /// 0…23.
  public var hour: Int
  /// 0…59.
  public var minute: Int
  /// 0…59; 60 is read as the first second of the next minute.
  public var second: Int
  /// 0…999.
  public var millisecond: Int
}

extension Timestamp {
  /// The UTC calendar fields. Algorithm: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
  public var civil: CivilTime {
    let day = milliseconds.flooredQuotient(by: 86_400_000)
    // Not `milliseconds - day * 86_400_000`: that product overflows for the first possible day.
    let rest = Int(milliseconds % 86_400_000 + 86_400_000) % 86_400_000
    let shifted = Int(day) + 719_468
    let era = shifted.flooredQuotient(by: 146_097)
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    return CivilTime(
      year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month: month,
      day: dayOfYear - (153 * shiftedMonth + 2) / 5 + 1,
      hour: rest / 3_600_000, minute: rest / 60000 % 60, second: rest / 1000 % 60, millisecond: rest % 1000)
  }

  /// The instant of UTC calendar fields (days_from_civil of the same source); nil if a field is out
  /// of range.
  public init?(_ civil: CivilTime) {
    guard (1...12).contains(civil.month), (1...Self.days(inMonth: civil.month, of: civil.year)).contains(civil.day),
      (0...23).contains(civil.hour), (0...59).contains(civil.minute), (0...60).contains(civil.second),
      (0...999).contains(civil.millisecond), (-9999...99999).contains(civil.year)
    else { return nil }
    let year = civil.month <= 2 ? civil.year - 1 : civil.year
    let era = year.flooredQuotient(by: 400)
    let yearOfEra = year - era * 400
    let dayOfYear = (153 * (civil.month + (civil.month > 2 ? -3 : 9)) + 2) / 5 + civil.day - 1
    let days = era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    let seconds = Int64(days) * 86400 + Int64(civil.hour * 3600 + civil.minute * 60 + civil.second)
    self.init(milliseconds: seconds * 1000 + Int64(civil.millisecond))
  }

  private static func days(inMonth month: Int, of year: Int) -> Int {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
    return month == 2 ? (leap ? 29 : 28) : [4, 6, 9, 11].contains(month) ? 30 : 31
  }
}

extension Timestamp {
  /// The times that a clock may show, the years 0100…9899: schedules, zones and rules add years to
  /// it, and the sum must have a text form.
  package static let ofClocks =
    Timestamp(milliseconds: -59_011_459_200_000)...Timestamp(milliseconds: 250_246_627_199_999)

  /// The nearest time that a clock may show.
  package var ofClock: Timestamp { min(max(self, Self.ofClocks.lowerBound), Self.ofClocks.upperBound) }

  /// The times whose year has four digits, which text forms can express.
  static let writable = Timestamp(milliseconds: -62_135_596_800_000)...Timestamp(milliseconds: 253_402_300_799_999)

  /// The nearest time in the years 0001…9999: other times come only from a broken clock or a forged header.
  var writable: Timestamp { min(max(self, Self.writable.lowerBound), Self.writable.upperBound) }

  /// RFC 3339 in UTC with milliseconds, as in the metadata: `2023-11-16T14:30:22.000Z`. Times beyond the years 0001…9999
  /// are written as the nearest within.
  public var iso8601: String {
    let time = writable.civil
    return "\(time.year.padded(4))-\(time.month.padded(2))-\(time.day.padded(2))"
      + "T\(time.hour.padded(2)):\(time.minute.padded(2)):\(time.second.padded(2)).\(time.millisecond.padded(3))Z"
  }

  /// Reads the formats of ``iso8601`` and Python's `isoformat()`: with or without a fraction (cut
  /// to milliseconds), with `Z`, with an offset such as `+02:00`, or without an offset (then UTC).
  /// Returns nil if the text has another form or is beyond the years 0001…9999.
  public init?(iso8601 text: String) {
    let bytes = Array(text.utf8)
    guard bytes.count >= 19, bytes[4] == UInt8(ascii: "-"), bytes[7] == UInt8(ascii: "-"),
      bytes[10] == UInt8(ascii: "T") || bytes[10] == UInt8(ascii: " "),
      bytes[13] == UInt8(ascii: ":"), bytes[16] == UInt8(ascii: ":"),
      let year = Int(digits: bytes[0..<4]), let month = Int(digits: bytes[5..<7]), let day = Int(digits: bytes[8..<10]),
      let hour = Int(digits: bytes[11..<13]), let minute = Int(digits: bytes[14..<16]),
      let second = Int(digits: bytes[17..<19])
    else { return nil }
    var rest = bytes[19...]
    var millisecond = 0
    if rest.first == UInt8(ascii: ".") {
      let fraction = rest.dropFirst().prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
      guard !fraction.isEmpty else { return nil }
      millisecond = Int(digits: (Array(fraction.prefix(3)) + [48, 48]).prefix(3)) ?? 0
      rest = rest.dropFirst(1 + fraction.count)
    }
    guard let offset = Self.offsetSeconds(Array(rest)),
      let local = Timestamp(
        CivilTime(
          year: year, month: month, day: day, hour: hour, minute: minute, second: second, millisecond: millisecond))
    else { return nil }
    let time = local.adding(seconds: -offset)
    guard Self.writable.contains(time) else { return nil }
    self = time
  }

  private static func offsetSeconds(_ bytes: [UInt8]) -> Int64? {
    if bytes.isEmpty || bytes == [UInt8(ascii: "Z")] { return 0 }
    guard bytes.count == 6, bytes[0] == UInt8(ascii: "+") || bytes[0] == UInt8(ascii: "-"),
      let hours = Int(digits: bytes[1..<3]), bytes[3] == UInt8(ascii: ":"), let minutes = Int(digits: bytes[4..<6]),
      hours < 24, minutes < 60
    else { return nil }
    return Int64(hours * 3600 + minutes * 60) * (bytes[0] == UInt8(ascii: "-") ? -1 : 1)
  }
}

extension Timestamp: Codable {
  /// Reads the ISO 8601 form.
  public init(from decoder: any Decoder) throws {
    let text = try decoder.singleValueContainer().decode(String.self)
    guard let time = Timestamp(iso8601: text) else {
      throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: "not a time: \(text)"))
    }
    self = time
  }

  /// Writes the ISO 8601 form.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(iso8601)
  }
}

extension FixedWidthInteger {
  /// Division that rounds toward negative infinity.
  func flooredQuotient(by divisor: Self) -> Self {
    let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
    return remainder != 0 && (remainder < 0) != (divisor < 0) ? quotient - 1 : quotient
  }
}

extension Int {
  /// Decimal digits, at least `width` of them.
  func padded(_ width: Int) -> String {
    let digits = String(self)
    return String(repeating: "0", count: Swift.max(0, width - digits.count)) + digits
  }

  /// ASCII digits and nothing else; callers limit the count, so that the value fits.
  init?(digits: some Collection<UInt8>) {
    guard !digits.isEmpty, digits.allSatisfy({ (48...57).contains($0) }) else { return nil }
    self = digits.reduce(0) { $0 * 10 + Int($1 - 48) }
  }
}
