/// The offset of local time from UTC at every instant, in one time zone.
///
/// A value: the reader of the system's zone files fills it, and policy computes with it. It holds
/// the recorded changes and the rule for the years after them, so it does not end in 2037.
package struct ZoneRules: Hashable, Sendable {
  /// The name that people write, such as `Europe/Berlin`.
  package let name: String
  /// Seconds east before the first transition.
  private let firstOffset: Int
  /// Ascending; each changes the offset.
  private let transitions: [Transition]
  /// Seconds since the epoch from which `rule` applies.
  private let ruleStart: Int64
  private let rule: PosixZone?

  /// A new offset from an instant on.
  package struct Transition: Hashable, Sendable {
    /// Seconds since the epoch.
    package var instant: Int64
    /// Seconds east of UTC from then on.
    package var offset: Int

    package init(instant: Int64, offset: Int) {
      self.instant = instant
      self.offset = offset
    }
  }

  /// - Parameters:
  ///   - name: for messages.
  ///   - firstOffset: seconds east before the first transition.
  ///   - transitions: in ascending order.
  ///   - rule: applies from the last transition on, in place of that transition's own offset; nil
  ///     if its offset stays.
  package init(name: String, firstOffset: Int, transitions: [Transition], rule: PosixZone?) {
    self.name = name
    self.firstOffset = firstOffset
    self.rule = rule
    ruleStart = transitions.last?.instant ?? .min
    var changes: [Transition] = []
    for var transition in transitions {
      if let rule, transition.instant == ruleStart { transition.offset = rule.offset(at: ruleStart) }
      if transition.offset != changes.last?.offset ?? firstOffset { changes.append(transition) }
    }
    self.transitions = changes
  }

  /// Coordinated Universal Time.
  package static let utc = ZoneRules(name: "UTC", firstOffset: 0, transitions: [], rule: nil)
}

extension ZoneRules {
  /// Seconds east of UTC at an instant.
  package func offset(at time: Timestamp) -> Int {
    offset(atSecond: time.writable.milliseconds.flooredQuotient(by: 1000))
  }

  private func offset(atSecond second: Int64) -> Int {
    if let rule, second >= ruleStart { return rule.offset(at: second) }
    let following = firstTransition(after: second)
    return following == 0 ? firstOffset : transitions[following - 1].offset
  }

  /// The local calendar and clock at an instant.
  package func local(_ time: Timestamp) -> CivilTime { wall(time).civil }

  /// The instants at which the local clock shows a time: empty in a gap, two in an overlap, else
  /// one; in ascending order. Empty if the fields are not a valid time.
  package func instants(of civil: CivilTime) -> [Timestamp] {
    Timestamp(civil).map { instants(ofWall: $0) } ?? []
  }

  /// The first index in `transitions` that is later than `second`.
  private func firstTransition(after second: Int64) -> Int {
    var low = 0
    var high = transitions.count
    while low < high {
      let middle = (low + high) / 2
      if transitions[middle].instant <= second { low = middle + 1 } else { high = middle }
    }
    return low
  }
}

/// A moment at which the clocks of a zone are put forward or back.
package struct OffsetChange: Hashable, Sendable {
  /// The first instant with the new offset.
  package var instant: Timestamp
  /// Seconds east of UTC until then.
  package var before: Int
  /// Seconds east of UTC from then on.
  package var after: Int
}

extension ZoneRules {
  /// The first change of the offset strictly after an instant.
  package func nextChange(after time: Timestamp) -> OffsetChange? {
    let second = time.writable.milliseconds.flooredQuotient(by: 1000)
    let index = firstTransition(after: second)
    let change: Transition? =
      index < transitions.count ? transitions[index] : rule?.nextChange(after: max(second, ruleStart))
    guard let change else { return nil }
    let instant = Timestamp(milliseconds: change.instant.multipliedClamped(by: 1000))
    // Beyond the years that can be written, times are clamped to the last one.
    guard instant > time else { return nil }
    return OffsetChange(instant: instant, before: offset(atSecond: change.instant - 1), after: change.offset)
  }
}

// Local time as a `Timestamp`: the instant at which UTC shows the same fields.
extension ZoneRules {
  /// The maximum offset in either direction: RFC 9636 allows less than 25 hours west and 26 hours
  /// east.
  static let largestOffset = 26 * 3600
  /// In seconds east.
  package static let possibleOffsets = -89_999...93_599

  func wall(_ time: Timestamp) -> Timestamp { time.adding(seconds: Int64(offset(at: time))) }

  func instants(ofWall wall: Timestamp) -> [Timestamp] {
    var time = wall.adding(seconds: -Int64(Self.largestOffset))
    let end = wall.adding(seconds: Int64(Self.largestOffset))
    var offsets: Set = [offset(at: time)]
    while let change = nextChange(after: time), change.instant <= end {
      offsets.insert(change.after)
      time = change.instant
    }
    return offsets.map { wall.adding(seconds: -Int64($0)) }.filter { self.wall($0) == wall }.sorted()
  }

  /// The first instant at which the local clock shows `wall`, or, in a gap, the first instant after
  /// the gap.
  func firstInstant(ofWall wall: Timestamp) -> Timestamp {
    if let first = instants(ofWall: wall).first { return first }
    var time = wall.adding(seconds: -Int64(Self.largestOffset))
    while let change = nextChange(after: time) {
      time = change.instant
      if self.wall(time) > wall { return time }
    }
    return time
  }
}

// Times of a zone as text.
extension ZoneRules {
  /// RFC 3339 with the zone's offset, to the second: `2026-03-29T03:00:00+02:00`.
  package func rfc3339(_ time: Timestamp) -> String {
    "\(date(time))T\(clock(time, seconds: true))\(offsetText(at: time))"
  }

  /// `2026-03-29 03:00 +02:00`, with seconds only if they are not zero.
  package func text(_ time: Timestamp) -> String {
    "\(date(time)) \(clock(time, seconds: local(time).second != 0)) \(offsetText(at: time))"
  }

  /// `2026-03-29 03:00:00 +02:00`, or with `UTC`: a complete time with its zone.
  package func stamp(_ time: Timestamp) -> String {
    "\(wallClock(time)) \(isUTC ? "UTC" : offsetText(at: time))"
  }

  /// Decided by name, because a zone may have UTC's offset for half a year.
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
  /// - Parameter name: the source of the text, such as `--after`, for messages.
  /// - Throws: `usage` if the text is not a time, or if the clocks skip the time or show it twice.
  package func time(_ text: String, name option: String) throws -> Timestamp {
    let full = text.utf8.count == 10 ? text + "T00:00:00" : text.utf8.count == 16 ? text + ":00" : text
    guard let time = Timestamp(iso8601: full) else {
      throw HoldfastError(
        .usage, "\(option) '\(text.prefix(100))' is not a time",
        hint: "write 2026-03-29, 2026-03-29T02:30, or with an offset 2026-03-29T02:30:00+01:00")
    }
    // With an offset, or Z, the text gives an instant; without one, a local time.
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
      .usage, "\(what) occurs twice in \(name), because the clocks are put back",
      hint: "choose one: \(instants.map(rfc3339).joined(separator: " or "))")
  }
}
