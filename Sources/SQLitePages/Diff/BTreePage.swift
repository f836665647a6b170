import CSQLite
import Glibc

/// A page of a b-tree, as described in <https://www.sqlite.org/fileformat2.html#b_tree_pages>.
/// Every read is within the page, and returns nil if the page is inconsistent.
struct BTreePage {
  enum Kind: UInt8 {
    case interiorIndex = 2
    case interiorTable = 5
    case leafIndex = 10
    case leafTable = 13
  }

  let kind: Kind
  private let bytes: [UInt8]
  private let header: Int
  private let cellCount: Int
  /// Page size without the reserved bytes.
  private let usable: Int

  /// Returns nil if the page is not a b-tree page.
  init?(_ bytes: [UInt8], number: UInt32, usable: Int) {
    header = number == 1 ? 100 : 0
    guard bytes.count >= 512, let kind = Kind(rawValue: bytes[header]) else { return nil }
    self.kind = kind
    self.bytes = bytes
    self.usable = usable
    cellCount = Int(bytes[header + 3]) << 8 | Int(bytes[header + 4])
    guard header + 12 + 2 * cellCount <= bytes.count else { return nil }
  }

  var isEmpty: Bool { cellCount == 0 }
  private var isInterior: Bool { kind == .interiorIndex || kind == .interiorTable }

  /// Child pages of an interior page of a table, each with the greatest key that may be below it; the last has no bound.
  func children() -> [(page: UInt32, last: Int64?)]? {
    guard kind == .interiorTable else { return nil }
    var result: [(UInt32, Int64?)] = []
    for index in 0..<cellCount {
      guard let cell = cell(index), let child = big32(cell), let (key, _) = varint(cell + 4) else { return nil }
      result.append((child, key))
    }
    guard let right = big32(header + 8) else { return nil }
    return result + [(right, nil)]
  }

  /// A key that is somewhere below this page of a table, or on it; nil if the page has no keys.
  func someKey() -> Int64? {
    guard cellCount > 0, let cell = cell(0) else { return nil }
    switch kind {
    case .interiorTable: return varint(cell + 4)?.value
    case .leafTable: return varint(cell).flatMap { varint($0.next)?.value }
    default: return nil
    }
  }

  /// The rowids of a table's leaf, from the first to the last.
  func rowids() -> ClosedRange<Int64>? {
    guard kind == .leafTable, cellCount > 0, let first = someKey(), let cell = cell(cellCount - 1),
      let (_, next) = varint(cell), let last = varint(next)?.value, first <= last
    else { return nil }
    return first...last
  }

  /// The first overflow page of each cell that has one.
  func overflows() -> [UInt32]? {
    guard kind != .interiorTable else { return [] }
    var result: [UInt32] = []
    for index in 0..<cellCount {
      guard var place = cell(index) else { return nil }
      if isInterior { place += 4 }
      guard let (payload, afterSize) = varint(place), payload >= 0 else { return nil }
      place = afterSize
      if kind == .leafTable {
        guard let (_, next) = varint(place) else { return nil }
        place = next
      }
      if let local = localSize(payload) {
        guard let page = big32(place + local) else { return nil }
        result.append(page)
      }
    }
    return result
  }

  /// The part of a payload, in bytes, that is on the page; nil if all of it is.
  private func localSize(_ payload: Int64) -> Int? {
    let most = kind == .leafTable ? usable - 35 : (usable - 12) * 64 / 255 - 23
    guard payload > Int64(most) else { return nil }
    let least = (usable - 12) * 32 / 255 - 23
    let fit = least + Int((payload - Int64(least)) % Int64(usable - 4))
    return fit <= most ? fit : least
  }

  private func cell(_ index: Int) -> Int? {
    let pointer = header + (isInterior ? 12 : 8) + 2 * index
    guard pointer + 2 <= bytes.count else { return nil }
    let place = Int(bytes[pointer]) << 8 | Int(bytes[pointer + 1])
    return place >= header + 8 && place < bytes.count ? place : nil
  }

  private func big32(_ place: Int) -> UInt32? { bytes.big32(place) }

  /// SQLite's variable-length integer: seven bits a byte, eight in the ninth.
  private func varint(_ place: Int) -> (value: Int64, next: Int)? {
    var value: UInt64 = 0
    for index in 0..<9 {
      guard place + index < bytes.count else { return nil }
      let byte = UInt64(bytes[place + index])
      if index == 8 { return (Int64(bitPattern: value << 8 | byte), place + 9) }
      value = value << 7 | byte & 0x7f
      if byte < 0x80 { return (Int64(bitPattern: value), place + index + 1) }
    }
    return nil
  }
}

extension [UInt8] {
  /// The big-endian number at a place; nil if it is past the end.
  func big32(_ place: Int) -> UInt32? {
    guard place >= 0, place + 4 <= count else { return nil }
    return self[place..<place + 4].reduce(0) { $0 << 8 | UInt32($1) }
  }
}

