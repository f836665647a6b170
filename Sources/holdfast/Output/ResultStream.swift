import BackupEngine
import Glibc
import Names
import Wording

/// Standard output for results that may be longer than memory: written piece by piece.
final class ResultStream {
  private var bytes: [UInt8] = []
  private static let size = 1 << 16

  init() { bytes.reserveCapacity(Self.size + 4096) }

  /// - Throws: if standard output cannot be written.
  func write(_ text: String) throws {
    bytes.append(contentsOf: text.utf8)
    if bytes.count >= Self.size { try flush() }
  }

  func flush() throws {
    try Console.write(bytes, to: STDOUT_FILENO)
    bytes.removeAll(keepingCapacity: true)
  }
}

/// A format for the rows of a result, printed one by one.
protocol RowFormat {
  mutating func begin(_ columns: [String]) throws
  mutating func add(_ row: [DatabaseValue]) throws
  /// Called after the last row, also if there are no rows.
  mutating func end() throws
}

/// RFC 4180: a header line, fields in quotes if they need them, lines that end with CR LF. NULL is
/// an empty field, and an empty text is a pair of quotes; blobs are hexadecimal.
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

/// An array of one object for each row, keys in the order of the columns. NULL is null, integers
/// keep every digit, blobs are `{"blob": "hexadecimal"}`, and a second column of one name has `_2`
/// behind it.
struct JSONRows: RowFormat {
  let stream: ResultStream
  private var names: [String] = []
  private var count = 0

  init(stream: ResultStream) { self.stream = stream }

  mutating func begin(_ columns: [String]) throws {
    names = Self.distinct(columns).map { JSONText.string($0) + ": " }
    try stream.write("[")
  }

  mutating func add(_ row: [DatabaseValue]) throws {
    let fields = zip(names, row).map { $0 + JSONText.value($1) }
    try stream.write((count == 0 ? "\n  {" : ",\n  {") + fields.joined(separator: ", ") + "}")
    count += 1
  }

  mutating func end() throws {
    try stream.write(count == 0 ? "]\n" : "\n]\n")
    try stream.flush()
  }

  private static func distinct(_ columns: [String]) -> [String] {
    // By bytes, as SQLite's names: two spellings of one character are two names.
    var taken = Set(columns.map { Array($0.utf8) })
    var seen: Set<[UInt8]> = []
    return columns.map { name in
      guard !seen.insert(Array(name.utf8)).inserted else { return name }
      var number = 2
      while !taken.insert(Array("\(name)_\(number)".utf8)).inserted { number += 1 }
      return "\(name)_\(number)"
    }
  }
}

/// JSON that is written piece by piece, because there are many rows and their keys have an order.
enum JSONText {
  static func value(_ value: DatabaseValue) -> String {
    switch value {
    case .null: "null"
    case .integer(let number): String(number)
    // The spelling of SQLite's own JSON functions for infinities: readers parse this number as
    // infinity.
    case .real(let number): number.isInfinite ? (number < 0 ? "-9e999" : "9e999") : "\(number)"
    case .text(let text): string(text)
    case .blob(let bytes): "{\"blob\": \"\(bytes.hex)\"}"
    }
  }

  static func string(_ text: String) -> String {
    var writer = JSONWriter()
    writer.write(text: Array(text.utf8))
    return String(decoding: writer.bytes, as: UTF8.self)
  }
}

/// Columns below each other, for people: numbers to the right, control characters escaped, long
/// values shortened.
struct TableRows: RowFormat {
  let stream: ResultStream
  /// The number of rows that decide the widths; later rows may be wider.
  private static let sample = 500
  private static let widest = 60

  private var columns: [String] = []
  private var waiting: [[DatabaseValue]] = []
  private var widths: [Int]?
  private var count = 0

  init(stream: ResultStream) { self.stream = stream }

  mutating func begin(_ columns: [String]) throws {
    self.columns = columns.map(\.printable)
  }

  mutating func add(_ row: [DatabaseValue]) throws {
    count += 1
    guard let widths else {
      waiting.append(row)
      if waiting.count == Self.sample { try release() }
      return
    }
    try line(row, widths)
  }

  mutating func end() throws {
    try release()
    try stream.write("(\(count.grouped) row\(count == 1 ? "" : "s"))\n")
    try stream.flush()
  }

  private mutating func release() throws {
    guard widths == nil else { return }
    let widths = columns.indices.map { column in
      waiting.reduce(columns[column].count) { max($0, Self.cell($1[column]).count) }
    }
    self.widths = widths
    try stream.write(Self.joined(zip(columns, widths).map { $0.padded(to: $1) }))
    try stream.write(Self.joined(widths.map { String(repeating: "-", count: $0) }))
    for row in waiting { try line(row, widths) }
    waiting = []
  }

  private func line(_ row: [DatabaseValue], _ widths: [Int]) throws {
    try stream.write(
      Self.joined(
        zip(row, widths).map { value, width in
          let text = Self.cell(value)
          return value.isNumber ? text.padded(to: width, right: true) : text.padded(to: width)
        }))
  }

  private static func joined(_ cells: [String]) -> String {
    var line = cells.joined(separator: "  ")
    while line.last == " " { line.removeLast() }
    return line + "\n"
  }

  /// NULL is distinct from an empty text.
  private static func cell(_ value: DatabaseValue) -> String {
    let text = value == .null ? "NULL" : value.isBlob ? "x'\(value.plainText)'" : value.plainText.printable
    return text.count > widest ? text.prefix(widest - 1) + "…" : text
  }
}

extension DatabaseValue {
  fileprivate var isNumber: Bool {
    switch self {
    case .integer, .real: true
    default: false
    }
  }

  fileprivate var isBlob: Bool { if case .blob = self { true } else { false } }
}

extension String {
  fileprivate func padded(to width: Int, right: Bool = false) -> String {
    let space = String(repeating: " ", count: max(0, width - count))
    return right ? space + self : self + space
  }
}
