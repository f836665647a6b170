import Glibc

/// Times as stores write them. All are UTC and milliseconds since the epoch.
enum StoreTime {
  /// By this machine's clock.
  static func now() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }

  /// `20261128T185519Z`, as SigV4 signs it.
  static func basic(_ time: Int64) -> String {
    let seconds = Int(time.floorDivided(by: 1000))
    let (year, month, day) = civil(fromDays: seconds.floorDivided(by: 86400))
    let rest = seconds - seconds.floorDivided(by: 86400) * 86400
    return padded(year, 4) + padded(month, 2) + padded(day, 2) + "T" + padded(rest / 3600, 2)
      + padded(rest / 60 % 60, 2) + padded(rest % 60, 2) + "Z"
  }

  /// `2026-11-28T18:55:19Z`, also with a fraction or an offset (`+00:00`). Returns nil if the text
  /// is anything else.
  static func parse(iso8601 text: String) -> Int64? {
    let text = Array(text.utf8)
    guard text.count >= 20, text[4] == UInt8(ascii: "-"), text[7] == UInt8(ascii: "-"), text[10] == UInt8(ascii: "T"),
      text[13] == UInt8(ascii: ":"), text[16] == UInt8(ascii: ":"),
      let year = number(text[0..<4]), let month = number(text[5..<7]), let day = number(text[8..<10]),
      let hour = number(text[11..<13]), let minute = number(text[14..<16]), let second = number(text[17..<19])
    else { return nil }
    var rest = text[19...]
    var fraction = 0
    if rest.first == UInt8(ascii: ".") {
      let digits = rest.dropFirst().prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
      guard !digits.isEmpty else { return nil }
      fraction = number((Array(digits) + Array("000".utf8)).prefix(3)) ?? 0
      rest = rest.dropFirst(1 + digits.count)
    }
    guard let offset = offsetMinutes(rest),
      let time = milliseconds(year, month, day, hour, minute, second)
    else { return nil }
    return time + Int64(fraction) - Int64(offset) * 60_000
  }

  /// The `Date` header: `Sat, 28 Nov 2026 18:55:19 GMT` (RFC 9110, section 5.6.7).
  static func parse(httpDate text: String) -> Int64? {
    let fields = text.split { $0 == " " || $0 == ":" || $0 == "," }.map(String.init)
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    guard fields.count == 8, fields[7] == "GMT", let month = months.firstIndex(of: fields[2]),
      let day = number(fields[1].utf8), let year = number(fields[3].utf8), let hour = number(fields[4].utf8),
      let minute = number(fields[5].utf8), let second = number(fields[6].utf8)
    else { return nil }
    return milliseconds(year, month + 1, day, hour, minute, second)
  }

  private static func milliseconds(
    _ year: Int, _ month: Int, _ day: Int, _ hour: Int, _ minute: Int, _ second: Int
  ) -> Int64? {
    guard (1970...9999).contains(year), (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60,
      second <= 60
    else { return nil }
    return Int64(days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second) * 1000
  }

  private static func offsetMinutes(_ text: ArraySlice<UInt8>) -> Int? {
    let text = Array(text)
    if text == Array("Z".utf8) { return 0 }
    guard text.count == 6, text[3] == UInt8(ascii: ":"), let hours = number(text[1..<3]),
      let minutes = number(text[4..<6])
    else { return nil }
    switch text[0] {
    case UInt8(ascii: "+"): return hours * 60 + minutes
    case UInt8(ascii: "-"): return -(hours * 60 + minutes)
    default: return nil
    }
  }

  private static func number(_ digits: some Collection<UInt8>) -> Int? {
    guard (1...9).contains(digits.count) else { return nil }
    var value = 0
    for digit in digits {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
      value = value * 10 + Int(digit - UInt8(ascii: "0"))
    }
    return value
  }

  private static func padded(_ value: Int, _ width: Int) -> String {
    let digits = String(value)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }

  // Hinnant, "chrono-Compatible Low-Level Date Algorithms": years begin in March, 146,097 days an era.
  private static func days(_ year: Int, _ month: Int, _ day: Int) -> Int {
    let year = month <= 2 ? year - 1 : year
    let era = year.floorDivided(by: 400)
    let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
    let yearOfEra = year - era * 400
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }

  private static func civil(fromDays days: Int) -> (year: Int, month: Int, day: Int) {
    let shifted = days + 719_468
    let era = shifted.floorDivided(by: 146_097)
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
  }
}

extension BinaryInteger {
  /// Rounded down, also for negative numbers.
  fileprivate func floorDivided(by divisor: Self) -> Self {
    let quotient = self / divisor
    return self % divisor < 0 ? quotient - 1 : quotient
  }
}
