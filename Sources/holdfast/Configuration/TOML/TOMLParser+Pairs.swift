// Pairs and keys.
extension TOMLParser {
  /// `key = value`
  mutating func parsePair(into table: TOMLTable) throws(TOMLError) {
    let start = cursor.position
    if cursor.looksAt("//") || cursor.current == ";" {
      throw failure("this", "is neither a setting nor a comment", hint: "comments begin with #")
    }
    let keys = try parseKey()
    guard cursor.current == "=" else { throw missingEquals(keys.last?.name ?? "", start) }
    cursor.advance()
    cursor.skipBlanks()
    let value = try parseValue(of: keys.last?.name ?? "")
    var parent = table
    for key in keys.dropLast() { parent = try step(into: key.name, of: parent, as: .dotted, at: start) }
    guard let last = keys.last else { return }
    try requireNew(last.name, in: parent, last.name.shortened, at: start)
    parent.add(last.name, .value(value), at: start)
  }

  private func missingEquals(_ name: String, _ start: FilePosition) -> TOMLError {
    if name == "export" {
      return failure(name, "belongs to .env", hint: "write name = value", at: start)
    }
    return failure(
      name.shortened, cursor.isAtLineEnd ? "has no value" : "is not followed by an equals sign",
      hint: "write name = value",
      at: start)
  }

  struct Key {
    var name: String
  }

  /// Names with dots between them, bare or quoted, and the blanks behind them.
  mutating func parseKey() throws(TOMLError) -> [Key] {
    var keys: [Key] = []
    repeat {
      if !keys.isEmpty { cursor.advance() }
      cursor.skipBlanks()
      keys.append(Key(name: try parseName()))
      cursor.skipBlanks()
    } while cursor.current == "."
    return keys
  }

  private mutating func parseName() throws(TOMLError) -> String {
    switch cursor.current {
    case "\"", "'":
      guard !cursor.looksAt("\"\"\""), !cursor.looksAt("'''") else {
        throw failure("a name", "is not written in three quotes", hint: "write one quote on each side")
      }
      return try parseString()
    default:
      let name = cursor.take { Self.isBare($0) }
      guard name.isEmpty else { return name }
      throw failure("a name", "is missing here", hint: "write name = value; other characters need \"…\"")
    }
  }

  private static func isBare(_ scalar: Unicode.Scalar) -> Bool {
    scalar.isASCII && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar) || scalar == "_" || scalar == "-")
  }
}
