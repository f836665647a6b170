import BackupPolicy
import Names

/// Any JSON value, so that unknown keys survive and wrong types are reported one by one.
package enum JSONValue: Sendable {
  case null
  case bool(Bool)
  case integer(Int64)
  case number(Double)
  case string(String)
  case array([JSONValue])
  case object(JSONObject)
}

extension JSONValue {
  /// Reads one JSON document; returns nil if the bytes are not JSON.
  package init?(parsing bytes: [UInt8]) {
    var parser = JSONParser(bytes)
    guard let value = parser.document() else { return nil }
    self = value
  }

  /// The document, indented, with sorted keys and a final newline.
  package func encoded() -> [UInt8] {
    var writer = JSONWriter()
    writer.write(self)
    return writer.bytes + [UInt8(ascii: "\n")]
  }

  /// The document on one line, with sorted keys and a final newline.
  package func encodedLine() -> [UInt8] {
    var writer = JSONWriter(breaksLines: false)
    writer.write(self)
    return writer.bytes + [UInt8(ascii: "\n")]
  }

  package static func optional(_ value: String?) -> JSONValue { value.map { .string($0) } ?? .null }
  package static func optional(_ value: (some BinaryInteger)?) -> JSONValue {
    value.map { .integer(Int64(clamping: $0)) } ?? .null
  }
}

extension JSONValue: Hashable {
  /// Texts are equal if their bytes are equal: `String` treats two spellings of one character as
  /// the same.
  package static func == (left: JSONValue, right: JSONValue) -> Bool {
    switch (left, right) {
    case (.null, .null): true
    case (.bool(let one), .bool(let other)): one == other
    case (.integer(let one), .integer(let other)): one == other
    case (.number(let one), .number(let other)): one == other
    case (.string(let one), .string(let other)): one.utf8.elementsEqual(other.utf8)
    case (.array(let one), .array(let other)): one == other
    case (.object(let one), .object(let other)): one == other
    default: false
    }
  }

  package func hash(into hasher: inout Hasher) {
    switch self {
    case .null: hasher.combine(0)
    case .bool(let value): hasher.combine(value)
    case .integer(let value): hasher.combine(value)
    case .number(let value): hasher.combine(value)
    case .string(let value): for byte in value.utf8 { hasher.combine(byte) }
    case .array(let value): hasher.combine(value)
    case .object(let value): hasher.combine(value)
    }
  }
}

