/// A time as a person names it, to return to the state of that time.
package enum PointInTime: Hashable, Sendable {
  /// The newest point, whatever the clocks showed when it was stored.
  case latest
  /// The newest point that is not after this moment.
  case moment(Timestamp)

  /// Reads `latest`, `2026-11-22`, `2026-11-22 14:03:07.5`, the same with `T` or with an offset,
  /// `14:03`, `yesterday 14:03`, `2 hours ago` and the like.
  ///
  /// Omitted parts of a time are zero, so a date alone is the beginning of that day. A time of day
  /// alone is the last time that the clocks showed it: today, or yesterday if today's is in the
  /// future. In `1d ago` a day has 24 hours.
  ///
  /// - Parameters:
  ///   - name: the source of the text, such as `--at`, for messages.
  ///   - zone: the zone of the text, unless it has an offset.
  ///   - now: the time from which the relative forms count.
  ///   - mayBeToCome: accepts times in the future.
  /// - Throws: `usage` if the text is not a time, if the zone's clocks skip the time or show it
  ///   twice, and if it is in the future: then there is a mistake in the date or the zone.
  package init(
    _ text: String, name: String, zone: ZoneRules, now: Timestamp, mayBeToCome: Bool = false
  ) throws(HoldfastError) {
    self = try PointInTimeParser(text: text, name: name, zone: zone, now: now, mayBeToCome: mayBeToCome).parse()
  }
}

/// Reads one text as a ``PointInTime``.
struct PointInTimeParser {
  let text: String
  let name: String
  let zone: ZoneRules
  let now: Timestamp
  var mayBeToCome = false

  /// Two machines' clocks differ by a little.
  private static let patience: Int64 = 60

  func parse() throws(HoldfastError) -> PointInTime {
    let words = text.lowercased().split(whereSeparator: \.isWhitespace).map(String.init)
    if words == ["latest"] { return .latest }
    let time = try moment(words)
    guard mayBeToCome || time <= now.adding(seconds: Self.patience) else {
      throw HoldfastError(
        .usage, "\(given) is in the future: it is \(zone.text(now)) now",
        hint: "name a time in the past, or latest for the newest backup")
    }
    return .moment(time)
  }

  private func moment(_ words: [String]) throws(HoldfastError) -> Timestamp {
    guard let first = words.first else { throw problem("is empty") }
    if words == ["now"] { return now }
    if words.last == "ago" { return try ElapsedTime(words.dropLast(), of: self).before(now) }
    if first == "today" || first == "yesterday" { return try day(first, words.dropFirst()) }
    var scan = TimeScan(words.joined(separator: " "))
    if scan.startsWithDate { return try dated(&scan) }
    if let clock = try clock(&scan) {
      guard scan.isAtEnd else { throw problem("is not understood from '\(scan.left.shortened)' on") }
      return try lastTime(clock)
    }
    throw problem("is not a time")
  }

  /// `today` and `yesterday`, with or without a time of day.
  private func day(_ word: String, _ rest: ArraySlice<String>) throws(HoldfastError) -> Timestamp {
    let start = word == "today" ? today : today.adding(seconds: -86400)
    if rest.isEmpty { return zone.firstInstant(ofWall: start) }
    var scan = TimeScan(rest.joined(separator: " "))
    guard let clock = try clock(&scan), scan.isAtEnd else {
      throw problem("is not understood from '\(rest.joined(separator: " ").shortened)' on")
    }
    return try instant(ofWall: start.advanced(by: clock))
  }

  private func dated(_ scan: inout TimeScan) throws(HoldfastError) -> Timestamp {
    guard let date = scan.date() else { throw problem("does not begin with a date") }
    guard let day = Timestamp(date), Timestamp.writable.contains(day) else {
      throw problem("is not a time: there is no such day")
    }
    // A day begins with its first instant, even if the clocks skip midnight or show it twice.
    if scan.isAtEnd { return zone.firstInstant(ofWall: day) }
    guard scan.skip(" ") || scan.skip("t"), let clock = try clock(&scan) else {
      throw problem("is not understood behind its date")
    }
    let wall = day.advanced(by: clock)
    if scan.isAtEnd { return try instant(ofWall: wall) }
    _ = scan.skip(" ")
    guard let offset = scan.offset(), scan.isAtEnd else { throw problem("is not understood behind its time of day") }
    return wall.adding(seconds: -Int64(offset))
  }

  /// - Returns: milliseconds since midnight; nil if there is no time of day here.
  private func clock(_ scan: inout TimeScan) throws(HoldfastError) -> Int64? {
    let shown = scan.left
    switch scan.clock() {
    case .some(.some(let milliseconds)): return milliseconds
    case .some(nil): throw problem("is not a time: '\(shown.shortened)' is not a time of day")
    case nil: return nil
    }
  }

  /// Today's, or yesterday's if today's is in the future.
  private func lastTime(_ clock: Int64) throws(HoldfastError) -> Timestamp {
    let wall = today.advanced(by: clock)
    let instants = zone.instants(ofWall: wall)
    let past = instants.filter { $0 <= now }
    if past.count == 1 { return past[0] }
    if past.isEmpty, !instants.isEmpty || wall > zone.wall(now) {
      return try instant(ofWall: wall.adding(seconds: -86400))
    }
    return try instant(ofWall: wall)
  }

  private func instant(ofWall wall: Timestamp) throws(HoldfastError) -> Timestamp {
    let instants = zone.instants(ofWall: wall)
    guard instants.count == 1 else { throw zone.ambiguous(given, wall, instants) }
    return instants[0]
  }

  /// Midnight of today, as wall time.
  private var today: Timestamp {
    let wall = zone.wall(now).milliseconds
    return Timestamp(milliseconds: wall.flooredQuotient(by: 86_400_000) * 86_400_000)
  }

  private var given: String { "\(name) '\(text.shortened)'" }

  func problem(_ what: String) -> HoldfastError {
    HoldfastError(
      .usage, "\(given) \(what)",
      hint: "write latest, 2026-11-22, '2026-11-22 14:03', with an offset 2026-11-22T14:03:00+01:00, 14:03, "
        + "'yesterday 14:03', or '2 hours ago'")
  }
}

extension Timestamp {
  fileprivate func advanced(by milliseconds: Int64) -> Timestamp {
    Timestamp(milliseconds: self.milliseconds.addingClamped(milliseconds))
  }
}

/// Reads the parts of a time from the front of a text, in lower case, without interpreting them.
struct TimeScan {
  private var rest: ArraySlice<UInt8>

  init(_ text: String) {
    rest = Array(text.utf8)[...]
  }

  var isAtEnd: Bool { rest.isEmpty }
  /// The part that was not read yet.
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

  /// `2026-11-22`; the fields are not checked. Nil if the text has another form.
  mutating func date() -> CivilTime? {
    guard let year = number(digits: 4...4), skip("-"), let month = number(digits: 2...2), skip("-"),
      let day = number(digits: 2...2)
    else { return nil }
    return CivilTime(year: year, month: month, day: day, hour: 0, minute: 0, second: 0, millisecond: 0)
  }

  /// `14:03`, `14:03:07`, `14:03:07.123`.
  ///
  /// - Returns: milliseconds since midnight; an inner nil if the text has the form but is not a
  ///   time of day, nil if it has another form.
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

  /// All digits at the front, up to the upper bound.
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
