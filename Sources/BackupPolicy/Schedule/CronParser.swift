/// Reads a schedule; each error names its column and the possible values.
enum CronParser {
  /// Maximum length of a schedule, in characters; all sixty minutes take 169.
  private static let longest = 1000

  static func pattern(_ text: String) throws -> CronPattern {
    let characters = Array(text)
    guard characters.count <= longest else {
      throw CronSyntaxError(
        CronText(characters[longest...]), "it is longer than \(longest) characters", hint: "use several schedules")
    }
    let fields = CronText(characters[...]).split({ $0 == " " || $0 == "\t" }, keepingEmpty: false)
    if let first = fields.first, first.characters.first == "@" { return try macro(first, rest: fields.dropFirst()) }
    try checkCount(fields, of: characters)
    var read: [CronField: (values: BitSet64, starred: Bool)] = [:]
    for (field, part) in zip(CronField.allCases, fields) {
      read[field] = (try CronFieldParser(field: field).values(part), part.characters.first == "*")
    }
    return CronPattern(read)
  }

  /// The schedules that have names.
  private static let macros = [
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
  ]

  private static func macro(_ name: CronText, rest: ArraySlice<CronText>) throws -> CronPattern {
    let word = name.string.lowercased()
    if word == "@reboot" {
      throw CronSyntaxError(
        name, "@reboot is not a time", hint: "changes while the agent was off are backed up at its start")
    }
    if word == "@every" {
      throw CronSyntaxError(name, "@every is not supported", hint: "every 15 minutes is '*/15 * * * *'")
    }
    guard let fields = macros[word] else {
      throw CronSyntaxError(
        name, "\(name.quoted) is not a schedule",
        hint: Spelling.nearest(to: word, among: macros.keys.sorted()).map { "did you mean \($0)?" }
          ?? "there are @yearly, @monthly, @weekly, @daily and @hourly")
    }
    if let extra = rest.first {
      throw CronSyntaxError(extra, "\(extra.quoted) follows \(word)", hint: "\(word) is used alone")
    }
    return try pattern(fields)
  }

  private static func checkCount(_ fields: [CronText], of characters: [Character]) throws {
    guard fields.count != 5 else { return }
    if fields.isEmpty {
      throw CronSyntaxError(
        CronText(characters[...]), "it is empty",
        hint: "five fields: minute, hour, day of month, month, weekday; every day at two is '0 2 * * *'")
    }
    throw fields.count < 5 ? tooFew(fields) : tooMany(fields)
  }

  private static func tooFew(_ fields: [CronText]) -> CronSyntaxError {
    let missing = CronField.allCases.dropFirst(fields.count).map(\.name)
    let end = CronText(fields[fields.count - 1].characters.dropFirst(fields[fields.count - 1].characters.count))
    let whole = fields.map(\.string) + missing.map { _ in "*" }
    return CronSyntaxError(
      end, "of the five fields, \(CronWords.list(missing)) \(missing.count == 1 ? "is" : "are") missing",
      hint: "* is any: '\(whole.joined(separator: " "))'")
  }

  /// If the schedule has seconds, the first field is the extra one, else the sixth.
  private static func tooMany(_ fields: [CronText]) -> CronSyntaxError {
    let words = fields.map { $0.string == "?" ? "*" : $0.string }
    let guesses = [(fields[0], words[1...5]), (fields[5], words[0...4])].map { ($0, $1.joined(separator: " ")) }
    let guess = guesses.first { (try? pattern($0.1)) != nil }
    return CronSyntaxError(
      guess?.0 ?? fields[5], "there are \(fields.count) fields, and a schedule has five",
      hint: "minute, hour, day of month, month, weekday, without seconds, year or command, as in "
        + "'\(guess?.1 ?? "0 2 * * *")'")
  }
}

/// Reads one of the five fields.
struct CronFieldParser {
  let field: CronField

  func values(_ text: CronText) throws -> BitSet64 {
    var values = BitSet64()
    for item in text.split({ $0 == "," }, keepingEmpty: true) {
      guard !item.characters.isEmpty else {
        throw CronSyntaxError(item, "a value is missing beside the comma", hint: "lists are written 1,15,30")
      }
      values = values.union(try members(item))
    }
    return values
  }

