/// The name of a restorable state: `backup_YYYYMMDD_HHMMSS` in UTC, with `_NNN` if that second is
/// already used.
///
/// IDs name files, so nothing else is ever accepted as one. They are never compared as text: a
/// repository's order is its points' sequence.
///
/// ```swift
/// if let id = PointID("backup_20261121_020000") { try await service.verify(id) }
/// ```
public struct PointID: Hashable, Sendable, CustomStringConvertible {
  // An agent remembers many of them, so the name itself is made when it is needed: a text of this length is an
  // allocation of its own, and such small ones keep the pages of the heap in use.
  /// The second in the name.
  public let second: Timestamp
  /// The number behind the second, and its digits: 0 without one.
  private let number: Int64
  private let digits: UInt8

  /// The whole name.
  public var text: String {
    let fields = second.civil
    return String(unsafeUninitializedCapacity: Self.longest) { buffer in
      var writer = DigitWriter(buffer)
      writer.add("backup_")
      writer.add(Int64(fields.year), digits: 4)
      writer.add(Int64(fields.month), digits: 2)
      writer.add(Int64(fields.day), digits: 2)
      writer.add("_")
      writer.add(Int64(fields.hour), digits: 2)
      writer.add(Int64(fields.minute), digits: 2)
      writer.add(Int64(fields.second), digits: 2)
      if digits > 0 {
        writer.add("_")
        writer.add(number, digits: Int(digits))
      }
      return writer.count
    }
  }

  /// The whole name.
  public var description: String { text }

  /// Reads an ID; nil unless it has exactly the form above, with a real date and time.
  public init?(_ text: String) {
    guard text.utf8.count <= Self.longest else { return nil }
    let parts = text.utf8.split(separator: UInt8(ascii: "_"), omittingEmptySubsequences: false)
    guard (3...4).contains(parts.count), Array(parts[0]) == Array("backup".utf8),
      parts[1].count == 8, parts[2].count == 6, let date = Int(digits: parts[1]), let time = Int(digits: parts[2]),
      time % 100 < 60,
      let second = Timestamp(
        CivilTime(
          year: date / 10000, month: date / 100 % 100, day: date % 100, hour: time / 10000, minute: time / 100 % 100,
          second: time % 100, millisecond: 0)), Timestamp.writable.contains(second)
    else { return nil }
    self.second = second
    if parts.count == 3 {
      (number, digits) = (0, 0)
    } else {
      guard parts[3].count >= 3, let number = Int(digits: parts[3]) else { return nil }
      (self.number, digits) = (Int64(number), UInt8(parts[3].count))
    }
  }

  /// The maximum length of an ID in bytes; this also keeps the number at its end within an `Int`.
  private static let longest = 40

  /// The ID for a state read at `time`, as the `number`-th of its second (0 gives no suffix).
  ///
  /// - Parameters:
  ///   - time: if it is outside of the years 0001…9999, the nearest time within is used, so that an
  ///     ID can always be read back.
  ///   - number: 0…10^16.
  public init(at time: Timestamp, number: Int = 0) {
    let time = time.writable
    second = Timestamp(milliseconds: time.milliseconds.flooredQuotient(by: 1000) * 1000)
    (self.number, digits) = (Int64(number), number == 0 ? 0 : UInt8(number.padded(3).utf8.count))
  }
}

/// Writes ASCII into a buffer.
private struct DigitWriter {
  private let buffer: UnsafeMutableBufferPointer<UInt8>
  private(set) var count = 0

  init(_ buffer: UnsafeMutableBufferPointer<UInt8>) { self.buffer = buffer }

  mutating func add(_ text: StaticString) {
    text.withUTF8Buffer { for byte in $0 { append(byte) } }
  }

  /// With leading zeros.
  mutating func add(_ number: Int64, digits: Int) {
    var (rest, end) = (number, count + digits)
    count = end
    for _ in 0..<digits {
      end -= 1
      buffer[end] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
      rest /= 10
    }
  }

  private mutating func append(_ byte: UInt8) {
    buffer[count] = byte
    count += 1
  }
}

extension PointID: Codable {
  /// Reads the name; anything that is not an ID is an error.
  public init(from decoder: any Decoder) throws {
    let text = try decoder.singleValueContainer().decode(String.self)
    guard let id = PointID(text) else {
      let shown = text.prefix(60)
      throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: "not an ID: \(shown)"))
    }
    self = id
  }

  /// Writes the name.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(text)
  }
}
