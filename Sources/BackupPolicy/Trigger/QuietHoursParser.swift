/// Reads ``QuietHours``.
struct QuietHoursParser {
  private static let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
  private static let example = "write, for example, 22:00-06:00 or Sat-Sun 00:00-24:00"

  private let text: String

  init(_ text: String) {
    self.text = text
  }

  /// Minutes from Monday 00:00; one that begins on Sunday may end after the week does.
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
    guard ends.count <= 2 else { throw failure("`\(word)` is no range of days", at: word.startIndex) }
    let first = try day(ends[0])
    var last = try day(ends[ends.count - 1])
    if last < first { last += 7 }
    return (first...last).map { $0 % 7 }
  }

  private func day(_ word: Substring) throws -> Int {
    let name = word.lowercased()
    if name.count >= 3, let day = Self.days.firstIndex(where: { $0 == name || $0.prefix(3) == name }) { return day }
    throw failure("`\(word)` is no day of the week", at: word.startIndex, hint: "days are Mon Tue Wed Thu Fri Sat Sun")
  }

  /// Minutes from the day's 00:00.
  private func hours(_ word: Substring) throws -> Range<Int> {
    let ends = word.split(separator: "-", omittingEmptySubsequences: false)
    guard ends.count == 2 else { throw failure("`\(word)` is no span of hours", at: word.startIndex) }
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
    else { throw failure("`\(word)` is no time of day", at: word.startIndex) }
    return hour * 60 + minute
  }

  private func failure(_ problem: String, at index: String.Index, hint: String = example) -> HoldfastError {
    let column = text.distance(from: text.startIndex, to: index) + 1
    return HoldfastError(.usage, "quiet hours `\(text)`, column \(column): \(problem)", hint: hint)
  }
}
