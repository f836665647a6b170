/// Reads one of the five fields.
struct CronFieldParser {
  let field: CronField

  func values(_ text: CronText) throws -> BitSet64 {
    var values = BitSet64()
    for item in text.split({ $0 == "," }, keepingEmpty: true) {
      guard !item.characters.isEmpty else {
        throw CronSyntaxError(item, "nothing stands beside the comma", hint: "lists are written 1,15,30")
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
    // A week may end with its Sunday, which is 7 there.
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
    // Monday begins what Sunday, as 7, has ended.
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

  /// Of at most four digits: more are out of any range, and numbers must not overflow.
  private func number(_ text: CronText) -> Int? {
    let digits = text.string.utf8.drop { $0 == UInt8(ascii: "0") }
    guard !text.characters.isEmpty, digits.count <= 4 || !digits.allSatisfy({ (48...57).contains($0) }) else {
      return text.characters.isEmpty ? nil : 9999
    }
    return digits.isEmpty ? 0 : Int(digits: digits)
  }

  private func reduced(_ value: Int) -> Int { field == .dayOfWeek ? value % 7 : value }
}