  /// `*`, `a`, `a-b`, each with a step or without.
  private func members(_ item: CronText) throws -> BitSet64 {
    let parts = item.split({ $0 == "/" }, keepingEmpty: true)
    guard parts.count <= 2 else {
      throw CronSyntaxError(parts[2], "a second step", hint: "a step is written once, as in */15")
    }
    let step = try parts.dropFirst().first.map { try self.step($0, in: item) }
    let range = try range(parts[0], stepped: step != nil)
    return BitSet64(stride(from: range.lowerBound, through: range.upperBound, by: step ?? 1).map(reduced))
  }

  private func range(_ text: CronText, stepped: Bool) throws -> ClosedRange<Int> {
    if text.string == "*" { return field.values }
    let ends = text.split({ $0 == "-" }, keepingEmpty: true)
    let first = try value(ends[0], in: text)
    guard ends.count > 1 else { return stepped ? first...max(first, field.values.upperBound) : first...first }
    guard ends.count == 2 else {
      throw CronSyntaxError(ends[2], "a third end of a range", hint: "a range has two, as in 1-5")
    }
    var last = try value(ends[1], in: text)
    // A week may end with its Sunday, which is 7 then.
    if field == .dayOfWeek, last == 0, first > 0, field.value(named: ends[1].string) != nil { last = 7 }
    guard first <= last else { throw wrapped(text, first, last) }
    return first...last
  }

  private func wrapped(_ text: CronText, _ first: Int, _ last: Int) -> CronSyntaxError {
    let named = !(text.characters.first?.isNumber ?? true)
    func word(_ value: Int) -> String {
      named ? field.names[(value - field.values.lowerBound) % field.names.count] : "\(value)"
    }
    func run(_ low: Int, _ high: Int) -> String { low == high ? word(low) : "\(word(low))-\(word(high))" }
    // If the range ends with Sunday as 7, the next one begins with Monday.
    let end = field.writable.upperBound
    let start = field == .dayOfWeek && last > 0 ? 1 : field.values.lowerBound
    let hint =
      first == 7 || (field == .dayOfWeek && last == 0)
      ? run(first % 7 == 0 ? 0 : first, first == 7 ? last : 7)
      : run(first, end) + "," + run(start, last)
    return CronSyntaxError(text, "the range \(text.quoted) ends before it begins", hint: "write it as \(hint)")
  }

  private func step(_ text: CronText, in item: CronText) throws -> Int {
    guard let step = number(text), step > 0 else {
      throw CronSyntaxError(text, "\(text.quoted) is not a step", hint: "a step is a number of 1 or more, as in */15")
    }
    guard step <= field.values.count else {
      throw CronSyntaxError(
        text, "a step of \(text.string) goes beyond the \(field.values.count) values of the field \(field.name)",
        hint: "steps do not carry over into the next \(field.next); the largest is \(field.values.count)")
    }
    return step
  }

  private func value(_ text: CronText, in item: CronText) throws -> Int {
    if let value = number(text) {
      guard field.writable.contains(value) else { throw outOfRange(text, value) }
      return value
    }
    if let value = field.value(named: text.string) { return value }
    throw CronSyntaxError(text, unreadable(text, item), hint: hint(for: text, in: item))
  }

  /// At most four digits: longer numbers are out of any range, and must not overflow.
  private func number(_ text: CronText) -> Int? {
    let digits = text.string.utf8.drop { $0 == UInt8(ascii: "0") }
    guard !text.characters.isEmpty, digits.count <= 4 || !digits.allSatisfy({ (48...57).contains($0) }) else {
      return text.characters.isEmpty ? nil : 9999
    }
    return digits.isEmpty ? 0 : Int(digits: digits)
  }

  private func reduced(_ value: Int) -> Int { field == .dayOfWeek ? value % 7 : value }
}

