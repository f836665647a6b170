// Times of a zone as text.
extension ZoneRules {
  /// RFC 3339 with the zone's offset, to the second: `2026-03-29T03:00:00+02:00`.
  package func rfc3339(_ time: Timestamp) -> String {
    "\(date(time))T\(clock(time, seconds: true))\(offsetText(at: time))"
  }

  /// `2026-03-29 03:00 +02:00`, with seconds only where there are any.
  package func text(_ time: Timestamp) -> String {
    "\(date(time)) \(clock(time, seconds: local(time).second != 0)) \(offsetText(at: time))"
  }

  /// `2026-03-29 03:00:00 +02:00`, or with `UTC`: a time that stands by itself, and says by whose clocks.
  package func stamp(_ time: Timestamp) -> String {
    "\(wallClock(time)) \(isUTC ? "UTC" : offsetText(at: time))"
  }

  /// By its name: a zone may have UTC's offset for half a year.
  package var isUTC: Bool { ["UTC", "Etc/UTC", "UTC0", "Universal", "Etc/Universal", "Zulu"].contains(name) }

  func date(_ time: Timestamp) -> String {
    let wall = wall(time).writable.civil
    return "\(wall.year.padded(4))-\(wall.month.padded(2))-\(wall.day.padded(2))"
  }

  func clock(_ time: Timestamp, seconds: Bool = false) -> String {
    let wall = wall(time).writable.civil
    return "\(wall.hour.padded(2)):\(wall.minute.padded(2))" + (seconds ? ":\(wall.second.padded(2))" : "")
  }

  /// `+02:00`; old zones have seconds as well.
  package func offsetText(at time: Timestamp) -> String { Self.offsetText(offset(at: time)) }

  static func offsetText(_ offset: Int) -> String {
    let size = abs(offset)
    let minutes = "\((size / 3600).padded(2)):\((size / 60 % 60).padded(2))"
    return (offset < 0 ? "-" : "+") + minutes + (size % 60 == 0 ? "" : ":\((size % 60).padded(2))")
  }
}

extension ZoneRules {
  /// Reads a time: RFC 3339, or without an offset by the clocks of this zone, down to `2026-03-29`.
  ///
  /// - Parameter name: what the text was given as, such as `--after`, for messages.
  /// - Throws: `usage` for what is no time, and for one that the clocks skip or show twice.
  package func time(_ text: String, name option: String) throws -> Timestamp {
    let full = text.utf8.count == 10 ? text + "T00:00:00" : text.utf8.count == 16 ? text + ":00" : text
    guard let time = Timestamp(iso8601: full) else {
      throw HoldfastError(
        .usage, "\(option) '\(text.prefix(100))' is not a time",
        hint: "write 2026-03-29, 2026-03-29T02:30, or with an offset 2026-03-29T02:30:00+01:00")
    }
    // With an offset, or Z, the text says an instant; without one, the wall.
    guard Timestamp(iso8601: full + "Z") != nil else { return time }
    let instants = instants(ofWall: time)
    if instants.count == 1 { return instants[0] }
    throw ambiguous("\(option) '\(text)'", time, instants)
  }

  func ambiguous(_ what: String, _ wall: Timestamp, _ instants: [Timestamp]) -> HoldfastError {
    guard !instants.isEmpty else {
      return HoldfastError(
        .usage, "\(what) does not exist: the clocks of \(name) skip it",
        hint: "the first time after it is \(rfc3339(firstInstant(ofWall: wall)))")
    }
    return HoldfastError(
      .usage, "\(what) comes twice in \(name), where the clocks are put back",
      hint: "say which: \(instants.map(rfc3339).joined(separator: " or "))")
  }
}
