/// Reads a document line by line, and continues with the next line after a mistake.
struct TOMLParser {
  private var scanner: TOMLScanner
  let root = TOMLTable(.header, at: FilePosition(line: 1, column: 1))
  private(set) var errors: [TOMLError] = []
  /// The table of the last header, which gets the pairs.
  private var table: TOMLTable
  /// The number of open arrays and inline tables; a limit protects the stack.
  private var depth = 0

  init(_ text: String) {
    scanner = TOMLScanner(text)
    table = root
  }

  mutating func parse() {
    while !scanner.isAtEnd {
      do throws(TOMLError) {
        try parseLine()
      } catch {
        errors.append(error)
        depth = 0
        scanner.skipLine()
      }
      scanner.advance()
    }
  }

  private mutating func parseLine() throws(TOMLError) {
    scanner.skipBlanks()
    if scanner.current == "[" {
      try parseHeader()
    } else if !scanner.isAtLineEnd, scanner.current != "#" {
      try parsePair(into: table)
    }
    try parseLineEnd()
  }

  /// Leaves the scanner at the line feed.
  private mutating func parseLineEnd() throws(TOMLError) {
    scanner.skipBlanks()
    try scanner.skipComment()
    guard scanner.isAtLineEnd else {
      throw scanner.failure(
        "this", "follows a complete setting", hint: "start a new line, or write # before a comment")
    }
    if scanner.current == "\r" { scanner.advance() }
  }
}

// Headers.
extension TOMLParser {
  /// `[a.b]` or `[[a.b]]`.
  private mutating func parseHeader() throws(TOMLError) {
    let start = scanner.position
    let isArray = scanner.isAt("[[")
    // If this header is wrong, the pairs below it do not belong to any table.
    table = TOMLTable(.header, at: start)
    scanner.advance(isArray ? 2 : 1)
    let keys = try parseKey()
    guard isArray ? scanner.isAt("]]") : scanner.current == "]" else {
      throw scanner.failure(
        isArray ? "[[" : "[", "is not closed with \(isArray ? "]]" : "]")",
        hint: "write \(isArray ? "[[name]]" : "[name]")",
        at: start)
    }
    scanner.advance(isArray ? 2 : 1)
    var parent = root
    for key in keys.dropLast() { parent = try step(into: key, of: parent, as: .implied, at: start) }
    guard let last = keys.last else { return }
    table = isArray ? try openArray(last, parent, start) : try openTable(last, parent, start)
  }

  private func openTable(_ name: String, _ parent: TOMLTable, _ start: FilePosition) throws(TOMLError) -> TOMLTable {
    if case .table(let table) = parent[name]?.content, table.kind == .implied {
      table.kind = .header
      return table
    }
    try requireNew(name, in: parent, "[\(name.shortened)]", at: start)
    let table = TOMLTable(.header, at: start)
    parent.add(name, .table(table), at: start)
    return table
  }

  private func openArray(_ name: String, _ parent: TOMLTable, _ start: FilePosition) throws(TOMLError) -> TOMLTable {
    let table = TOMLTable(.header, at: start)
    if case .tables = parent[name]?.content {
      parent.append(table, to: name)
    } else {
      try requireNew(name, in: parent, "[[\(name.shortened)]]", at: start)
      parent.add(name, .tables([table]), at: start)
    }
    return table
  }

  /// The table of that name; it is added if it does not exist.
  private func step(
    into name: String, of parent: TOMLTable, as kind: TOMLTable.Kind, at start: FilePosition
  ) throws(TOMLError) -> TOMLTable {
    switch parent[name]?.content {
    case .table(let table) where table.kind != .inline && (kind == .implied || table.kind != .header):
      if kind == .dotted { table.kind = .dotted }
      return table
    case .tables(let tables) where kind == .implied: return tables.last ?? parent
    case nil:
      let table = TOMLTable(kind, at: start)
      parent.add(name, .table(table), at: start)
      return table
    default:
      throw scanner.failure(
        name.shortened, "is already defined as something else in line \(parent[name]?.key.line ?? 0)",
        hint: "give one of the two another name", at: start)
    }
  }

  private func requireNew(
    _ name: String, in table: TOMLTable, _ shown: String, at start: FilePosition
  ) throws(TOMLError) {
    guard let other = table[name] else { return }
    throw scanner.failure(shown, "is already in line \(other.key.line)", hint: "remove one of the two", at: start)
  }
}

