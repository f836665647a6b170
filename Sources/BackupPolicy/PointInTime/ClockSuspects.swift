extension Sequence<Timestamp> {
  /// Which times are not to be relied on: earlier than one that came before, or still to come. The clock was set in between.
  ///
  /// All that a clock which was set back stamps is in doubt until it has caught up, not just the first of it. A time to come
  /// makes none of the following suspect: whoever forges one must not stop removal by age for ever.
  ///
  /// - Parameter self: when points were made, in the order in which they were stored.
  /// - Returns: by position.
  package func clockSuspects(now: Timestamp) -> [Bool] {
    var latest = Timestamp(milliseconds: .min)
    // Two machines' clocks may differ by a minute.
    let toCome = now.adding(seconds: 60)
    return map { time in
      guard time <= toCome else { return true }
      defer { latest = Swift.max(latest, time) }
      return time < latest
    }
  }
}
