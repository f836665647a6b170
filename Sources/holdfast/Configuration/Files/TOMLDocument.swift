import BackupPolicy
import TOMLKit

/// A parsed `holdfast.toml` with the place of everything in it.
struct TOMLDocument {
  struct Pair {
    var name: String
    var key: FilePosition
    var value: Value
  }

  /// A value and where it begins.
  struct Value {
    var content: Content
    var position: FilePosition
  }

  enum Content {
    case plain(RawValue)
    case array([Value])
    case table([Pair])
  }

  /// By their places.
  let pairs: [Pair]

  /// - Throws: the first thing that is not TOML, with its place.
  init(_ bytes: [UInt8], path: String) throws(ConfigurationProblem.Failure) {
    let text = try Self.text(bytes, path: path)
    let table: TOMLTable
    do {
      table = try TOMLTable(string: text)
    } catch {
      throw ConfigurationProblem.Failure(Self.syntaxProblem(error, text, path: path))
    }
    pairs = Reader(positions: TOMLPositions(text)).pairs(table, at: [])
  }

  /// TOML is UTF-8 without control characters; the parser would take a NUL for the end.
  private static func text(_ bytes: [UInt8], path: String) throws(ConfigurationProblem.Failure) -> String {
    if let text = String(validating: bytes, as: UTF8.self), !bytes.contains(0), !text.contains("\\u0000") {
      return text
    }
    let sound = String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    let before = sound.unicodeScalars.prefix { $0 != "\u{FFFD}" }
    let line = before.count { $0 == "\n" } + 1
    let column = before.reversed().prefix { $0 != "\n" }.count + 1
    throw ConfigurationProblem.Failure(
      ConfigurationProblem(
        at: .file(path: path, position: FilePosition(line: line, column: column), key: "this"),
        "is not text in UTF-8 without NUL characters", hint: "save the file as UTF-8"))
  }

  private static func syntaxProblem(_ error: any Error, _ text: String, path: String) -> ConfigurationProblem {
    guard let error = error as? TOMLParseError else {
      return ConfigurationProblem("\(path) cannot be parsed: \(error)", hint: "write it as TOML: name = value")
    }
    let position = FilePosition(line: error.source.begin.line, column: error.source.begin.column)
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    let line = lines.indices.contains(position.line - 1) ? String(lines[position.line - 1]) : ""
    return ConfigurationProblem(
      at: .file(path: path, position: position, key: "this is not TOML"),
      ": \(SyntaxAdvice.words(error.description))", hint: SyntaxAdvice.hint(line))
  }
}

extension ConfigurationProblem {
  /// A problem that ends the reading of its file.
  struct Failure: Error {
    let problem: ConfigurationProblem

    init(_ problem: ConfigurationProblem) {
      self.problem = problem
    }
  }
}

extension TOMLDocument {
  private struct Reader {
    let positions: TOMLPositions

    func pairs(_ table: TOMLTable, at path: [String]) -> [Pair] {
      zip(table.keys, table.values).map { name, value in
        let entry = positions[path + [name]] ?? positions[path]
        return Pair(
          name: name, key: entry?.key ?? FilePosition(line: 1, column: 1),
          value: read(value, at: path + [name], entry?.value))
      }.sorted { $0.key < $1.key }
    }

    private func read(_ value: TOMLValue, at path: [String], _ known: FilePosition?) -> Value {
      let position = positions[path]?.value ?? known ?? FilePosition(line: 1, column: 1)
      if let table = value.table { return Value(content: .table(pairs(table, at: path)), position: position) }
      if let array = value.array {
        let items = array.enumerated().map { read($1.tomlValue, at: path + ["\($0)"], position) }
        return Value(content: .array(items), position: position)
      }
      return Value(content: .plain(plain(value)), position: position)
    }

    private func plain(_ value: TOMLValue) -> RawValue {
      if let text = value.string { return .string(text) }
      if let flag = value.bool { return .boolean(flag) }
      if let number = value.int { return .integer(Int64(number)) }
      return .other("a \(value.type)")
    }
  }
}

extension TOMLDocument.Value {
  /// As a setting takes it.
  var raw: RawValue {
    switch content {
    case .plain(let value): value
    case .table: .other("a table")
    case .array(let items): .list(items.map { RawItem(value: $0.raw, position: $0.position) })
    }
  }
}

/// The parser's words for people.
private enum SyntaxAdvice {
  /// `Error while parsing key-value pair: expected …` without its start.
  static func words(_ description: String) -> String {
    let text = description.firstRange(of: ": ").map { String(description[$0.upperBound...]) } ?? description
    return String(text.prefix(160)).trimmed
  }

  /// What people write who know other files better.
  static func hint(_ line: String) -> String {
    let line = line.trimmed
    if line.hasPrefix("//") || line.hasPrefix(";") { return "comments begin with #" }
    if line.hasPrefix("export ") || line.hasPrefix("BACKUP_") {
      return "that is a line for .env; here it is name = value"
    }
    guard let equals = line.firstIndex(of: "=") else {
      return line.contains(":") ? "write name = value, with an equals sign" : "write name = value"
    }
    let value = String(line[line.index(after: equals)...]).trimmed
    if value.isEmpty { return "write a value, or take the line out" }
    if value.hasPrefix("True") || value.hasPrefix("False") { return "write true or false in small letters" }
    if let first = value.first, first != "\"", first != "'" { return "put text in quotes: name = \"value\"" }
    if value.contains("\\") { return "in double quotes a backslash begins an escape; write '…' or two backslashes" }
    return "write text in one pair of quotes, on one line"
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
