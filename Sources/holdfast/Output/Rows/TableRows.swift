import BackupEngine
import Names

/// Columns below each other, for people: numbers to the right, control characters spelt out, long values cut.
struct TableRows: RowFormat {
  let stream: ResultStream
  /// The widths are those of so many rows; later ones may stand out.
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

  /// NULL is told apart from an empty text.
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
