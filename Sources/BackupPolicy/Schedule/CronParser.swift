/// Reads a schedule; each error names its column and what may stand there.
enum CronParser {
  /// Of a schedule, in characters; all sixty minutes take 169.
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
        name, "@reboot is not a time", hint: "what changed while the agent was off is backed up when it starts")
    }
    if word == "@every" {
      throw CronSyntaxError(name, "@every is not known here", hint: "every 15 minutes is '*/15 * * * *'")
    }
    guard let fields = macros[word] else {
      throw CronSyntaxError(
        name, "\(name.quoted) is not a schedule",
        hint: Spelling.nearest(to: word, among: macros.keys.sorted()).map { "did you mean \($0)?" }
          ?? "there are @yearly, @monthly, @weekly, @daily and @hourly")
    }
    if let extra = rest.first {
      throw CronSyntaxError(extra, "\(extra.quoted) follows \(word)", hint: "\(word) stands alone")
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

  /// Of schedules with seconds the first field is too many, else the sixth.
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
