// What is wrong with a value, and the nearest that is right.
extension CronFieldParser {
  func outOfRange(_ text: CronText, _ value: Int) -> CronSyntaxError {
    let hint =
      switch (field, value) {
      case (.hour, 24): "midnight is 0: \(field.allowed)"
      case (.minute, 60): "the full hour is 0: \(field.allowed)"
      default: field.allowed
      }
    return CronSyntaxError(text, "\(text.quoted) is not \(field.article) \(field.name)", hint: hint)
  }

  func unreadable(_ text: CronText, _ item: CronText) -> String {
    text.characters.isEmpty
      ? "a value is missing in the field \(field.name)" : "\(text.quoted) is not \(field.article) \(field.name)"
  }

  func hint(for text: CronText, in item: CronText) -> String {
    let word = text.string
    if let special = special(word) { return special }
    if let other = CronField.allCases.first(where: { $0 != field && $0.value(named: word) != nil }) {
      return "it is \(other.article) \(other.name), which is field \(other.rawValue + 1); \(field.allowed)"
    }
    let near = Spelling.nearest(to: word, among: field.names) ?? fullName(word)
    return near.map { "did you mean \($0)? \(field.allowed)" } ?? field.allowed
  }

  /// A name that was written further than its three letters.
  private func fullName(_ word: String) -> String? {
    word.count > 3 ? field.names.first { word.lowercased().hasPrefix($0.lowercased()) } : nil
  }

  /// What other programs' schedules have and cron's do not.
  private func special(_ word: String) -> String? {
    let upper = word.uppercased()
    if upper == "?" { return "write * for any \(field.name)" }
    if upper.contains("#") {
      return "the n-th weekday of a month cannot be said; name the weekday for every week, or a day of the month"
    }
    if upper.hasSuffix("W"), upper.dropLast().allSatisfy({ "0123456789L".contains($0) }) {
      return "the nearest working day cannot be said; name the weekdays, as in Mon-Fri"
    }
    if upper.first == "L" || (upper.hasSuffix("L") && upper.dropLast().allSatisfy(\.isNumber)) {
      return field == .dayOfMonth
        ? "the last day cannot be said; every month has a 28, and 1 is the day after the last"
        : "the last one of a month cannot be said; \(field.allowed)"
    }
    if upper == "H" || upper.hasPrefix("H(") { return "write a number in place of H; \(field.allowed)" }
    if upper.contains("*") { return "* stands alone or with a step, as in */15" }
    return nil
  }
}

extension CronField {
  /// What a field's values are counted in: 60 minutes make an hour.
  var next: String {
    switch self {
    case .minute: "hour"
    case .hour: "day"
    case .dayOfMonth: "month"
    case .month: "year"
    case .dayOfWeek: "week"
    }
  }
}
