/// Hours of the week in which no backup starts because of a change: the change stays owed until they end. A schedule is
/// explicit, and a person knows what they ask for, so neither is held back.
///
/// Text: `22:00-06:00` for every day, `Sat-Sun 00:00-24:00` or `Fri 18:00-20:00` for some, or several of these with commas
/// between them. Hours that end before they begin last until the next day; days are those on which they begin.
package struct QuietHours: Hashable, Sendable {
  /// As it was written.
  package let text: String
  /// Minutes of the week from Monday 00:00, local time; disjoint, in order, and cut where the week ends.
  let spans: [Range<Int>]

  static let minutesOfWeek = 7 * 1440

  /// - Throws: ``HoldfastError`` with the code `usage`: the column, what is wrong there, and what to write instead.
  package init(_ text: String) throws {
    self.text = text
    spans = Self.joined(try QuietHoursParser(text).spans())
    guard spans != [0..<Self.minutesOfWeek] else {
      throw HoldfastError(
        .usage, "quiet hours `\(text)` cover the whole week, so no change would ever be backed up",
        hint: "leave an hour free, or set mode = \"schedule\" to back up at fixed times only")
    }
  }

  /// Cuts spans at the end of the week, and joins those that overlap or touch.
  private static func joined(_ spans: [Range<Int>]) -> [Range<Int>] {
    let cut = spans.flatMap { span in
      span.upperBound <= minutesOfWeek
        ? [span] : [span.lowerBound..<minutesOfWeek, 0..<(span.upperBound - minutesOfWeek)]
    }
    var joined: [Range<Int>] = []
    for span in cut.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = joined.last, span.lowerBound <= last.upperBound {
        joined[joined.count - 1] = last.lowerBound..<max(last.upperBound, span.upperBound)
      } else {
        joined.append(span)
      }
    }
    return joined
  }
}

extension QuietHours {
  /// When the quiet hours end that `time` lies in; nil where it lies in none.
  package func end(after time: Timestamp, in zone: ZoneRules) -> Timestamp? {
    guard var left = remaining(at: time, in: zone) else { return nil }
    var time = time
    while true {
      let end = Timestamp(milliseconds: time.milliseconds.addingClamped(left))
      guard let change = zone.nextChange(after: time)?.instant, change <= end else { return end }
      // The clocks are set in the quiet hours: they may be over at once, or last longer.
      guard let rest = remaining(at: change, in: zone) else { return change }
      (time, left) = (change, rest)
    }
  }

  /// Milliseconds until the end by the local clock, without a change of offset; nil outside quiet hours.
  private func remaining(at time: Timestamp, in zone: ZoneRules) -> Int64? {
    let local = time.adding(seconds: Int64(zone.offset(at: time))).milliseconds
    // 1970-01-01 was a Thursday.
    let week = Int64(Self.minutesOfWeek) * 60000
    let position = ((local + 3 * 86_400_000) % week + week) % week
    let minute = Int(position / 60000)
    guard let span = spans.first(where: { $0.contains(minute) }) else { return nil }
    // Sunday's last hours go on on Monday.
    let wraps = span.upperBound == Self.minutesOfWeek && spans[0].lowerBound == 0
    let end = Int64(wraps ? Self.minutesOfWeek + spans[0].upperBound : span.upperBound)
    return end * 60000 - position
  }
}
