extension PosixZone {
  /// Reads `std offset [dst [offset] [,start[/time],end[/time]]]`; nil for anything else.
  ///
  /// With a second name and no rule for it, the rule of the United States holds, as in the C library.
  package init?(_ text: String) {
    var reader = Reader(text)
    guard reader.name(), let west = reader.clock(hours: 24) else { return nil }
    standardOffset = -west
    guard !reader.isAtEnd else { return }
    guard let daylight = reader.daylight(standardOffset: standardOffset), reader.isAtEnd else { return nil }
    self.daylight = daylight
  }
}

/// Consumes a rule from its left.
private struct Reader {
  private var rest: Substring.UTF8View

  init(_ text: String) { rest = Substring(text).utf8 }

  var isAtEnd: Bool { rest.isEmpty }

  private mutating func take(_ byte: Character) -> Bool {
    guard let value = byte.asciiValue, rest.first == value else { return false }
    rest.removeFirst()
    return true
  }

  private mutating func number(_ range: ClosedRange<Int>) -> Int? {
    let digits = rest.prefix(4).prefix { (48...57).contains($0) }
    guard let value = Int(digits: digits), range.contains(value) else { return nil }
    rest.removeFirst(digits.count)
    return value
  }

  /// `CET`, or in brackets with digits and signs: `<+0330>`.
  mutating func name() -> Bool {
    let quoted = take("<")
    let letters = rest.prefix { byte in
      Unicode.Scalar(byte).properties.isAlphabetic && byte < 128
        || quoted && ((48...57).contains(byte) || byte == 43 || byte == 45)
    }
    rest.removeFirst(letters.count)
    return letters.count >= 3 && (!quoted || take(">"))
  }

  /// `[+-]hh[:mm[:ss]]` in seconds.
  mutating func clock(hours: Int) -> Int? {
    let sign = take("-") ? -1 : 1
    if sign == 1 { _ = take("+") }
    guard let hour = number(0...hours) else { return nil }
    guard take(":") else { return sign * hour * 3600 }
    guard let minute = number(0...59) else { return nil }
    guard take(":") else { return sign * (hour * 3600 + minute * 60) }
    guard let second = number(0...59) else { return nil }
    return sign * (hour * 3600 + minute * 60 + second)
  }

  mutating func daylight(standardOffset: Int) -> PosixZone.DaylightSaving? {
    guard name() else { return nil }
    var offset = standardOffset + 3600
    if !isAtEnd, rest.first != UInt8(ascii: ",") {
      guard let west = clock(hours: 24) else { return nil }
      offset = -west
    }
    if isAtEnd {
      return .init(
        offset: offset, start: .init(day: .weekday(0, week: 2, month: 3)),
        end: .init(day: .weekday(0, week: 1, month: 11)))
    }
    guard let start = moment(), let end = moment() else { return nil }
    return .init(offset: offset, start: start, end: end)
  }

  private mutating func moment() -> PosixZone.YearlyMoment? {
    guard take(","), let day = day() else { return nil }
    guard take("/") else { return .init(day: day) }
    return clock(hours: 167).map { .init(day: day, seconds: $0) }
  }

  private mutating func day() -> PosixZone.YearlyDay? {
    if take("J") { return number(1...365).map { .julian($0) } }
    guard take("M") else { return number(0...365).map { .zeroBased($0) } }
    guard let month = number(1...12), take("."), let week = number(1...5), take("."), let weekday = number(0...6)
    else { return nil }
    return .weekday(weekday, week: week, month: month)
  }
}
