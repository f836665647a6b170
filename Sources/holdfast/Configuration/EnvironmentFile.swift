import BackupEngine
import TOML

/// Holdfast's settings in `.env`. Variables of other programs are ignored.
struct EnvironmentFile: Sendable {
  let path: String
  private(set) var layer = Layer()
  private(set) var problems: [ConfigurationProblem] = []
  private var lines: [SettingKey: Int] = [:]

  /// - Parameter path: as messages name it.
  init(_ bytes: [UInt8], path: String) {
    self.path = path
    var entries = EnvironmentFileParser.entries(bytes)
    for index in entries.indices {
      // Removed, so that its storage is not shared when it is wiped.
      var value = entries[index].value
      entries[index].value = nil
      defer { value?.wipe() }
      let entry = entries[index]
      if let key = SettingKey.of(variable: entry.name) {
        read(entry, value, key)
      } else if entry.name.uppercased().hasPrefix("BACKUP_") {
        add(entry, entry.position, "is not a setting", hint: KeyAdvice.forVariable(entry.name))
      }
    }
  }

  private mutating func read(_ entry: EnvironmentFileParser.Entry, _ value: [UInt8]?, _ key: SettingKey) {
    guard let value else {
      return add(entry, entry.position, "has no value", hint: "write \(entry.name)=value on one line")
    }
    // Another program's URL may contain a variable; see ``Given/isForeignAddress``.
    let isForeign = key == .database && DatabaseAddress.foreignScheme(String(decoding: value, as: UTF8.self)) != nil
    if let flaw = entry.flaw, !isForeign { return add(flaw, entry) }
    if let line = lines[key] {
      add(
        entry, entry.position, "is also in line \(line), and this one counts", hint: "remove one of them", .warning
      )
    }
    lines[key] = entry.position.line
    let origin = Origin.envFile(path: path, position: entry.valuePosition, name: entry.name)
    if key.isSecret {
      layer.password = value.isEmpty ? nil : SecretBytes(value)
      layer.passwordOrigin = value.isEmpty ? nil : origin
      return
    }
    guard let text = String(validating: value, as: UTF8.self), !value.contains(0) else {
      return add(entry, entry.valuePosition, "is not text in UTF-8", hint: "save the file as UTF-8")
    }
    // As in the environment itself, an empty value counts as not set.
    layer[key] = text.isEmpty ? nil : Given(raw: .untyped(text), origin: origin)
  }

  /// Warns if every user may read the password.
  mutating func checkPermissions(_ permissions: UInt32) {
    guard permissions & 0o004 != 0, let password = layer.passwordOrigin else { return }
    problems.append(
      ConfigurationProblem(
        .warning, at: password, "can be read by every user of this host", hint: "chmod 600 \(path)"))
  }

  private mutating func add(_ flaw: EnvironmentFileParser.Flaw, _ entry: EnvironmentFileParser.Entry) {
    switch flaw {
    case .unclosedQuote:
      add(entry, entry.valuePosition, "begins with a quote that is never closed", hint: "close it, or remove the quote")
    case .textAfterQuote:
      add(
        entry, entry.valuePosition, "continues after its closing quote",
        hint: "put the whole value in quotes, or a space before the #")
    case .substitution:
      add(
        entry, entry.valuePosition, "contains a $ reference, which is not replaced here",
        hint: "write the value itself; if the $ belongs to it, put it in single quotes")
    }
  }

  private mutating func add(
    _ entry: EnvironmentFileParser.Entry, _ position: FilePosition, _ problem: String, hint: String,
    _ severity: ConfigurationProblem.Severity = .error
  ) {
    let origin = Origin.envFile(path: path, position: position, name: entry.name.shortened)
    problems.append(ConfigurationProblem(severity, at: origin, problem, hint: hint))
  }
}

extension [UInt8] {
  /// Overwrites it with zeros, unless its storage is shared.
  mutating func wipe() {
    for index in indices { self[index] = 0 }
  }
}

/// Reads `.env` as people write it.
///
/// - `NAME=value`, with or without `export` in front and spaces around `=`; UTF-8, with or without
///   a byte order mark; LF or CRLF.
/// - Without quotes a value ends at the line's end or at white space and `#`, and loses white space
///   at both ends.
/// - `'…'` is used unchanged; in `"…"` the escapes `\n \r \t \\ \" \$` are replaced and other
///   backslashes are kept. Both may span lines, and only a comment may follow them. A quote that is
///   not closed is an ordinary character of an unquoted value.
/// - Variables are not replaced: `${NAME}` and `$(command)` are ordinary text, and are reported so
///   that the caller can refuse them.
/// - Lines without an assignment are entries without a value; the caller decides if that is a
///   mistake.
///
/// It works on bytes: a password is copied from the file only to memory that is wiped, never to a
/// string.
struct EnvironmentFileParser {
  struct Entry {
    var name: String
    /// Nil if no `=` follows the name.
    var value: [UInt8]?
    /// Of the name.
    var position: FilePosition
    /// Of the value's first character, quotes included.
    var valuePosition: FilePosition
    var flaw: Flaw?
  }

  /// Text that probably has another meaning than intended.
  enum Flaw: Hashable {
    /// A quote is opened and never closed.
    case unclosedQuote
    /// There is text after the closing quote.
    case textAfterQuote
    /// `${NAME}` or `$(command)`, which a shell would replace.
    case substitution
  }

