import BackupEngine

/// An array of one object for each row, keys in the order of the columns. NULL is null, integers keep every digit, blobs are
/// `{"blob": "hexadecimal"}`, and a second column of one name has `_2` behind it.
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

/// JSON written by hand: rows are many, and their keys have an order.
enum JSONText {
  static func value(_ value: DatabaseValue) -> String {
    switch value {
    case .null: "null"
    case .integer(let number): String(number)
    // As SQLite's own JSON functions write infinities: a number that readers take for one.
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
