extension CronSchedule {
  /// The schedule in plain English: `at 02:00 every day`.
  package var words: String { CronWords(pattern: pattern).sentence }
}

/// Says a pattern in words. Two patterns with different runs never get the same words.
struct CronWords {
  let pattern: CronPattern

  var sentence: String {
    guard pattern.hasDates else { return "never: no month named has such a day" }
    return [time, days].filter { !$0.isEmpty }.joined(separator: " ")
  }

  /// `a, b and c`.
  static func list(_ items: [String], _ last: String = "and") -> String {
    items.count < 2 ? items.joined() : items.dropLast().joined(separator: ", ") + " \(last) " + items[items.count - 1]
  }
}
