import BackupPolicy
import Glibc
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
    values.sorted { $0.key.precedes($1.key) }
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

extension [UInt8] {
  /// Whether these bytes come before `other`, as `lexicographicallyPrecedes` would say.
  fileprivate func precedes(_ other: [UInt8]) -> Bool {
    withUnsafeBytes { one in
      other.withUnsafeBytes { other in
        let common = Swift.min(one.count, other.count)
        let order = common == 0 ? 0 : memcmp(one.baseAddress!, other.baseAddress!, common)
        return order == 0 ? one.count < other.count : order < 0
      }
    }
  }
}
