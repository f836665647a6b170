import BackupEngine

extension DatabaseValue {
  /// Every digit of a number, blobs in hexadecimal, and nothing for NULL.
  package var plainText: String {
    switch self {
    case .null: ""
    case .integer(let value): String(value)
    case .real(let value): value.words
    case .text(let text): text
    case .blob(let bytes): bytes.hex
    }
  }
}

extension Double {
  /// The shortest digits that are parsed as exactly this number; infinities as SQLite writes them.
  package var words: String { isInfinite ? (self < 0 ? "-Inf" : "Inf") : "\(self)" }
}

extension DatabaseValue {
  /// As `query --json` writes it. Infinities are texts, because JSON has no number for them.
  package var json: JSONValue {
    switch self {
    case .null: .null
    case .integer(let value): .integer(value)
    case .real(let value): value.isInfinite ? .string(value.words) : .number(value)
    case .text(let text): .string(text)
    case .blob(let bytes): .object(["blob": .string(bytes.hex)])
    }
  }
}