  private let bytes: ArraySlice<UInt8>
  private var index: Int
  private var line = 1
  private var lineStart: Int

  init(_ bytes: [UInt8]) {
    self.bytes = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes.dropFirst(3) : bytes[...]
    index = self.bytes.startIndex
    lineStart = index
  }

  static func entries(_ bytes: [UInt8]) -> [Entry] {
    var parser = EnvironmentFileParser(bytes)
    var entries: [Entry] = []
    while parser.index < parser.bytes.endIndex {
      if let entry = parser.readLine() { entries.append(entry) }
      parser.skipLine()
    }
    return entries
  }
}

extension EnvironmentFileParser {
  private var current: UInt8? { index < bytes.endIndex ? bytes[index] : nil }
  private var isAtLineEnd: Bool { current == nil || current == Self.newline || isCRLF }
  private var isCRLF: Bool { current == 0x0D && (index + 1 == bytes.endIndex || bytes[index + 1] == Self.newline) }
  private static let newline = UInt8(ascii: "\n")
  private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

  /// Columns count characters, so the continuation bytes of a character do not count.
  private var position: FilePosition {
    FilePosition(line: line, column: bytes[lineStart..<index].count { $0 & 0xC0 != 0x80 } + 1)
  }

  private mutating func advance() {
    if current == Self.newline {
      line += 1
      lineStart = index + 1
    }
    index += 1
  }

  private mutating func skipBlanks() {
    while let byte = current, Self.isBlank(byte) { index += 1 }
  }

  private mutating func skipLine() {
    while let byte = current, byte != Self.newline { index += 1 }
    if current != nil { advance() }
  }

  private mutating func readLine() -> Entry? {
    skipBlanks()
    guard let first = readName() else { return nil }
    var (name, position) = first
    skipBlanks()
    if name == "export", let exported = readName() {
      (name, position) = exported
      skipBlanks()
    }
    guard current == UInt8(ascii: "=") else { return Entry(name: name, position: position, valuePosition: position) }
    index += 1
    let hasBlanks = current.map(Self.isBlank) ?? false
    skipBlanks()
    var entry = Entry(name: name, position: position, valuePosition: self.position)
    readValue(&entry, afterBlanks: hasBlanks)
    return entry
  }

  /// Letters, digits, `_`, and also `-` and `.`, so that a mistake with them can be reported.
  private mutating func readName() -> (String, FilePosition)? {
    let position = position
    let start = index
    while let byte = current, Self.isPartOfName(byte) { index += 1 }
    guard index > start else { return nil }
    return (String(decoding: bytes[start..<index], as: UTF8.self), position)
  }

  private static func isPartOfName(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."):
      true
    default: false
    }
  }

  private mutating func readValue(_ entry: inout Entry, afterBlanks: Bool) {
    let quote = current
    if quote == UInt8(ascii: "'") || quote == UInt8(ascii: "\"") {
      if readQuoted(&entry, quote: quote ?? 0) { return }
      entry.flaw = .unclosedQuote
    }
    readUnquoted(&entry, afterBlanks: afterBlanks)
  }

  private mutating func readUnquoted(_ entry: inout Entry, afterBlanks: Bool) {
    let start = index
    var wasBlank = afterBlanks
    while let byte = current, !isAtLineEnd, byte != UInt8(ascii: "#") || !wasBlank {
      wasBlank = Self.isBlank(byte)
      index += 1
    }
    var end = index
    while end > start, Self.isBlank(bytes[end - 1]) { end -= 1 }
    entry.value = Array(bytes[start..<end])
    if entry.flaw == nil, Self.isSubstituted(bytes[start..<end]) { entry.flaw = .substitution }
  }

  /// Returns false, and does not move, if the quote is never closed.
  private mutating func readQuoted(_ entry: inout Entry, quote: UInt8) -> Bool {
    let before = self
    var value: [UInt8] = []
    var isSubstituted = false
    advance()
    while let byte = current, byte != quote {
      if byte == UInt8(ascii: "\\"), quote == UInt8(ascii: "\""), index + 1 < bytes.endIndex {
        advance()
        value += Self.unescaped(bytes[index])
      } else {
        if quote == UInt8(ascii: "\""), Self.isSubstituted(bytes[index...].prefix(2)) { isSubstituted = true }
        value.append(byte)
      }
      advance()
    }
    guard current == quote else {
      self = before
      return false
    }
    advance()
    entry.value = value
    entry.flaw = isSubstituted ? .substitution : nil
    let hasBlanks = current.map(Self.isBlank) ?? false
    skipBlanks()
    if !isAtLineEnd, !(hasBlanks && current == UInt8(ascii: "#")) { entry.flaw = .textAfterQuote }
    return true
  }

  private static func unescaped(_ byte: UInt8) -> [UInt8] {
    switch byte {
    case UInt8(ascii: "n"): [0x0A]
    case UInt8(ascii: "r"): [0x0D]
    case UInt8(ascii: "t"): [0x09]
    case UInt8(ascii: "\\"), UInt8(ascii: "\""), UInt8(ascii: "$"): [byte]
    default: [UInt8(ascii: "\\"), byte]
    }
  }

  private static func isSubstituted(_ bytes: ArraySlice<UInt8>) -> Bool {
    zip(bytes, bytes.dropFirst()).contains {
      $0 == UInt8(ascii: "$") && ($1 == UInt8(ascii: "{") || $1 == UInt8(ascii: "("))
    }
  }
}
