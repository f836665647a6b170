/// A name in SQL: of a table, a column, an index, a trigger or a view.
///
/// SQLite compares names byte by byte and folds only A to Z (`sqlite3StrICmp`). A `String` would
/// treat two spellings of one character as equal, and `lowercased()` folds all of Unicode. Bytes
/// that are not UTF-8 stay as they are.
///
/// ```swift
/// let backup = try await service.metadata(of: "latest")
/// if let rows = backup.tableCounts?["orders"] { print("orders: \(rows ?? 0) rows") }
/// ```
public struct Identifier: Sendable {
  /// The name as the schema holds it, in UTF-8 unless an application used another encoding.
  public let bytes: [UInt8]

  /// - Parameter bytes: any but NUL.
  public init(bytes: [UInt8]) { self.bytes = bytes }

  /// - Parameter text: as a person or a program wrote it, without quotes.
  public init(_ text: String) { self.init(bytes: Array(text.utf8)) }

  /// SQLite's own (`sqlite_sequence`, `sqlite_stat1`).
  package var isInternal: Bool { folded.starts(with: "sqlite_".utf8) }

  private var folded: some Sequence<UInt8> { bytes.lazy.map(Self.fold) }

  private static func fold(_ byte: UInt8) -> UInt8 { byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte }
}

extension Identifier: Hashable, Comparable {
  /// Whether SQLite considers both the same name.
  public static func == (left: Identifier, right: Identifier) -> Bool {
    left.bytes.count == right.bytes.count && left.folded.elementsEqual(right.folded)
  }

  /// Equal if SQLite considers the names the same.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(bytes.count)
    for byte in bytes { hasher.combine(Self.fold(byte)) }
  }

  /// By bytes, A to Z folded.
  public static func < (left: Identifier, right: Identifier) -> Bool {
    left.folded.lexicographicallyPrecedes(right.folded)
  }
}

extension Identifier: CustomStringConvertible, ExpressibleByStringLiteral {
  /// For people; bytes that are not UTF-8 are written `\xNN`.
  public var description: String { bytes.text }

  /// The name as written in a program.
  public init(stringLiteral text: String) { self.init(text) }
}

extension [UInt8] {
  /// The text, in which bytes that are not UTF-8 are written `\xNN`.
  package var text: String {
    if let text = String(validating: self, as: UTF8.self) { return text }
    var result = ""
    eachScalar { scalar in
      switch scalar {
      case .success(let scalar): result.unicodeScalars.append(scalar)
      case .failure(let stray): result += "\\x" + (stray.byte < 16 ? "0" : "") + String(stray.byte, radix: 16)
      }
    }
    return result
  }

  /// Calls `body` with each character of UTF-8, and each byte that is not part of a character.
  package func eachScalar(_ body: (Result<Unicode.Scalar, StrayByte>) -> Void) {
    var rest = self[...]
    while let first = rest.first {
      let length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4
      if let text = String(validating: rest.prefix(length), as: UTF8.self), text.unicodeScalars.count == 1,
        let scalar = text.unicodeScalars.first
      {
        body(.success(scalar))
        rest = rest.dropFirst(length)
      } else {
        body(.failure(StrayByte(byte: first)))
        rest = rest.dropFirst()
      }
    }
  }
}

/// A byte that is not part of a character in UTF-8.
package struct StrayByte: Error {
  package let byte: UInt8
}