/// The encoding in which a database stores text; BINARY compares those bytes.
package enum TextEncoding: String, Sendable {
  case utf8 = "UTF-8"
  case utf16LittleEndian = "UTF-16le"
  case utf16BigEndian = "UTF-16be"
}

/// Compares columns of two statements' rows without copying them.
enum CellComparison {
  private typealias Statement = OpaquePointer?

  /// The order of SQLite's sorter with BINARY: NULL, numbers by value, text, blobs.
  static func order(
    _ left: OpaquePointer?, _ right: OpaquePointer?, _ column: Int32, _ encoding: TextEncoding
  ) -> Int {
    let (first, second) = (sqlite3_column_type(left, column), sqlite3_column_type(right, column))
    let (low, high) = (rank(first), rank(second))
    guard low == high else { return low - high }
    switch first {
    case SQLITE_NULL: return 0
    case SQLITE_TEXT: return text(left, right, column, encoding)
    case SQLITE_BLOB: return bytes(blob(left, column), blob(right, column))
    default: return numbers(left, first, right, second, column)
    }
  }

  /// Whether the values are identical: type and content.
  static func isSame(_ left: OpaquePointer?, _ right: OpaquePointer?, _ column: Int32) -> Bool {
    let type = sqlite3_column_type(left, column)
    guard type == sqlite3_column_type(right, column) else { return false }
    switch type {
    case SQLITE_NULL: return true
    case SQLITE_INTEGER: return sqlite3_column_int64(left, column) == sqlite3_column_int64(right, column)
    case SQLITE_FLOAT: return sqlite3_column_double(left, column) == sqlite3_column_double(right, column)
    case SQLITE_TEXT: return text(left, right, column, .utf8) == 0
    default: return bytes(blob(left, column), blob(right, column)) == 0
    }
  }

  private static func rank(_ type: Int32) -> Int {
    switch type {
    case SQLITE_NULL: 0
    case SQLITE_INTEGER, SQLITE_FLOAT: 1
    case SQLITE_TEXT: 2
    default: 3
    }
  }

  private static func numbers(
    _ left: OpaquePointer?, _ first: Int32, _ right: OpaquePointer?, _ second: Int32, _ column: Int32
  ) -> Int {
    func integer(_ row: OpaquePointer?) -> Int64 { sqlite3_column_int64(row, column) }
    func real(_ row: OpaquePointer?) -> Double { sqlite3_column_double(row, column) }
    switch (first, second) {
    case (SQLITE_INTEGER, SQLITE_INTEGER): return sign(integer(left), integer(right))
    case (SQLITE_INTEGER, _): return mixed(integer(left), real(right))
    case (_, SQLITE_INTEGER): return -mixed(integer(right), real(left))
    default: return sign(real(left), real(right))
    }
  }

  private static func sign<Value: Comparable>(_ left: Value, _ right: Value) -> Int {
    left < right ? -1 : left == right ? 0 : 1
  }

  /// Exact, like `sqlite3IntFloatCompare`: a Double cannot hold every Int64.
  private static func mixed(_ left: Int64, _ right: Double) -> Int {
    if right >= 9_223_372_036_854_775_808 { return -1 }
    if right < -9_223_372_036_854_775_808 { return 1 }
    let whole = Int64(right.rounded(.towardZero))
    return left == whole ? sign(Double(whole), right) : sign(left, whole)
  }

  private static func text(
    _ left: OpaquePointer?, _ right: OpaquePointer?, _ column: Int32, _ encoding: TextEncoding
  ) -> Int {
    guard encoding != .utf8 else {
      return bytes(utf8(left, column), utf8(right, column))
    }
    let (first, second) = (utf16(left, column), utf16(right, column))
    guard encoding == .utf16BigEndian else { return bytes(first, second) }
    // This machine's own order is little-endian; big-endian bytes sort as the units' values do.
    let units = (first.bindMemory(to: UInt16.self), second.bindMemory(to: UInt16.self))
    for (one, other) in zip(units.0, units.1) where one != other { return sign(one, other) }
    return sign(units.0.count, units.1.count)
  }

  private static func utf8(_ row: OpaquePointer?, _ column: Int32) -> UnsafeRawBufferPointer {
    let start = sqlite3_column_text(row, column)
    return UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : Int(sqlite3_column_bytes(row, column)))
  }

  private static func utf16(_ row: OpaquePointer?, _ column: Int32) -> UnsafeRawBufferPointer {
    let start = sqlite3_column_text16(row, column)
    return UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : Int(sqlite3_column_bytes16(row, column)))
  }

  private static func blob(_ row: OpaquePointer?, _ column: Int32) -> UnsafeRawBufferPointer {
    let start = sqlite3_column_blob(row, column)
    return UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : Int(sqlite3_column_bytes(row, column)))
  }

  private static func bytes(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Int {
    let count = min(left.count, right.count)
    if count > 0, let first = left.baseAddress, let second = right.baseAddress {
      let order = memcmp(first, second, count)
      if order != 0 { return order < 0 ? -1 : 1 }
    }
    return sign(left.count, right.count)
  }
}
