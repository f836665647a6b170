/// The path of a file, which consists of bytes.
///
/// Two `String`s are equal if Unicode considers them the same text. But if one file's name has "é"
/// as one character and another's has it as two, they are different files, so paths that are
/// compared, counted or looked up are of this type.
package struct ExactPath: Hashable, Sendable {
  /// For people, and for calls that open the file.
  package let text: String

  package init(_ text: String) { self.text = text }

  package static func == (left: ExactPath, right: ExactPath) -> Bool { left.text.isExactly(right.text) }

  package func hash(into hasher: inout Hasher) {
    for byte in text.utf8 { hasher.combine(byte) }
    hasher.combine(UInt8(0xFF))
  }

  /// The part after the last slash.
  package var fileName: ExactPath {
    ExactPath(String(text.utf8.split(separator: UInt8(ascii: "/")).last.map { Substring($0) } ?? ""))
  }
}

extension ExactPath: CustomStringConvertible, ExpressibleByStringLiteral {
  package var description: String { text }
  package init(stringLiteral text: String) { self.init(text) }
}
