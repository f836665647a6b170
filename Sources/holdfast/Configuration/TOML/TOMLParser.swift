/// Reads a document line by line, and goes on with the next one after a mistake.
struct TOMLParser {
  var cursor: TOMLCursor
  let root = TOMLTable(.header, at: FilePosition(line: 1, column: 1))
  private(set) var errors: [TOMLError] = []
  /// Where pairs go: into what the last header named.
  private var table: TOMLTable
  /// Arrays and inline tables that are open; a limit keeps nonsense from using up the stack.
  var depth = 0

  init(_ text: String) {
    cursor = TOMLCursor(text)
    table = root
  }

  mutating func parse() {
    while !cursor.isAtEnd {
      do throws(TOMLError) {
        try parseLine()
      } catch {
        errors.append(error)
        depth = 0
        cursor.skipLine()
      }
      cursor.advance()
    }
  }

  private mutating func parseLine() throws(TOMLError) {
    cursor.skipBlanks()
    if cursor.current == "[" {
      try parseHeader()
    } else if !cursor.isAtLineEnd, cursor.current != "#" {
      try parsePair(into: table)
    }
    try parseLineEnd()
  }

  /// Leaves the cursor at the line feed.
  private mutating func parseLineEnd() throws(TOMLError) {
    cursor.skipBlanks()
    try skipComment()
    guard cursor.isAtLineEnd else {
      throw failure(
        "this", "stands behind the end of what the line says", hint: "begin a new line, or a comment with #")
    }
    if cursor.current == "\r" { cursor.advance() }
  }

  mutating func skipComment() throws(TOMLError) {
    guard cursor.current == "#" else { return }
    while !cursor.isAtLineEnd {
      if let scalar = cursor.current, Self.isControl(scalar) { throw controlFailure() }
      cursor.advance()
    }
  }

  static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    scalar.value < 0x20 && scalar != "\t" || scalar.value == 0x7F
  }

  func controlFailure() -> TOMLError {
    failure(
      "a control character", "must not stand here", hint: "take it out, or write \\u and its four digits in \"…\"")
  }

  func failure(_ subject: String, _ problem: String, hint: String, at position: FilePosition? = nil) -> TOMLError {
    TOMLError(position: position ?? cursor.position, subject: subject, problem: problem, hint: hint)
  }
}

// Headers.
extension TOMLParser {
  /// `[a.b]` or `[[a.b]]`.
  private mutating func parseHeader() throws(TOMLError) {
    let start = cursor.position
    let isArray = cursor.looksAt("[[")
    // Where this header is wrong, what follows it belongs nowhere.
    table = TOMLTable(.header, at: start)
    cursor.advance(isArray ? 2 : 1)
    let keys = try parseKey()
    guard isArray ? cursor.looksAt("]]") : cursor.current == "]" else {
      throw failure(
        isArray ? "[[" : "[", "is not closed with \(isArray ? "]]" : "]")",
        hint: "write \(isArray ? "[[name]]" : "[name]")",
        at: start)
    }
    cursor.advance(isArray ? 2 : 1)
    var parent = root
    for key in keys.dropLast() { parent = try step(into: key.name, of: parent, as: .implied, at: start) }
    guard let last = keys.last else { return }
    table = isArray ? try openArray(last.name, parent, start) : try openTable(last.name, parent, start)
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

  /// The table of that name, made where there is none.
  func step(
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
      throw failure(
        name.shortened, "is something else already, in line \(parent[name]?.key.line ?? 0)",
        hint: "give one of the two another name", at: start)
    }
  }

  func requireNew(_ name: String, in table: TOMLTable, _ shown: String, at start: FilePosition)
    throws(TOMLError)
  {
    guard let other = table[name] else { return }
    throw failure(
      shown, "stands in line \(other.key.line) already", hint: "take one of the two out", at: start)
  }
}
