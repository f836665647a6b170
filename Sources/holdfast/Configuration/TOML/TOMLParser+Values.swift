// Values that are no strings.
extension TOMLParser {
  private static let deepest = 64

  mutating func parseValue(of name: String) throws(TOMLError) -> TOMLDocument.Value {
    let start = cursor.position
    switch cursor.current {
    case "\"", "'": return TOMLDocument.Value(content: .plain(.string(try parseString())), position: start)
    case "[": return TOMLDocument.Value(content: .array(try parseArray(name)), position: start)
    case "{": return TOMLDocument.Value(content: .table(try parseInlineTable()), position: start)
    default: return TOMLDocument.Value(content: .plain(try parseWord(name)), position: start)
    }
  }

  private mutating func open(_ name: String) throws(TOMLError) {
    depth += 1
    guard depth <= Self.deepest else {
      throw failure("this", "is nested more than \(Self.deepest) times", hint: "write it flatter")
    }
    cursor.advance()
  }

  private mutating func close() {
    depth -= 1
    cursor.advance()
  }

  /// Blanks, line ends and comments between the items of an array.
  private mutating func skipSpace() throws(TOMLError) {
    while true {
      cursor.skipBlanks()
      try skipComment()
      guard !cursor.isAtEnd, cursor.isAtLineEnd else { return }
      cursor.advance(cursor.current == "\r" ? 2 : 1)
    }
  }

  private mutating func parseArray(_ name: String) throws(TOMLError) -> [TOMLDocument.Value] {
    let start = cursor.position
    var items: [TOMLDocument.Value] = []
    try open(name)
    try skipSpace()
    while cursor.current != "]" {
      if cursor.isAtEnd { throw failure("the array", "is not closed", hint: "write ] behind its last item", at: start) }
      items.append(try parseValue(of: name))
      try skipSpace()
      if cursor.current == "," {
        cursor.advance()
        try skipSpace()
      } else if cursor.current != "]" {
        throw failure(
          "the array", "is not closed, and no comma follows", hint: "write a comma between items, ] at the end")
      }
    }
    close()
    return items
  }

  private mutating func parseInlineTable() throws(TOMLError) -> [TOMLDocument.Pair] {
    let table = TOMLTable(.inline, at: cursor.position)
    try open("")
    cursor.skipBlanks()
    if cursor.current != "}" {
      while true {
        cursor.skipBlanks()
        try parsePair(into: table)
        cursor.skipBlanks()
        guard cursor.current == "," else { break }
        cursor.advance()
      }
    }
    guard cursor.current == "}" else {
      throw failure("{", "is not closed on its line", hint: "write { name = value, name = value }", at: table.position)
    }
    close()
    return table.pairs
  }

  /// Booleans, numbers, times.
  private mutating func parseWord(_ name: String) throws(TOMLError) -> RawValue {
    let start = cursor.position
    var word = cursor.take { !" \t\r\n,]}#".unicodeScalars.contains($0) }
    // A date and a time may have a blank between them.
    if word.wholeMatch(of: Self.date) != nil, cursor.current == " ", let digit = cursor.peek(1),
      ("0"..."9").contains(digit)
    {
      cursor.advance()
      word += " " + cursor.take { !" \t\r\n,]}#".unicodeScalars.contains($0) }
    }
    if let value = Self.value(word) { return value }
    throw wordFailure(word, name.isEmpty ? "name" : name.shortened, start)
  }

  private func wordFailure(_ word: String, _ name: String, _ start: FilePosition) -> TOMLError {
    if word.isEmpty { return failure(name, "has no value", hint: "write one, or take the line out", at: start) }
    let booleans = ["true": "true", "yes": "true", "on": "true", "false": "false", "no": "false", "off": "false"]
    let text = word + (cursor.isAtLineEnd ? "" : restOfText)
    let boolean = booleans[text.lowercased()]
    return failure(
      name, "is \(text.shortened), which is neither a number nor true or false",
      hint: boolean.map { "write \($0)" } ?? "put text in quotes: \(name) = \"\(text.shortened)\"", at: start)
  }

  /// What follows a word that is text without quotes, up to a comment.
  private var restOfText: String {
    var ahead = cursor
    let rest = ahead.take { $0 != "\n" && $0 != "#" }
    let text = rest.trimmed
    return text.isEmpty ? "" : rest.prefix { $0.isWhitespace } + text
  }

  private static var date: Regex<Substring> { #/\d{4}-\d\d-\d\d/# }

  private static func value(_ word: String) -> RawValue? {
    if word == "true" || word == "false" { return .boolean(word == "true") }
    if let integer = integer(word) { return .integer(integer) }
    if word.wholeMatch(of: #/[+-]?(0|[1-9](_?\d)*)(\.\d(_?\d)*)?([eE][+-]?\d(_?\d)*)?|[+-]?(inf|nan)/#) != nil {
      // An integer that fits no variable matches too.
      return .other(word.contains { ".eEn".contains($0) } ? "a floating-point number" : "a very large number")
    }
    let time = #/([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?/#
    if word.wholeMatch(of: time) != nil { return .other("a time of day") }
    if word.wholeMatch(of: date) != nil { return .other("a date") }
    let parts = word.split(maxSplits: 1) { "Tt ".contains($0) }
    guard parts.count == 2, parts[0].wholeMatch(of: date) != nil else { return nil }
    let clock = parts[1].replacing(#/([Zz]|[+-]\d\d:\d\d)$/#, with: "")
    return clock.wholeMatch(of: time) == nil ? nil : .other("a date and time")
  }

  private static func integer(_ word: String) -> Int64? {
    for (prefix, radix, digits) in [
      ("0x", 16, #/[0-9A-Fa-f](_?[0-9A-Fa-f])*/#), ("0o", 8, #/[0-7](_?[0-7])*/#), ("0b", 2, #/[01](_?[01])*/#),
    ]
      as [(String, Int, Regex<(Substring, Substring?)>)]
    where word.hasPrefix(prefix) {
      let rest = word.dropFirst(2)
      return rest.wholeMatch(of: digits) == nil ? nil : Int64(rest.replacing("_", with: ""), radix: radix)
    }
    guard word.wholeMatch(of: #/[+-]?(0|[1-9](_?\d)*)/#) != nil else { return nil }
    return Int64(word.replacing("_", with: ""))
  }
}
