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
  /// The whole name.
  public let text: String
  /// The second in the name.
  public let second: Timestamp

  /// The whole name.
  public var description: String { text }

  /// Reads an ID; nil unless it has exactly the form above, with a real date and time.
  public init?(_ text: String) {
    guard text.utf8.count <= Self.longest else { return nil }
    let parts = text.utf8.split(separator: UInt8(ascii: "_"), omittingEmptySubsequences: false)
    guard (3...4).contains(parts.count), Array(parts[0]) == Array("backup".utf8),
      parts[1].count == 8, parts[2].count == 6, let date = Int(digits: parts[1]), let time = Int(digits: parts[2]),
      time % 100 < 60,
      parts.count == 3 || (parts[3].count >= 3 && Int(digits: parts[3]) != nil),
      let second = Timestamp(
        CivilTime(
          year: date / 10000, month: date / 100 % 100, day: date % 100, hour: time / 10000, minute: time / 100 % 100,
          second: time % 100, millisecond: 0)), Timestamp.writable.contains(second)
    else { return nil }
    self.text = text
    self.second = second
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
    let fields = time.civil
    let date = fields.year.padded(4) + fields.month.padded(2) + fields.day.padded(2)
    let clock = fields.hour.padded(2) + fields.minute.padded(2) + fields.second.padded(2)
    text = "backup_\(date)_\(clock)" + (number == 0 ? "" : "_\(number.padded(3))")
    second = Timestamp(milliseconds: time.milliseconds.flooredQuotient(by: 1000) * 1000)
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
