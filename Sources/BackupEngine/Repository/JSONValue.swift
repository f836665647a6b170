import Names

/// Any JSON value, so that unknown keys survive and wrong types are told one by one.
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
  /// Reads one JSON document; nil where it is none.
  package init?(parsing bytes: [UInt8]) {
    var parser = JSONParser(bytes)
    guard let value = parser.document() else { return nil }
    self = value
  }

  /// The document, indented, keys sorted, with a final newline.
  package func encoded() -> [UInt8] {
    var writer = JSONWriter()
    writer.write(self)
    return writer.bytes + [UInt8(ascii: "\n")]
  }

  package static func optional(_ value: String?) -> JSONValue { value.map { .string($0) } ?? .null }
  package static func optional(_ value: (some BinaryInteger)?) -> JSONValue {
    value.map { .integer(Int64(clamping: $0)) } ?? .null
  }
}

extension JSONValue: Hashable {
  /// Texts are the same if their bytes are: `String` takes two spellings of one character for the same.
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

/// The keys and values of a JSON object. Keys are bytes: those of `table_counts` are the names of tables, which may differ in
/// nothing but Unicode's normal form, and need not be UTF-8.
package struct JSONObject: Hashable, Sendable {
  private var values: [[UInt8]: JSONValue] = [:]

  package init() {}

  /// - Parameter pairs: the first of two equal keys stays.
  package init(_ pairs: some Sequence<(key: [UInt8], value: JSONValue)>) {
    values = Dictionary(pairs.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
  }

  package var isEmpty: Bool { values.isEmpty }
  package var count: Int { values.count }
  package var keys: [String] { sorted.map { $0.key.text } }
  /// By the keys' bytes.
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

  /// With the keys of another one, whose values count.
  package func merging(_ other: JSONObject) -> JSONObject {
    var result = self
    result.values.merge(other.values) { $1 }
    return result
  }

  @discardableResult
  package mutating func removeValue(forKey key: String) -> JSONValue? { values.removeValue(forKey: Array(key.utf8)) }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
  package init(dictionaryLiteral pairs: (String, JSONValue)...) {
    self.init(pairs.map { (key: Array($0.0.utf8), value: $0.1) })
  }
}
