import BackupEngine

/// RFC 4180: a header line, fields in quotes where they need them, lines that end with CR LF. NULL is an empty field, and an
/// empty text is a pair of quotes; blobs are hexadecimal.
struct CSVRows: RowFormat {
  let stream: ResultStream

  mutating func begin(_ columns: [String]) throws {
    try line(columns.map { Self.field($0) })
  }

  mutating func add(_ row: [DatabaseValue]) throws {
    try line(row.map { $0 == .null ? "" : Self.field($0.plainText) })
  }

  mutating func end() throws { try stream.flush() }

  private func line(_ fields: [String]) throws {
    try stream.write(fields.joined(separator: ",") + "\r\n")
  }

  private static func field(_ text: String) -> String {
    let quotes = text.isEmpty || text.utf8.contains { $0 == 0x22 || $0 == 0x2c || $0 == 0x0a || $0 == 0x0d }
    guard quotes else { return text }
    return "\"" + text.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
  }
}

extension DatabaseValue {
  /// Every digit of a number, blobs in hexadecimal, and nothing for NULL.
  var plainText: String {
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
  /// The shortest digits that are read as this very number; infinities as SQLite writes them.
  var words: String { isInfinite ? (self < 0 ? "-Inf" : "Inf") : "\(self)" }
}
