import Names

/// Writes JSON that no terminal, log or mail acts on: whatever is not shown as it is (controls, C1 and changes of the writing
/// direction among it) is written `\uXXXX`.
package struct JSONWriter {
  package private(set) var bytes: [UInt8] = []
  private var depth = 0

  package init() {}

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
    bytes.append(UInt8(ascii: "\n"))
    for _ in 0..<depth { bytes += "  ".utf8 }
  }

  /// A text in quotes. A byte that is not UTF-8 is written as a lone surrogate from U+DC80 to U+DCFF, as Python does.
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