/// The keys and values of a JSON object. Keys are bytes: those of `table_counts` are the names of
/// tables, which may differ only in Unicode's normal form, and need not be UTF-8.
package struct JSONObject: Hashable, Sendable {
  private var values: [[UInt8]: JSONValue] = [:]

  package init() {}

  /// - Parameter pairs: if two keys are equal, the first one stays.
  package init(_ pairs: some Sequence<(key: [UInt8], value: JSONValue)>) {
    values = Dictionary(pairs.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
  }

  package init(_ values: [String: JSONValue]) { self.init(values.map { (Array($0.key.utf8), $0.value) }) }

  package var isEmpty: Bool { values.isEmpty }
  package var count: Int { values.count }
  package var keys: [String] { sorted.map { $0.key.text } }
  /// Sorted by the keys' bytes.
  package var sorted: [(key: [UInt8], value: JSONValue)] {
    values.sorted { $0.key.lexicographicallyPrecedes($1.key) }
  }

  package subscript(key: String) -> JSONValue? {
    get { values[Array(key.utf8)] }
    set { values[Array(key.utf8)] = newValue }
  }

  package subscript(key: [UInt8]) -> JSONValue? {
    get { values[key] }
    set { values[key] = newValue }
  }

  /// Adds the keys of another object, whose values take precedence.
  package func merging(_ other: JSONObject) -> JSONObject {
    var result = self
    result.values.merge(other.values) { $1 }
    return result
  }

  @discardableResult
  package mutating func removeValue(forKey key: String) -> JSONValue? { values.removeValue(forKey: Array(key.utf8)) }
}

// Values of the expected type; nil if the key is missing or its value has another type.
extension JSONObject {
  package func text(_ key: String) -> String? { if case .string(let text)? = self[key] { text } else { nil } }

  package func integer(_ key: String) -> Int64? { if case .integer(let value)? = self[key] { value } else { nil } }

  package func time(_ key: String) -> Timestamp? { text(key).flatMap { Timestamp(iso8601: $0) } }

  /// An empty array if the key is missing.
  package func items(_ key: String) -> [JSONValue] { if case .array(let items)? = self[key] { items } else { [] } }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
  package init(dictionaryLiteral pairs: (String, JSONValue)...) {
    self.init(pairs.map { (key: Array($0.0.utf8), value: $0.1) })
  }
}

/// Reads JSON (RFC 8259) whose keys stay bytes.
struct JSONParser {
  private let bytes: [UInt8]
  private var place = 0
  private var depth = 0

  /// No document of ours nests deeper; a forged document must not use up the stack.
  private static let deepest = 256

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// The one value in the text; nil if the text is not JSON.
  mutating func document() -> JSONValue? {
    if bytes.starts(with: [0xef, 0xbb, 0xbf]) { place = 3 }
    guard let value = value() else { return nil }
    skipSpace()
    return place == bytes.count ? value : nil
  }

  private mutating func value() -> JSONValue? {
    skipSpace()
    switch peek {
    case UInt8(ascii: "{"): return nested { $0.object() }
    case UInt8(ascii: "["): return nested { $0.array() }
    case UInt8(ascii: "\""): return string().flatMap { String(validating: $0, as: UTF8.self) }.map { .string($0) }
    case UInt8(ascii: "t"): return word("true") ? .bool(true) : nil
    case UInt8(ascii: "f"): return word("false") ? .bool(false) : nil
    case UInt8(ascii: "n"): return word("null") ? .null : nil
    default: return number()
    }
  }

  private mutating func nested(_ read: (inout JSONParser) -> JSONValue?) -> JSONValue? {
    guard depth < Self.deepest else { return nil }
    depth += 1
    defer { depth -= 1 }
    place += 1
    return read(&self)
  }

  private mutating func array() -> JSONValue? {
    var items: [JSONValue] = []
    if consume("]") { return .array(items) }
    repeat {
      guard let item = value() else { return nil }
      items.append(item)
    } while consume(",")
    return consume("]") ? .array(items) : nil
  }

  private mutating func object() -> JSONValue? {
    var object = JSONObject()
    if consume("}") { return .object(object) }
    repeat {
      skipSpace()
      guard peek == UInt8(ascii: "\""), let key = string(), consume(":"), let value = value() else { return nil }
      object[key] = value
    } while consume(",")
    return consume("}") ? .object(object) : nil
  }

  // MARK: Strings

  private mutating func string() -> [UInt8]? {
    place += 1
    var text: [UInt8] = []
    while let byte = next() {
      switch byte {
      case UInt8(ascii: "\""): return text
      case UInt8(ascii: "\\"):
        guard let escaped = escape() else { return nil }
        text += escaped
      case ..<0x20: return nil
      default: text.append(byte)
      }
    }
    return nil
  }

  private mutating func escape() -> [UInt8]? {
    guard let letter = next() else { return nil }
    switch letter {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [letter]
    case UInt8(ascii: "b"): return [0x08]
    case UInt8(ascii: "f"): return [0x0c]
    case UInt8(ascii: "n"): return [0x0a]
    case UInt8(ascii: "r"): return [0x0d]
    case UInt8(ascii: "t"): return [0x09]
    case UInt8(ascii: "u"): return unit().flatMap { character($0) }
    default: return nil
    }
  }

  private mutating func character(_ unit: UInt32) -> [UInt8]? {
    switch unit {
    case 0xd800..<0xdc00:
      guard next() == UInt8(ascii: "\\"), next() == UInt8(ascii: "u"), let low = self.unit(),
        (0xdc00..<0xe000).contains(low)
      else { return nil }
      return Unicode.Scalar(0x10000 + (unit - 0xd800) << 10 + (low - 0xdc00)).map { Array(String($0).utf8) }
    // A byte that is not UTF-8: see JSONWriter.
    case 0xdc80..<0xdd00: return [UInt8(unit - 0xdc00)]
    default: return Unicode.Scalar(unit).map { Array(String($0).utf8) }
    }
  }

  private mutating func unit() -> UInt32? {
    var unit: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = next(), let digit = Character(Unicode.Scalar(byte)).hexDigitValue else { return nil }
      unit = unit << 4 | UInt32(digit)
    }
    return unit
  }

  // MARK: Numbers and words

  private mutating func number() -> JSONValue? {
    let start = place
    _ = accept("-")
    if !accept("0") { guard digits() else { return nil } }
    var isWhole = true
    if accept(".") {
      isWhole = false
      guard digits() else { return nil }
    }
    if accept("e") || accept("E") {
      isWhole = false
      if !accept("+") { _ = accept("-") }
      guard digits() else { return nil }
    }
    let text = String(decoding: bytes[start..<place], as: UTF8.self)
    if isWhole, let value = Int64(text) { return .integer(value) }
    guard let value = Double(text), value.isFinite else { return nil }
    return Int64(exactly: value).map { .integer($0) } ?? .number(value)
  }

  private mutating func digits() -> Bool {
    let start = place
    while let byte = peek, byte >= 0x30, byte <= 0x39 { place += 1 }
    return place > start
  }

  private mutating func word(_ word: StaticString) -> Bool {
    let expected = word.withUTF8Buffer { Array($0) }
    guard bytes[place...].starts(with: expected) else { return false }
    place += expected.count
    return true
  }

  private var peek: UInt8? { place < bytes.count ? bytes[place] : nil }

  private mutating func next() -> UInt8? {
    guard let byte = peek else { return nil }
    place += 1
    return byte
  }

  private mutating func accept(_ character: Unicode.Scalar) -> Bool {
    guard peek == UInt8(ascii: character) else { return false }
    place += 1
    return true
  }

  private mutating func consume(_ character: Unicode.Scalar) -> Bool {
    skipSpace()
    return accept(character)
  }

  private mutating func skipSpace() {
    while let byte = peek, byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 { place += 1 }
  }
}

