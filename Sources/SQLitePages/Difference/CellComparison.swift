import CSQLite
import Glibc

/// How a database's text is stored, which is what BINARY compares.
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

  /// The very same value: type and content.
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

  /// Exact, as `sqlite3IntFloatCompare` is: a Double does not hold every Int64.
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
    // This machine's own order is little-endian; big-endian bytes order as the units' values do.
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
