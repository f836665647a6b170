/// A time as a person names it, to return to the state of then.
package enum PointInTime: Hashable, Sendable {
  /// The newest point, whatever the clocks said when it was stored.
  case latest
  /// The newest point that is not after this.
  case moment(Timestamp)

  /// Reads `latest`, `2026-11-22`, `2026-11-22 14:03:07.5`, the same with `T` or with an offset, `14:03`, `yesterday 14:03`,
  /// `2 hours ago` and the like.
  ///
  /// What is left out of a time is zero, so a date alone is the beginning of that day. A time of day alone is the last time
  /// that the clocks showed it: today, or yesterday where today's is still to come. In `1d ago` a day has 24 hours.
  ///
  /// - Parameters:
  ///   - name: what the text was given as, such as `--at`, for messages.
  ///   - zone: whose clocks it goes by, unless it has an offset.
  ///   - now: the time that the relative forms count from.
  ///   - mayBeToCome: takes times that are still to come.
  /// - Throws: `usage` for what is no time, for one that the zone's clocks skip or show twice, and for one that is still to
  ///   come: whoever names such a time made a mistake with the date or the zone.
  package init(
    _ text: String, name: String, zone: ZoneRules, now: Timestamp, mayBeToCome: Bool = false
  ) throws(HoldfastError) {
    self = try PointInTimeParser(text: text, name: name, zone: zone, now: now, mayBeToCome: mayBeToCome).parse()
  }
}
