/// Reads the tokens of a document: strings, names, numbers, blanks and comments.
struct TOMLScanner {
  private let scalars: [Unicode.Scalar]
  private(set) var index = 0
  private(set) var position = FilePosition(line: 1, column: 1)

  /// A byte order mark at its start is skipped and has no column.
  init(_ text: String) {
    let all = Array(text.unicodeScalars)
    scalars = all.first == "\u{FEFF}" ? Array(all.dropFirst()) : all
  }

  var current: Unicode.Scalar? { peek(0) }
  var isAtEnd: Bool { index >= scalars.count }
  /// At LF, CRLF or the end.
  var isAtLineEnd: Bool { isAtEnd || current == "\n" || current == "\r" && peek(1) == "\n" }

  func peek(_ distance: Int) -> Unicode.Scalar? {
    index + distance < scalars.count ? scalars[index + distance] : nil
  }

  func isAt(_ text: String) -> Bool { scalars[index...].starts(with: text.unicodeScalars) }

  mutating func advance(_ count: Int = 1) {
    for _ in 0..<count where index < scalars.count {
      if scalars[index] == "\n" {
        position = FilePosition(line: position.line + 1, column: 1)
      } else {
        position.column += 1
      }
      index += 1
    }
  }

  /// Returns the characters that it skips.
  @discardableResult
  mutating func consume(while isTaken: (Unicode.Scalar) -> Bool) -> String {
    var text = String.UnicodeScalarView()
    while let scalar = current, isTaken(scalar) {
      text.append(scalar)
      advance()
    }
    return String(text)
  }

  mutating func skipBlanks() { consume { $0 == " " || $0 == "\t" } }

  /// Skips the rest of the line, after a mistake.
  mutating func skipLine() {
    while !isAtEnd, current != "\n" { advance() }
  }
}

// Comments and failures.
extension TOMLScanner {
  mutating func skipComment() throws(TOMLError) {
    guard current == "#" else { return }
    while !isAtLineEnd {
      if let scalar = current, Self.isControl(scalar) { throw controlFailure() }
      advance()
    }
  }

  static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    scalar.value < 0x20 && scalar != "\t" || scalar.value == 0x7F
  }

  func controlFailure() -> TOMLError {
    failure(
      "a control character", "is not allowed here", hint: "remove it, or write \\u and its four digits in \"…\"")
  }

  func failure(_ subject: String, _ problem: String, hint: String, at position: FilePosition? = nil) -> TOMLError {
    TOMLError(position: position ?? self.position, subject: subject, problem: problem, hint: hint)
  }
}

// Names and strings.
extension TOMLScanner {
  mutating func parseName() throws(TOMLError) -> String {
    switch current {
    case "\"", "'":
      guard !isAt("\"\"\""), !isAt("'''") else {
        throw failure("a name", "is not written in three quotes", hint: "write one quote on each side")
      }
      return try parseString()
    default:
      let name = consume { Self.isBare($0) }
      guard name.isEmpty else { return name }
      throw failure("a name", "is missing here", hint: "write name = value; other characters need \"…\"")
    }
  }

