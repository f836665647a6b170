/// A zone's rule for all years, as POSIX writes it in `TZ` and RFC 9636 in a zone file's last line:
/// `CET-1CEST,M3.5.0,M10.5.0/3`.
package struct PosixZone: Hashable, Sendable {
  /// Seconds east of UTC outside daylight-saving time.
  var standardOffset: Int
  var daylight: DaylightSaving?

  /// The part of the year with another offset. It may be less than the standard one (Europe/Dublin).
  struct DaylightSaving: Hashable, Sendable {
    /// Seconds east of UTC.
    var offset: Int
    /// By the local clock with the standard offset.
    var start: YearlyMoment
    /// By the local clock with this offset.
    var end: YearlyMoment
  }

  /// A moment of each year.
  struct YearlyMoment: Hashable, Sendable {
    var day: YearlyDay
    /// Seconds after midnight of that day; may be negative or beyond the day (RFC 9636: −167…167 hours).
    var seconds = 7200
  }

  enum YearlyDay: Hashable, Sendable {
    /// `Jn`: 1…365, 29 February never counted.
    case julian(Int)
    /// `n`: 0…365, 29 February counted.
    case zeroBased(Int)
    /// `Mm.w.d`: weekday d (0 = Sunday) of the w-th week of month m; the fifth is the last.
    case weekday(Int, week: Int, month: Int)
  }
}

extension PosixZone {
  /// Seconds east of UTC at a second since the epoch.
  func offset(at second: Int64) -> Int {
    transitions(around: second).last { $0.instant <= second }?.offset ?? standardOffset
  }

  /// The first change of the offset after a second since the epoch; nil if it never changes.
  func nextChange(after second: Int64) -> ZoneRules.Transition? {
    var offset: Int?
    for transition in transitions(around: second) {
      if transition.instant > second, let offset, transition.offset != offset { return transition }
      offset = transition.offset
    }
    return nil
  }

  /// The transitions of the previous year, this year and the next two, in order; if two are at the
  /// same instant, only the one that takes effect later.
  ///
  /// Daylight saving that lasts all year ends and begins at the same instant, and the beginning
  /// counts.
  private func transitions(around second: Int64) -> [ZoneRules.Transition] {
    guard let daylight else { return [] }
    let year = Timestamp(milliseconds: second.multipliedClamped(by: 1000)).civil.year
    var moments: [(instant: Int64, begins: Bool)] = []
    for year in (year - 1)...(year + 2) {
      moments.append((daylight.start.wallSecond(in: year) - Int64(standardOffset), true))
      moments.append((daylight.end.wallSecond(in: year) - Int64(daylight.offset), false))
    }
    // The beginning that may cancel the last end.
    moments.append((daylight.start.wallSecond(in: year + 3) - Int64(standardOffset), true))
    moments.sort { ($0.instant, $0.begins ? 1 : 0) < ($1.instant, $1.begins ? 1 : 0) }
    var transitions: [ZoneRules.Transition] = []
    for moment in moments {
      if transitions.last?.instant == moment.instant { transitions.removeLast() }
      transitions.append(.init(instant: moment.instant, offset: moment.begins ? daylight.offset : standardOffset))
    }
    return transitions
  }
}

extension PosixZone.YearlyMoment {
  /// Seconds since the epoch, as if the local clock showed UTC.
  func wallSecond(in year: Int) -> Int64 { day.number(in: year) * 86400 + Int64(seconds) }
}

extension PosixZone.YearlyDay {
  /// Days since the epoch.
  func number(in year: Int) -> Int64 {
    let january = CalendarMonth(year: year, month: 1)
    switch self {
    case .zeroBased(let day): return january.firstDay + Int64(day)
    case .julian(let day):
      let leap = CalendarMonth(year: year, month: 2).length == 29
      return january.firstDay + Int64(day - 1) + (leap && day > 59 ? 1 : 0)
    case .weekday(let weekday, let week, let month):
      let month = CalendarMonth(year: year, month: month)
      var day = 1 + (weekday - month.firstWeekday + 7) % 7 + (week - 1) * 7
      if day > month.length { day -= 7 }
      return month.firstDay + Int64(day - 1)
    }
  }
}

extension PosixZone {
  /// Reads `std offset [dst [offset] [,start[/time],end[/time]]]`; nil if the text has another
  /// form.
  ///
  /// If there is a second name but no rule for it, the rule of the United States applies, as in the
  /// C library.
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

  private mutating func consume(_ byte: Character) -> Bool {
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
    let quoted = consume("<")
    let letters = rest.prefix { byte in
      Unicode.Scalar(byte).properties.isAlphabetic && byte < 128
        || quoted && ((48...57).contains(byte) || byte == 43 || byte == 45)
    }
    rest.removeFirst(letters.count)
    return letters.count >= 3 && (!quoted || consume(">"))
  }

  /// `[+-]hh[:mm[:ss]]` in seconds.
  mutating func clock(hours: Int) -> Int? {
    let sign = consume("-") ? -1 : 1
    if sign == 1 { _ = consume("+") }
    guard let hour = number(0...hours) else { return nil }
    guard consume(":") else { return sign * hour * 3600 }
    guard let minute = number(0...59) else { return nil }
    guard consume(":") else { return sign * (hour * 3600 + minute * 60) }
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
    guard consume(","), let day = day() else { return nil }
    guard consume("/") else { return .init(day: day) }
    return clock(hours: 167).map { .init(day: day, seconds: $0) }
  }

  private mutating func day() -> PosixZone.YearlyDay? {
    if consume("J") { return number(1...365).map { .julian($0) } }
    guard consume("M") else { return number(0...365).map { .zeroBased($0) } }
    guard let month = number(1...12), consume("."), let week = number(1...5), consume("."), let weekday = number(0...6)
    else { return nil }
    return .weekday(weekday, week: week, month: month)
  }
}
