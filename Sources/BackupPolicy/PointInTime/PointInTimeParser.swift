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
        .usage, "\(given) is still to come: it is \(zone.text(now)) now",
        hint: "name a time that has been, or latest for the newest point")
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
    // A day begins where it begins, even where the clocks skip midnight or show it twice.
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

  /// - Returns: milliseconds since midnight; nil where no time of day stands here.
  private func clock(_ scan: inout TimeScan) throws(HoldfastError) -> Int64? {
    let shown = scan.left
    switch scan.clock() {
    case .some(.some(let milliseconds)): return milliseconds
    case .some(nil): throw problem("is not a time: '\(shown.shortened)' is no time of day")
    case nil: return nil
    }
  }

  /// Today's, or yesterday's where today's is still to come.
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
