/// Takes the parts of a time from the front of a text, lower case, without knowing what they are for.
struct TimeScan {
  private var rest: ArraySlice<UInt8>

  init(_ text: String) {
    rest = Array(text.utf8)[...]
  }

  var isAtEnd: Bool { rest.isEmpty }
  /// What was not taken yet.
  var left: String { String(decoding: rest, as: UTF8.self) }

  /// Four digits and a dash.
  var startsWithDate: Bool {
    var copy = self
    return copy.number(digits: 4...4) != nil && copy.skip("-")
  }

  mutating func skip(_ character: Unicode.Scalar) -> Bool {
    guard rest.first == UInt8(ascii: character) else { return false }
    rest.removeFirst()
    return true
  }

  /// `2026-11-22`; the fields are not checked. Nil for another form.
  mutating func date() -> CivilTime? {
    guard let year = number(digits: 4...4), skip("-"), let month = number(digits: 2...2), skip("-"),
      let day = number(digits: 2...2)
    else { return nil }
    return CivilTime(year: year, month: month, day: day, hour: 0, minute: 0, second: 0, millisecond: 0)
  }

  /// `14:03`, `14:03:07`, `14:03:07.123`.
  ///
  /// - Returns: milliseconds since midnight; an inner nil where it has the form and is no time of day, nil for another form.
  mutating func clock() -> Int64?? {
    let start = self
    guard let hour = number(digits: 1...2), skip(":"), let minute = number(digits: 2...2) else {
      self = start
      return nil
    }
    var (second, millisecond) = (0, 0)
    if skip(":") {
      guard let number = number(digits: 2...2) else { return .some(nil) }
      second = number
      if skip(".") {
        guard let fraction = fraction() else { return .some(nil) }
        millisecond = fraction
      }
    }
    guard hour < 24, minute < 60, second < 60 else { return .some(nil) }
    return Int64((hour * 60 + minute) * 60 + second) * 1000 + Int64(millisecond)
  }

  /// `z`, `+01:00`, `+0100`, `+01`: seconds east.
  mutating func offset() -> Int? {
    if skip("z") { return 0 }
    let isWest = rest.first == UInt8(ascii: "-")
    guard skip("+") || skip("-"), let hours = number(digits: 2...2) else { return nil }
    var minutes = 0
    if !isAtEnd {
      _ = skip(":")
      guard let number = number(digits: 2...2) else { return nil }
      minutes = number
    }
    guard hours < 24, minutes < 60 else { return nil }
    return (hours * 3600 + minutes * 60) * (isWest ? -1 : 1)
  }

  /// As many digits as there are, up to the upper bound.
  mutating func number(digits: ClosedRange<Int>) -> Int? {
    let found = rest.prefix(digits.upperBound).prefix { (48...57).contains($0) }
    guard found.count >= digits.lowerBound, let number = Int(digits: found) else { return nil }
    rest = rest.dropFirst(found.count)
    return number
  }

  /// A fraction of a second, cut to milliseconds.
  private mutating func fraction() -> Int? {
    let digits = rest.prefix(12).prefix { (48...57).contains($0) }
    guard !digits.isEmpty else { return nil }
    rest = rest.dropFirst(digits.count)
    return Int(digits: (Array(digits.prefix(3)) + [48, 48]).prefix(3))
  }

  /// The letters at the front.
  mutating func word() -> String? {
    let letters = rest.prefix { $0 != 32 && !(48...57).contains($0) }
    guard !letters.isEmpty else { return nil }
    rest = rest.dropFirst(letters.count)
    return String(decoding: letters, as: UTF8.self)
  }
}
