/// When something runs, in the five fields of cron: minute, hour, day of month, month, weekday.
///
/// The language is Vixie cron's: lists (`1,15`), ranges (`9-17`), steps (`*/15`, `5-50/5`; `10/5` is short for `10-59/5`),
/// the three-letter English names of months and weekdays in any case, 0 and 7 for Sunday, and `@yearly`, `@annually`,
/// `@monthly`, `@weekly`, `@daily`, `@midnight`, `@hourly`. Where neither the day of month nor the weekday begins with `*`,
/// a day fits that either of them names; else both must (so `*/2` and `Mon` is: Mondays with an odd date).
///
/// *When the clocks change.* A schedule whose minute and hour both do not begin with `*` names times of day:
/// - a time that the clocks skip runs once, at the first instant after the gap, together with all others in it;
/// - a time that the clocks show twice runs once, the first time.
///
/// Any other schedule goes by real time: it runs whenever the wall shows a time that fits, so twice where that is shown
/// twice, and nothing is made up for where it is skipped.
package struct CronSchedule: Hashable, Sendable {
  /// As it was written.
  package let text: String
  let pattern: CronPattern

  /// - Throws: `HoldfastError` with `usage`, whose message has the column and whose cause is a ``CronSyntaxError``.
  package init(_ text: String) throws {
    self.text = text
    do {
      pattern = try CronParser.pattern(text)
    } catch let error as CronSyntaxError {
      throw error.explained(in: text)
    }
  }

  /// The first run strictly after `time`; nil where none is left before the year 10000 (30 February).
  package func next(after time: Timestamp, in zone: ZoneRules) -> Timestamp? {
    namesTimesOfDay ? nextByTheWall(after: time, zone) : nextByRealTime(after: time, zone)
  }

  /// Whether a change of the clocks neither drops nor repeats a run.
  package var namesTimesOfDay: Bool { pattern.starred.isDisjoint(with: [.minute, .hour]) }

  /// The first instants of wall times never go back, so the search needs no start before the present wall time.
  private func nextByTheWall(after time: Timestamp, _ zone: ZoneRules) -> Timestamp? {
    var wall = zone.wall(time)
    while let match = pattern.firstMatch(notBefore: wall) {
      let instant = zone.firstInstant(ofWall: match)
      if instant > time { return instant }
      wall = match.adding(seconds: 60)
    }
    return nil
  }

  /// From one change of the clocks to the next, the wall goes evenly.
  private func nextByRealTime(after time: Timestamp, _ zone: ZoneRules) -> Timestamp? {
    var time = time.adding(milliseconds: 1)
    while let match = pattern.firstMatch(notBefore: zone.wall(time)) {
      let instant = match.adding(seconds: -Int64(zone.offset(at: time)))
      guard let change = zone.nextChange(after: time), change.instant <= instant else { return instant }
      time = change.instant
    }
    return nil
  }
}