  private static func isBare(_ scalar: Unicode.Scalar) -> Bool {
    scalar.isASCII && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar) || scalar == "_" || scalar == "-")
  }

  mutating func parseString() throws(TOMLError) -> String {
    let start = position
    guard let quote = current else { return "" }
    let triple = String(repeating: Character(quote), count: 3)
    let isLong = isAt(triple)
    advance(isLong ? 3 : 1)
    if isLong, isAtLineEnd { advance(current == "\r" ? 2 : 1) }
    var text = String.UnicodeScalarView()
    while let scalar = current {
      if scalar == quote, !isLong || isAt(triple) {
        advance(isLong ? 3 : 1)
        // Up to two more quotes belong to a long string.
        for _ in 0..<2 where isLong && current == quote {
          text.append(quote)
          advance()
        }
        return String(text)
      }
      if scalar == "\\", quote == "\"" {
        try parseEscape(into: &text, isLong: isLong)
      } else if isAtLineEnd {
        guard isLong else { break }
        text.append("\n")
        advance(scalar == "\r" ? 2 : 1)
      } else {
        if Self.isControl(scalar) { throw controlFailure() }
        text.append(scalar)
        advance()
      }
    }
    throw failure(
      "the string", isLong ? "is not closed" : "is not closed on its line",
      hint: "write \(isLong ? triple : "\(quote)") at its end",
      at: start)
  }

  private mutating func parseEscape(into text: inout String.UnicodeScalarView, isLong: Bool) throws(TOMLError) {
    let start = position
    advance()
    let letter = current
    switch letter {
    case "b": text.append("\u{8}")
    case "t": text.append("\t")
    case "n": text.append("\n")
    case "f": text.append("\u{C}")
    case "r": text.append("\r")
    case "\"": text.append("\"")
    case "\\": text.append("\\")
    case "u", "U":
      text.append(try parseCodePoint(digits: letter == "u" ? 4 : 8, start))
      return
    case _ where isLong && skipsLineEnd(): return
    default:
      throw failure(
        "\\\(letter.map { String($0) } ?? "")", "is not an escape", hint: "write two backslashes, or the text in '…'",
        at: start)
    }
    advance()
  }

  private mutating func parseCodePoint(digits: Int, _ start: FilePosition) throws(TOMLError) -> Unicode.Scalar {
    advance()
    var text = ""
    while text.count < digits, let scalar = current, scalar.properties.isASCIIHexDigit {
      text.unicodeScalars.append(scalar)
      advance()
    }
    if text.count == digits, let value = UInt32(text, radix: 16), let scalar = Unicode.Scalar(value) { return scalar }
    throw failure(
      "the escape", "names no character", hint: "write \(digits) hexadecimal digits, or the character itself", at: start
    )
  }

  /// Skips all white space behind a backslash at the end of a line of a long string.
  private mutating func skipsLineEnd() -> Bool {
    var ahead = self
    ahead.skipBlanks()
    guard ahead.isAtLineEnd, !ahead.isAtEnd else { return false }
    self = ahead
    while !isAtEnd, isAtLineEnd || current == " " || current == "\t" { advance() }
    return true
  }
}

// Booleans, numbers and times.
extension TOMLScanner {
  mutating func parseWord(_ name: String) throws(TOMLError) -> TOMLDocument.Content {
    let start = position
    var word = consume { !" \t\r\n,]}#".unicodeScalars.contains($0) }
    // A date and a time may have a blank between them.
    if word.wholeMatch(of: Self.date) != nil, current == " ", let digit = peek(1), ("0"..."9").contains(digit) {
      advance()
      word += " " + consume { !" \t\r\n,]}#".unicodeScalars.contains($0) }
    }
    if let value = Self.value(word) { return value }
    throw wordFailure(word, name.isEmpty ? "name" : name.shortened, start)
  }

  private func wordFailure(_ word: String, _ name: String, _ start: FilePosition) -> TOMLError {
    if word.isEmpty { return failure(name, "has no value", hint: "write one, or remove the line", at: start) }
    let booleans = ["true": "true", "yes": "true", "on": "true", "false": "false", "no": "false", "off": "false"]
    let text = word + (isAtLineEnd ? "" : restOfText)
    let boolean = booleans[text.lowercased()]
    return failure(
      name, "is \(text.shortened), which is neither a number nor true or false",
      hint: boolean.map { "write \($0)" } ?? "put text in quotes: \(name) = \"\(text.shortened)\"", at: start)
  }

  /// The text behind a word that lacks its quotes, up to a comment.
  private var restOfText: String {
    var ahead = self
    var rest = ahead.consume { $0 != "\n" && $0 != "#" }
    while rest.last?.isWhitespace == true { rest.removeLast() }
    return rest
  }

  private static var date: Regex<Substring> { #/\d{4}-\d\d-\d\d/# }

  private static func value(_ word: String) -> TOMLDocument.Content? {
    if word == "true" || word == "false" { return .boolean(word == "true") }
    if let integer = integer(word) { return .integer(integer) }
    if word.wholeMatch(of: #/[+-]?(0|[1-9](_?\d)*)(\.\d(_?\d)*)?([eE][+-]?\d(_?\d)*)?|[+-]?(inf|nan)/#) != nil {
      // If an integer is too large for a variable, it matches as well.
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

extension String {
  /// For messages: at most 60 characters.
  var shortened: String { count > 60 ? "\(prefix(60))…" : self }
}
