// Strings of the four kinds.
extension TOMLParser {
  mutating func parseString() throws(TOMLError) -> String {
    let start = cursor.position
    guard let quote = cursor.current else { return "" }
    let triple = String(repeating: Character(quote), count: 3)
    let isLong = cursor.looksAt(triple)
    cursor.advance(isLong ? 3 : 1)
    if isLong, cursor.isAtLineEnd { cursor.advance(cursor.current == "\r" ? 2 : 1) }
    var text = String.UnicodeScalarView()
    while let scalar = cursor.current {
      if scalar == quote, !isLong || cursor.looksAt(triple) {
        cursor.advance(isLong ? 3 : 1)
        // Up to two more quotes belong to a long string.
        for _ in 0..<2 where isLong && cursor.current == quote {
          text.append(quote)
          cursor.advance()
        }
        return String(text)
      }
      if scalar == "\\", quote == "\"" {
        try parseEscape(into: &text, isLong: isLong)
      } else if cursor.isAtLineEnd {
        guard isLong else { break }
        text.append("\n")
        cursor.advance(scalar == "\r" ? 2 : 1)
      } else {
        if Self.isControl(scalar) { throw controlFailure() }
        text.append(scalar)
        cursor.advance()
      }
    }
    throw failure(
      "the string", isLong ? "is not closed" : "is not closed on its line",
      hint: "write \(isLong ? triple : "\(quote)") at its end",
      at: start)
  }

  private mutating func parseEscape(into text: inout String.UnicodeScalarView, isLong: Bool) throws(TOMLError) {
    let start = cursor.position
    cursor.advance()
    let letter = cursor.current
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
    cursor.advance()
  }

  private mutating func parseCodePoint(digits: Int, _ start: FilePosition) throws(TOMLError) -> Unicode.Scalar {
    cursor.advance()
    var text = ""
    while text.count < digits, let scalar = cursor.current, scalar.properties.isASCIIHexDigit {
      text.unicodeScalars.append(scalar)
      cursor.advance()
    }
    if text.count == digits, let value = UInt32(text, radix: 16), let scalar = Unicode.Scalar(value) { return scalar }
    throw failure(
      "the escape", "names no character", hint: "write \(digits) hexadecimal digits, or the character itself", at: start
    )
  }

  /// Behind a backslash at the end of a line of a long string: passes over all white space that follows.
  private mutating func skipsLineEnd() -> Bool {
    var ahead = cursor
    ahead.skipBlanks()
    guard ahead.isAtLineEnd, !ahead.isAtEnd else { return false }
    cursor = ahead
    while !cursor.isAtEnd, cursor.isAtLineEnd || cursor.current == " " || cursor.current == "\t" { cursor.advance() }
    return true
  }
}

extension StringProtocol {
  /// Without white space at both ends.
  var trimmed: String {
    let start = drop { $0.isWhitespace }
    let end = start.lastIndex { !$0.isWhitespace }
    return end.map { String(start[...$0]) } ?? ""
  }
}