// Pairs and keys.
extension TOMLParser {
  /// `key = value`
  private mutating func parsePair(into table: TOMLTable) throws(TOMLError) {
    let start = scanner.position
    if scanner.isAt("//") || scanner.current == ";" {
      throw scanner.failure("this", "is neither a setting nor a comment", hint: "comments begin with #")
    }
    let keys = try parseKey()
    guard scanner.current == "=" else { throw missingEquals(keys.last ?? "", start) }
    scanner.advance()
    scanner.skipBlanks()
    let value = try parseValue(of: keys.last ?? "")
    var parent = table
    for key in keys.dropLast() { parent = try step(into: key, of: parent, as: .dotted, at: start) }
    guard let last = keys.last else { return }
    try requireNew(last, in: parent, last.shortened, at: start)
    parent.add(last, .value(value), at: start)
  }

  private func missingEquals(_ name: String, _ start: FilePosition) -> TOMLError {
    if name == "export" {
      return scanner.failure(name, "belongs to .env", hint: "write name = value", at: start)
    }
    return scanner.failure(
      name.shortened, scanner.isAtLineEnd ? "has no value" : "is not followed by an equals sign",
      hint: "write name = value",
      at: start)
  }

  /// Names with dots between them, bare or quoted, and the blanks behind them.
  private mutating func parseKey() throws(TOMLError) -> [String] {
    var keys: [String] = []
    repeat {
      if !keys.isEmpty { scanner.advance() }
      scanner.skipBlanks()
      keys.append(try scanner.parseName())
      scanner.skipBlanks()
    } while scanner.current == "."
    return keys
  }
}

// Values.
extension TOMLParser {
  private static let deepest = 64

  private mutating func parseValue(of name: String) throws(TOMLError) -> TOMLDocument.Value {
    let start = scanner.position
    switch scanner.current {
    case "\"", "'": return TOMLDocument.Value(content: .string(try scanner.parseString()), position: start)
    case "[": return TOMLDocument.Value(content: .array(try parseArray(name)), position: start)
    case "{": return TOMLDocument.Value(content: .table(try parseInlineTable()), position: start)
    default: return TOMLDocument.Value(content: try scanner.parseWord(name), position: start)
    }
  }

  private mutating func open() throws(TOMLError) {
    depth += 1
    guard depth <= Self.deepest else {
      throw scanner.failure("this", "is nested more than \(Self.deepest) times", hint: "write it flatter")
    }
    scanner.advance()
  }

  private mutating func close() {
    depth -= 1
    scanner.advance()
  }

  /// Blanks, line ends and comments between the items of an array.
  private mutating func skipSpace() throws(TOMLError) {
    while true {
      scanner.skipBlanks()
      try scanner.skipComment()
      guard !scanner.isAtEnd, scanner.isAtLineEnd else { return }
      scanner.advance(scanner.current == "\r" ? 2 : 1)
    }
  }

  private mutating func parseArray(_ name: String) throws(TOMLError) -> [TOMLDocument.Value] {
    let start = scanner.position
    var items: [TOMLDocument.Value] = []
    try open()
    try skipSpace()
    while scanner.current != "]" {
      if scanner.isAtEnd {
        throw scanner.failure("the array", "is not closed", hint: "write ] after its last item", at: start)
      }
      items.append(try parseValue(of: name))
      try skipSpace()
      if scanner.current == "," {
        scanner.advance()
        try skipSpace()
      } else if scanner.current != "]" {
        throw scanner.failure(
          "the array", "is not closed, and no comma follows", hint: "write a comma between items, ] at the end")
      }
    }
    close()
    return items
  }

  private mutating func parseInlineTable() throws(TOMLError) -> [TOMLDocument.Pair] {
    let table = TOMLTable(.inline, at: scanner.position)
    try open()
    scanner.skipBlanks()
    if scanner.current != "}" {
      while true {
        scanner.skipBlanks()
        try parsePair(into: table)
        scanner.skipBlanks()
        guard scanner.current == "," else { break }
        scanner.advance()
      }
    }
    guard scanner.current == "}" else {
      throw scanner.failure(
        "{", "is not closed on its line", hint: "write { name = value, name = value }", at: table.position)
    }
    close()
    return table.pairs
  }
}
