/// Where keys and values stand in a TOML document, which the parser does not tell.
///
/// The document is known to be valid, so this only has to tell keys, strings, brackets and comments apart. It never fails: of
/// a document that is not valid it says something, or nothing.
struct TOMLPositions {
  struct Entry: Hashable {
    var key: FilePosition
    var value: FilePosition
  }

  /// By the keys and indices that lead to a value: `["databases", "0", "path"]`. A table's value is where its header begins.
  private(set) var entries: [[String]: Entry] = [:]

  private let scalars: [Unicode.Scalar]
  private var index = 0
  private var position = FilePosition(line: 1, column: 1)
  /// What the last header named.
  private var table: [String] = []
  /// How many tables each `[[array]]` has so far.
  private var counts: [[String]: Int] = [:]

  init(_ text: String) {
    scalars = Array(text.unicodeScalars)
    while skipToToken() {
      if current == "[" { readHeader() } else { readPair(under: table) }
    }
  }

  subscript(_ path: [String]) -> Entry? { entries[path] }
}

extension TOMLPositions {
  private var current: Unicode.Scalar? { index < scalars.count ? scalars[index] : nil }

  private mutating func advance(_ count: Int = 1) {
    for _ in 0..<count where index < scalars.count {
      if scalars[index] == "\n" {
        position = FilePosition(line: position.line + 1, column: 1)
      } else {
        position.column += 1
      }
      index += 1
    }
  }

  private func looksAt(_ text: String) -> Bool { scalars[index...].starts(with: text.unicodeScalars) }

  private mutating func skip(while isSkipped: (Unicode.Scalar) -> Bool) {
    while let scalar = current, isSkipped(scalar) { advance() }
  }

  /// White space, line ends, commas and comments. Returns false at the end.
  @discardableResult
  private mutating func skipToToken() -> Bool {
    while let scalar = current {
      if scalar == "#" {
        skip { $0 != "\n" }
      } else if scalar.properties.isWhitespace || scalar == "," || scalar == "\u{FEFF}" {
        advance()
      } else {
        return true
      }
    }
    return false
  }

  /// `[a.b]` or `[[a.b]]`.
  private mutating func readHeader() {
    let start = position
    let isArray = looksAt("[[")
    advance(isArray ? 2 : 1)
    let keys = readKeys(until: "]")
    advance(isArray ? 2 : 1)
    guard let last = keys.last else { return }
    let parent = resolved(keys.dropLast())
    table = parent + [last]
    if isArray {
      let number = counts[table, default: 0]
      counts[table] = number + 1
      if number == 0 { entries[table] = Entry(key: start, value: start) }
      table.append("\(number)")
    } else if counts[table] != nil {
      table.append("\((counts[table] ?? 1) - 1)")
    }
    entries[table] = Entry(key: start, value: start)
  }

  /// With the number of the latest table of each array on the way.
  private func resolved(_ keys: some Sequence<String>) -> [String] {
    keys.reduce(into: [String]()) { path, key in
      path.append(key)
      if let count = counts[path] { path.append("\(count - 1)") }
    }
  }

  /// `key = value`.
  private mutating func readPair(under parent: [String]) {
    let start = position
    let before = index
    let keys = readKeys(until: "=")
    advance()
    skip { $0 == " " || $0 == "\t" }
    var path = parent
    for key in keys {
      path.append(key)
      if entries[path] == nil { entries[path] = Entry(key: start, value: position) }
    }
    readValue(path)
    // Whatever this was, go on behind it.
    if index == before { advance() }
  }

  private mutating func readValue(_ path: [String]) {
    switch current {
    case "\"", "'": skipString()
    case "[":
      advance()
      var number = 0
      while skipToToken(), current != "]" {
        let item = path + ["\(number)"]
        entries[item] = Entry(key: position, value: position)
        let before = index
        readValue(item)
        if index == before { advance() }
        number += 1
      }
      advance()
    case "{":
      advance()
      while skipToToken(), current != "}" { readPair(under: path) }
      advance()
    default: skip { !",]}#\n\r".unicodeScalars.contains($0) }
    }
  }

  /// Keys with dots between them, bare or quoted.
  private mutating func readKeys(until end: Unicode.Scalar) -> [String] {
    var keys: [String] = []
    while let scalar = current, scalar != end, scalar != "\n" {
      switch scalar {
      case " ", "\t", ".": advance()
      case "\"", "'":
        let start = index
        skipString()
        keys.append(unquoted(scalars[start..<index]))
      default:
        let start = index
        skip { $0 != end && !" \t.\n\"'".unicodeScalars.contains($0) }
        if index == start { advance() }
        keys.append(text(scalars[start..<index]))
      }
    }
    return keys
  }

  /// A string of one of the four kinds, quotes included.
  private mutating func skipString() {
    guard let quote = current else { return }
    let triple = String(repeating: Character(quote), count: 3)
    let isLong = looksAt(triple)
    advance(isLong ? 3 : 1)
    while let scalar = current {
      if scalar == "\\", quote == "\"" {
        advance(2)
      } else if isLong ? looksAt(triple) : scalar == quote {
        advance(isLong ? 3 : 1)
        // Up to two more quotes belong to the string.
        if isLong { skip { $0 == quote } }
        return
      } else {
        advance()
      }
    }
  }

  private func text(_ scalars: ArraySlice<Unicode.Scalar>) -> String {
    var view = String.UnicodeScalarView()
    view.append(contentsOf: scalars)
    return String(view)
  }

  /// A quoted key. Escapes are left as they are, which costs such a key its position and nothing else.
  private func unquoted(_ scalars: ArraySlice<Unicode.Scalar>) -> String {
    text(scalars.dropFirst().dropLast())
  }
}
