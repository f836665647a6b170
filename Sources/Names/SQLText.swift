/// A statement in SQL, as bytes: a schema may hold names that are not UTF-8, and two names that
/// only Unicode considers the same.
///
/// An ``Identifier`` in an interpolation is put in quotes.
package struct SQLText: Hashable, Sendable {
  package private(set) var bytes: [UInt8]

  package init(bytes: [UInt8]) { self.bytes = bytes }

  package static func + (left: SQLText, right: SQLText) -> SQLText { SQLText(bytes: left.bytes + right.bytes) }
}

extension SQLText: ExpressibleByStringInterpolation {
  package init(stringLiteral text: String) { self.init(bytes: Array(text.utf8)) }
  package init(stringInterpolation parts: Interpolation) { self.init(bytes: parts.bytes) }

  package struct Interpolation: StringInterpolationProtocol {
    fileprivate var bytes: [UInt8] = []

    package init(literalCapacity: Int, interpolationCount: Int) { bytes.reserveCapacity(literalCapacity) }
    package mutating func appendLiteral(_ text: String) { bytes += text.utf8 }
    package mutating func appendInterpolation(_ sql: SQLText) { bytes += sql.bytes }
    package mutating func appendInterpolation(_ number: some BinaryInteger) { bytes += String(number).utf8 }

    package mutating func appendInterpolation(_ name: Identifier) {
      bytes.append(UInt8(ascii: "\""))
      for byte in name.bytes { bytes += byte == UInt8(ascii: "\"") ? [byte, byte] : [byte] }
      bytes.append(UInt8(ascii: "\""))
    }
  }
}

extension SQLText: CustomStringConvertible {
  /// For people; bytes that are not UTF-8 are written `\xNN`.
  package var description: String { bytes.text }
}

extension Sequence<SQLText> {
  /// With `, ` between them.
  package func listed() -> SQLText {
    SQLText(bytes: Array(map(\.bytes).joined(separator: Array(", ".utf8))))
  }
}
