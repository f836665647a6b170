/// Hours of the week in which no backup starts because of a change: the change stays pending until
/// they end. Schedules and requests of a person are explicit, so they are not held back.
///
/// Text: `22:00-06:00` for every day, `Sat-Sun 00:00-24:00` or `Fri 18:00-20:00` for some, or
/// several of these with commas between them. Hours that end before they begin last until the next
/// day; the days are those on which they begin.
package struct QuietHours: Hashable, Sendable {
  /// As it was written.
  package let text: String
  /// Minutes of the week from Monday 00:00, local time; disjoint, in order, and cut at the end of
  /// the week.
  let spans: [Range<Int>]

  static let minutesOfWeek = 7 * 1440

  /// - Throws: ``HoldfastError`` with the code `usage`: the column, the problem, and a correct
  ///   form.
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
  /// The end of the quiet hours that contain `time`; nil if `time` is outside of quiet hours.
  package func end(after time: Timestamp, in zone: ZoneRules) -> Timestamp? {
    guard var left = remaining(at: time, in: zone) else { return nil }
    var time = time
    while true {
      let end = Timestamp(milliseconds: time.milliseconds.addingClamped(left))
      guard let change = zone.nextChange(after: time)?.instant, change <= end else { return end }
      // A clock change within the quiet hours: they may be over at once, or last longer.
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
    // Sunday's last hours continue on Monday.
    let wraps = span.upperBound == Self.minutesOfWeek && spans[0].lowerBound == 0
    let end = Int64(wraps ? Self.minutesOfWeek + spans[0].upperBound : span.upperBound)
    return end * 60000 - position
  }
}

/// Reads ``QuietHours``.
struct QuietHoursParser {
  private static let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
  private static let example = "write, for example, 22:00-06:00 or Sat-Sun 00:00-24:00"

  private let text: String

  init(_ text: String) {
    self.text = text
  }

  /// Minutes from Monday 00:00; a span that begins on Sunday may end after the end of the week.
  func spans() throws -> [Range<Int>] {
    var spans: [Range<Int>] = []
    for item in text.split(separator: ",", omittingEmptySubsequences: false) {
      let words = item.split(whereSeparator: \.isWhitespace)
      guard let hours = words.last else { throw failure("hours are missing", at: item.startIndex) }
      guard words.count <= 2 else { throw failure("`\(words[2])` is one word too many", at: words[2].startIndex) }
      let days = words.count == 2 ? try self.days(words[0]) : Array(0..<7)
      let minutes = try self.hours(hours)
      spans += days.map { ($0 * 1440 + minutes.lowerBound)..<($0 * 1440 + minutes.upperBound) }
    }
    return spans
  }

  /// `Sat`, `Sat-Sun`, and across the end of the week `Fri-Mon`.
  private func days(_ word: Substring) throws -> [Int] {
    let ends = word.split(separator: "-", omittingEmptySubsequences: false)
    guard ends.count <= 2 else { throw failure("`\(word)` is not a range of days", at: word.startIndex) }
    let first = try day(ends[0])
    var last = try day(ends[ends.count - 1])
    if last < first { last += 7 }
    return (first...last).map { $0 % 7 }
  }

  private func day(_ word: Substring) throws -> Int {
    let name = word.lowercased()
    if name.count >= 3, let day = Self.days.firstIndex(where: { $0 == name || $0.prefix(3) == name }) { return day }
    throw failure(
      "`\(word)` is not a day of the week", at: word.startIndex, hint: "days are Mon Tue Wed Thu Fri Sat Sun")
  }

  /// Minutes from the day's 00:00.
  private func hours(_ word: Substring) throws -> Range<Int> {
    let ends = word.split(separator: "-", omittingEmptySubsequences: false)
    guard ends.count == 2 else { throw failure("`\(word)` is not a span of hours", at: word.startIndex) }
    let start = try minute(ends[0])
    let end = try minute(ends[1])
    guard start < 1440 else {
      throw failure("`\(ends[0])` is the end of a day", at: ends[0].startIndex, hint: "write 00:00 and the next day")
    }
    guard start != end else {
      throw failure("`\(word)` ends when it begins", at: word.startIndex, hint: "write 00:00-24:00 for whole days")
    }
    return start..<(end > start ? end : end + 1440)
  }

  /// `6:00`, `06:00`; 24:00 is the end of a day.
  private func minute(_ word: Substring) throws -> Int {
    let parts = word.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, parts[0].utf8.count <= 2, parts[1].utf8.count == 2, let hour = Int(digits: parts[0].utf8),
      let minute = Int(digits: parts[1].utf8), minute < 60, hour < 24 || (hour == 24 && minute == 0)
    else { throw failure("`\(word)` is not a time of day", at: word.startIndex) }
    return hour * 60 + minute
  }

  private func failure(_ problem: String, at index: String.Index, hint: String = example) -> HoldfastError {
    let column = text.distance(from: text.startIndex, to: index) + 1
    return HoldfastError(.usage, "quiet hours `\(text)`, column \(column): \(problem)", hint: hint)
  }
}
