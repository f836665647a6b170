/// The part before `ago`: `2 hours`, `90s`, `1h 30min`, `an hour`.
struct ElapsedTime {
  private var milliseconds: Int64 = 0

  /// - Throws: `usage` if a part is not a number with a unit.
  init(_ words: some Sequence<String>, of parser: PointInTimeParser) throws(HoldfastError) {
    var scan = TimeScan(words.joined(separator: " "))
    guard !scan.isAtEnd else { throw parser.problem("has no time before 'ago'") }
    while !scan.isAtEnd {
      let part = scan.left
      guard let number = Self.number(&scan) else {
        throw parser.problem("is not a time: '\(part.shortened)' has no number")
      }
      _ = scan.skip(" ")
      guard let word = scan.word() else { throw parser.problem("is not a time: '\(part.shortened)' has no unit") }
      _ = scan.skip(" ")
      guard let unit = Self.units[word] else { throw Self.problem(parser, word) }
      milliseconds = milliseconds.addingClamped(Int64(number).multipliedClamped(by: unit))
    }
  }

  func before(_ time: Timestamp) -> Timestamp {
    let (moment, overflow) = time.milliseconds.subtractingReportingOverflow(milliseconds)
    return Timestamp(milliseconds: overflow ? .min : moment).writable
  }

  private static func number(_ scan: inout TimeScan) -> Int? {
    if let number = scan.number(digits: 1...9) { return number }
    var copy = scan
    guard let word = copy.word(), word == "a" || word == "an" else { return nil }
    scan = copy
    return 1
  }

  private static func problem(_ parser: PointInTimeParser, _ word: String) -> HoldfastError {
    guard !word.hasPrefix("month"), !word.hasPrefix("year") else {
      var error = parser.problem("is not a time: months and years differ in length")
      error.hint = "write the date, or days: '30 days ago'"
      return error
    }
    var error = parser.problem("is not a time: '\(word.shortened)' is not a unit of time")
    error.hint = "the units are seconds, minutes, hours, days and weeks: '2 hours ago', '90s ago', '1d ago'"
    return error
  }

  private static let units: [String: Int64] = {
    let spellings: [(Int64, String)] = [
      (1000, "s sec secs second seconds"), (60_000, "m min mins minute minutes"), (3_600_000, "h hr hrs hour hours"),
      (86_400_000, "d day days"), (604_800_000, "w week weeks"),
    ]
    return Dictionary(
      uniqueKeysWithValues: spellings.flatMap { unit, words in words.split(separator: " ").map { (String($0), unit) } })
  }()
}
