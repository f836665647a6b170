import BackupPolicy

/// A zone file of the system's time zone database: TZif, versions 1 to 4 (RFC 8536, RFC 9636).
///
/// Whatever the bytes are, reading ends with rules or an error: all counts are checked against the file before use.
struct ZoneFile {
  private var reader: BigEndianReader
  private let path: String

  /// Real files have 5 KB at most.
  static let largestSize = 1 << 20

  /// - Parameters:
  ///   - name: of the zone, for the rules.
  ///   - path: for messages.
  /// - Throws: `HoldfastError` where it is no such file, is damaged, or counts leap seconds.
  static func rules(_ bytes: [UInt8], name: String, path: String) throws -> ZoneRules {
    var file = ZoneFile(reader: BigEndianReader(bytes: bytes[...]), path: path)
    return try file.read(name)
  }

  static func isZoneFile(_ bytes: [UInt8]) -> Bool { bytes.starts(with: Array("TZif".utf8)) }

  private mutating func read(_ name: String) throws -> ZoneRules {
    let first = try header()
    // The first block has 32-bit times, which end in 2038; since version 2 a second one follows, and then the rule.
    guard first.version >= 2 else { return try body(first, timeSize: 4, name) }
    try skip(first.size(timeSize: 4))
    let second = try header()
    return try body(second, timeSize: 8, name)
  }

  private struct Header {
    var version: Int
    /// In the file's order: UT indicators, standard indicators, leap seconds, transitions, types, designations' bytes.
    var counts: [Int]

    var leapSeconds: Int { counts[2] }
    var transitions: Int { counts[3] }
    var types: Int { counts[4] }

    func size(timeSize: Int) -> Int {
      transitions * (timeSize + 1) + types * 6 + counts[5] + leapSeconds * (timeSize + 4) + counts[1] + counts[0]
    }
  }

  private mutating func header() throws -> Header {
    guard let magic = reader.take(4), Self.isZoneFile(Array(magic)), let version = reader.take(1)?.first,
      reader.take(15) != nil
    else { throw damaged("it does not begin as a zone file does") }
    var counts: [Int] = []
    for _ in 0..<6 {
      guard let count = reader.integer(4), (0...Int64(Self.largestSize)).contains(count) else {
        throw damaged("its header is damaged")
      }
      counts.append(Int(count))
    }
    guard version == 0 || (UInt8(ascii: "2")...UInt8(ascii: "9")).contains(version), (1...256).contains(counts[4])
    else {
      throw damaged("its header is damaged")
    }
    return Header(version: version == 0 ? 1 : Int(version - 48), counts: counts)
  }

  private mutating func body(_ header: Header, timeSize: Int, _ name: String) throws -> ZoneRules {
    guard header.leapSeconds == 0 else {
      throw HoldfastError(
        .failed, "the zone file \(path) counts leap seconds, which this system's clock does not",
        hint: "use the same zone without 'right/' in front")
    }
    let times = try integers(header.transitions, size: timeSize)
    let kinds = try integers(header.transitions, size: 1).map { Int(UInt8(truncatingIfNeeded: $0)) }
    let offsets = try offsets(header.types)
    guard zip(times, times.dropFirst()).allSatisfy({ $0 < $1 }) else { throw damaged("its times are not in order") }
    guard kinds.allSatisfy(offsets.indices.contains) else { throw damaged("it names a type that it does not have") }
    try skip(header.counts[5] + header.counts[1] + header.counts[0])
    return ZoneRules(
      name: name, firstOffset: offsets[0],
      transitions: zip(times, kinds).map { .init(instant: $0, offset: offsets[$1]) },
      rule: timeSize == 8 ? try rule() : nil)
  }

  private mutating func offsets(_ count: Int) throws -> [Int] {
    try (0..<count).map { _ in
      guard let offset = reader.integer(4), reader.take(2) != nil, ZoneRules.possibleOffsets.contains(Int(offset))
      else { throw damaged("it has an offset that no zone can have") }
      return Int(offset)
    }
  }

  /// The last line; empty where nobody knows what comes after the last transition.
  private mutating func rule() throws -> PosixZone? {
    let text = reader.rest.dropFirst().prefix { $0 != 10 }
    guard reader.rest.first == 10, reader.rest.count > text.count + 1 else { throw damaged("its last line is missing") }
    guard !text.isEmpty else { return nil }
    guard let rule = PosixZone(String(decoding: text, as: UTF8.self)) else {
      throw damaged("its last line is not a rule for a zone")
    }
    return rule
  }

  private mutating func integers(_ count: Int, size: Int) throws -> [Int64] {
    guard reader.rest.count / size >= count else { throw damaged("it is cut off") }
    return (0..<count).compactMap { _ in reader.integer(size) }
  }

  private mutating func skip(_ count: Int) throws {
    guard reader.take(count) != nil else { throw damaged("it is cut off") }
  }

  private func damaged(_ why: String) -> HoldfastError {
    HoldfastError(.failed, "cannot read the zone file \(path): \(why)", hint: "reinstall the system's tzdata package")
  }
}

/// Takes numbers off the front of bytes.
private struct BigEndianReader {
  var bytes: ArraySlice<UInt8>
  var rest: ArraySlice<UInt8> { bytes }

  mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
    guard bytes.count >= count else { return nil }
    defer { bytes = bytes.dropFirst(count) }
    return bytes.prefix(count)
  }

  /// A signed number of 1, 4 or 8 bytes.
  mutating func integer(_ size: Int) -> Int64? {
    guard let bytes = take(size) else { return nil }
    let value = bytes.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    return size == 8 ? Int64(bitPattern: value) : size == 4 ? Int64(Int32(truncatingIfNeeded: value)) : Int64(value)
  }
}