/// Writes JSON that cannot affect a terminal, log or mail: unprintable characters (controls, C1 and
/// direction changes among them) are written as `\uXXXX`.
package struct JSONWriter {
  package private(set) var bytes: [UInt8] = []
  private var depth = 0
  private let breaksLines: Bool

  /// - Parameter breaksLines: whether each item is on a line of its own, indented.
  package init(breaksLines: Bool = true) { self.breaksLines = breaksLines }

  package mutating func write(_ value: JSONValue) {
    switch value {
    case .null: bytes += "null".utf8
    case .bool(let flag): bytes += (flag ? "true" : "false").utf8
    case .integer(let number): bytes += String(number).utf8
    case .number(let number): bytes += Self.text(number).utf8
    case .string(let text): write(text: Array(text.utf8))
    case .array(let items): list(items, "[", "]") { $0.write($1) }
    case .object(let object):
      list(object.sorted, "{", "}") { writer, pair in
        writer.write(text: pair.key)
        writer.bytes += " : ".utf8
        writer.write(pair.value)
      }
    }
  }

  private mutating func list<Item>(
    _ items: [Item], _ start: String, _ end: String, _ write: (inout JSONWriter, Item) -> Void
  ) {
    bytes += start.utf8
    guard !items.isEmpty else {
      bytes += end.utf8
      return
    }
    depth += 1
    for (index, item) in items.enumerated() {
      if index > 0 { bytes += ",".utf8 }
      breakLine()
      write(&self, item)
    }
    depth -= 1
    breakLine()
    bytes += end.utf8
  }

  private mutating func breakLine() {
    guard breaksLines else { return }
    bytes.append(UInt8(ascii: "\n"))
    for _ in 0..<depth { bytes += "  ".utf8 }
  }

  /// A text in quotes. A byte that is not UTF-8 is written as a lone surrogate from U+DC80 to
  /// U+DCFF, as in Python.
  package mutating func write(text: [UInt8]) {
    bytes.append(UInt8(ascii: "\""))
    if text.allSatisfy({ $0 >= 0x20 && $0 < 0x7f && $0 != 0x22 && $0 != 0x5c }) {
      bytes += text
    } else {
      text.eachScalar { scalar in
        switch scalar {
        case .success(let scalar): write(scalar)
        case .failure(let stray): escape(0xdc00 + UInt32(stray.byte))
        }
      }
    }
    bytes.append(UInt8(ascii: "\""))
  }

  private mutating func write(_ scalar: Unicode.Scalar) {
    switch scalar {
    case "\"": bytes += "\\\"".utf8
    case "\\": bytes += "\\\\".utf8
    case "\n": bytes += "\\n".utf8
    case "\r": bytes += "\\r".utf8
    case "\t": bytes += "\\t".utf8
    case _ where scalar.isUnprintable: for unit in UTF16.encode(scalar)! { escape(UInt32(unit)) }
    default: bytes += UTF8.encode(scalar)!
    }
  }

  private mutating func escape(_ unit: UInt32) {
    let digits = String(unit, radix: 16)
    bytes += ("\\u" + String(repeating: "0", count: 4 - digits.count) + digits).utf8
  }

  /// The shortest digits that are read as this number; JSON has no infinities.
  private static func text(_ number: Double) -> String {
    guard number.isFinite else { return "null" }
    let text = "\(number)"
    return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
  }
}