// Messages for a wrong value, with the nearest correct one.
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

  /// A name that was written with more than its three letters.
  private func fullName(_ word: String) -> String? {
    word.count > 3 ? field.names.first { word.lowercased().hasPrefix($0.lowercased()) } : nil
  }

  /// Features of other programs' schedules that cron does not have.
  private func special(_ word: String) -> String? {
    let upper = word.uppercased()
    if upper == "?" { return "write * for any \(field.name)" }
    if upper.contains("#") {
      return "the n-th weekday of a month is not supported; name the weekday for every week, or a day of the month"
    }
    if upper.hasSuffix("W"), upper.dropLast().allSatisfy({ "0123456789L".contains($0) }) {
      return "the nearest working day is not supported; name the weekdays, as in Mon-Fri"
    }
    if upper.first == "L" || (upper.hasSuffix("L") && upper.dropLast().allSatisfy(\.isNumber)) {
      return field == .dayOfMonth
        ? "the last day is not supported; every month has a 28, and 1 is the day after the last"
        : "the last one of a month is not supported; \(field.allowed)"
    }
    if upper == "H" || upper.hasPrefix("H(") { return "write a number in place of H; \(field.allowed)" }
    if upper.contains("*") { return "* is used alone or with a step, as in */15" }
    return nil
  }
}

extension CronField {
  /// The unit that all of a field's values make up: 60 minutes are an hour.
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

/// The place at which a schedule cannot be read, and the reason.
package struct CronSyntaxError: Error, Hashable, Sendable {
  /// The whole schedule.
  package var text = ""
  /// The first wrong character, counted from 1.
  package var column: Int
  /// The number of wrong characters, at least 1.
  package var length: Int
  /// The problem with them: lower case, no full stop.
  package var problem: String
  /// The possible values at that place.
  package var hint: String

  init(_ part: CronText, _ problem: String, hint: String) {
    column = part.column
    length = max(1, part.characters.count)
    self.problem = problem
    self.hint = hint
  }

  /// The error that callers see.
  func explained(in text: String) -> HoldfastError {
    var cause = self
    cause.text = text
    let shown = text.count > 200 ? text.prefix(200) + "…" : text[...]
    return HoldfastError(.usage, "schedule '\(shown)', column \(column): \(problem)", hint: hint, cause: cause)
  }
}

/// A part of a schedule that knows its place.
struct CronText {
  var characters: ArraySlice<Character>

  init(_ characters: ArraySlice<Character>) { self.characters = characters }

  /// Column of its first character, from 1.
  var column: Int { characters.startIndex + 1 }
  var string: String { String(characters) }
  /// For messages, because the input may be any text.
  var quoted: String { characters.count > 40 ? "'\(String(characters.prefix(40)))…'" : "'\(string)'" }

  func split(_ isSeparator: (Character) -> Bool, keepingEmpty: Bool) -> [CronText] {
    characters.split(omittingEmptySubsequences: !keepingEmpty, whereSeparator: isSeparator).map(CronText.init)
  }
}

/// Finds the word that a person intended to write.
package enum Spelling {
  /// The candidate with the fewest changed, missing, extra or swapped characters, ignoring case;
  /// nil if they are more than a third of the word, or more than three.
  package static func nearest(to word: String, among candidates: some Sequence<String>) -> String? {
    let letters = Array(word.prefix(100).lowercased())
    let limit = min(3, max(1, (letters.count + 1) / 3))
    var best: (distance: Int, candidate: String)?
    for candidate in candidates {
      let distance = distance(letters, Array(candidate.lowercased()))
      if distance <= limit, distance < best?.distance ?? .max { best = (distance, candidate) }
    }
    return best?.candidate
  }

  /// Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment; Damerau 1964).
  package static func distance(_ left: [Character], _ right: [Character]) -> Int {
    var beforeLast = [Int]()
    var last = Array(0...right.count)
    for (row, letter) in left.enumerated() {
      var current = [row + 1]
      for (column, other) in right.enumerated() {
        var cost = min(last[column] + (letter == other ? 0 : 1), last[column + 1] + 1, current[column] + 1)
        if row > 0, column > 0, letter == right[column - 1], left[row - 1] == other {
          cost = min(cost, beforeLast[column - 1] + 1)
        }
        current.append(cost)
      }
      (beforeLast, last) = (last, current)
    }
    return last[right.count]
  }
}
