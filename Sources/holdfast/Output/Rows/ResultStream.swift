import BackupEngine
import Glibc

/// Standard output for results that may be longer than memory: written piece by piece.
final class ResultStream {
  private var bytes: [UInt8] = []
  private static let size = 1 << 16

  init() { bytes.reserveCapacity(Self.size + 4096) }

  /// - Throws: where standard output cannot be written.
  func write(_ text: String) throws {
    bytes.append(contentsOf: text.utf8)
    if bytes.count >= Self.size { try flush() }
  }

  func flush() throws {
    try Console.write(bytes, to: STDOUT_FILENO)
    bytes.removeAll(keepingCapacity: true)
  }
}

/// One way to print the rows of a result, as they come.
protocol RowFormat {
  mutating func begin(_ columns: [String]) throws
  mutating func add(_ row: [DatabaseValue]) throws
  /// After the last row, or in its place.
  mutating func end() throws
}
