import BackupPolicy
import Glibc

/// A zone file of the system's time zone database: TZif, versions 1 to 4 (RFC 8536, RFC 9636).
///
/// Reading ends with rules or an error for any input: all counts are checked against the file
/// before use.
struct ZoneFile {
  private var reader: BigEndianReader
  private let path: String

  /// Real files have 5 KB at most.
  static let largestSize = 1 << 20

  /// - Parameters:
  ///   - name: the zone's name, for the rules.
  ///   - path: for messages.
  /// - Throws: `HoldfastError` if the file is not a zone file, is damaged, or counts leap seconds.
  static func rules(_ bytes: [UInt8], name: String, path: String) throws -> ZoneRules {
    var file = ZoneFile(reader: BigEndianReader(bytes: bytes[...]), path: path)
    return try file.read(name)
  }

  static func isZoneFile(_ bytes: [UInt8]) -> Bool { bytes.starts(with: Array("TZif".utf8)) }

  private mutating func read(_ name: String) throws -> ZoneRules {
    let first = try header()
    // The first block has 32-bit times, which end in 2038. Since version 2 a second block follows,
    // and then the rule.
    guard first.version >= 2 else { return try body(first, timeSize: 4, name) }
    try skip(first.size(timeSize: 4))
    let second = try header()
    return try body(second, timeSize: 8, name)
  }

  private struct Header {
    var version: Int
    /// In the file's order: UT indicators, standard indicators, leap seconds, transitions, types,
    /// designations' bytes.
    var counts: [Int]

    var leapSeconds: Int { counts[2] }
    var transitions: Int { counts[3] }
    var types: Int { counts[4] }

    func size(timeSize: Int) -> Int {
      transitions * (timeSize + 1) + types * 6 + counts[5] + leapSeconds * (timeSize + 4) + counts[1] + counts[0]
    }
  }

  private mutating func header() throws -> Header {
    guard let magic = reader.consume(4), Self.isZoneFile(Array(magic)), let version = reader.consume(1)?.first,
      reader.consume(15) != nil
    else { throw damaged("it does not begin with the header of a zone file") }
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
        .failed, "the zone file \(path) counts leap seconds, but this system's clock does not",
        hint: "use the same zone without 'right/' in front")
    }
    let times = try integers(header.transitions, size: timeSize)
    let kinds = try integers(header.transitions, size: 1).map { Int(UInt8(truncatingIfNeeded: $0)) }
    let offsets = try offsets(header.types)
    guard zip(times, times.dropFirst()).allSatisfy({ $0 < $1 }) else { throw damaged("its times are not in order") }
    guard kinds.allSatisfy(offsets.indices.contains) else { throw damaged("it refers to a type that does not exist") }
    try skip(header.counts[5] + header.counts[1] + header.counts[0])
    return ZoneRules(
      name: name, firstOffset: offsets[0],
      transitions: zip(times, kinds).map { .init(instant: $0, offset: offsets[$1]) },
      rule: timeSize == 8 ? try rule() : nil)
  }

  private mutating func offsets(_ count: Int) throws -> [Int] {
    try (0..<count).map { _ in
      guard let offset = reader.integer(4), reader.consume(2) != nil, ZoneRules.possibleOffsets.contains(Int(offset))
      else { throw damaged("it contains an invalid offset") }
      return Int(offset)
    }
  }

  /// The last line; empty if the rule after the last transition is not known.
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
    guard reader.rest.count / size >= count else { throw damaged("it is cut short") }
    return (0..<count).compactMap { _ in reader.integer(size) }
  }

  private mutating func skip(_ count: Int) throws {
    guard reader.consume(count) != nil else { throw damaged("it is cut short") }
  }

  private func damaged(_ why: String) -> HoldfastError {
    HoldfastError(.failed, "cannot read the zone file \(path): \(why)", hint: "reinstall the system's tzdata package")
  }
}

/// Reads numbers from the start of a byte sequence.
private struct BigEndianReader {
  var bytes: ArraySlice<UInt8>
  var rest: ArraySlice<UInt8> { bytes }

  mutating func consume(_ count: Int) -> ArraySlice<UInt8>? {
    guard bytes.count >= count else { return nil }
    defer { bytes = bytes.dropFirst(count) }
    return bytes.prefix(count)
  }

  /// A signed number of 1, 4 or 8 bytes.
  mutating func integer(_ size: Int) -> Int64? {
    guard let bytes = consume(size) else { return nil }
    let value = bytes.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    return size == 8 ? Int64(bitPattern: value) : size == 4 ? Int64(Int32(truncatingIfNeeded: value)) : Int64(value)
  }
}

/// A folder of zone files.
struct ZoneFolder {
  /// Searched in this order, as in the C library and others.
  let paths: [String]
  private let files = SystemFileOperations()

  init(paths: [String]) { self.paths = paths }

  /// `TZDIR`, otherwise the folders in which systems keep them.
  static func system() -> ZoneFolder {
    if let folder = getenv("TZDIR").map({ String(cString: $0) }), !folder.isEmpty { return ZoneFolder(paths: [folder]) }
    return ZoneFolder(paths: ["/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/usr/share/lib/zoneinfo", "/etc/zoneinfo"])
  }

  func rules(named text: String) throws -> ZoneRules {
    let name = text.hasPrefix(":") ? String(text.dropFirst()) : text
    guard Self.isName(name) else { throw malformed(name) }
    for path in paths.map({ "\($0)/\(name)" }) where try files.status(path)?.kind == .regular {
      guard let bytes = try files.contents(path, limit: ZoneFile.largestSize), ZoneFile.isZoneFile(bytes) else {
        continue
      }
      return try ZoneFile.rules(bytes, name: name, path: path)
    }
    if name == "UTC" { return .utc }
    throw unknown(name)
  }

  /// Whether a name cannot lead out of the folder.
  private static func isName(_ name: String) -> Bool {
    let allowed = { (byte: UInt8) in
      Unicode.Scalar(byte).properties.isAlphabetic && byte < 128 || (48...57).contains(byte)
        || "_+-/".utf8.contains(byte)
    }
    return name.utf8.count <= 255 && name.utf8.allSatisfy(allowed)
      && name.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { !$0.isEmpty }
  }

  private func malformed(_ name: String) -> HoldfastError {
    let near = Self.nearest(to: String(name.prefix(100).map { $0 == " " ? "_" : $0 }), among: names())
    return HoldfastError(
      .usage, "'\(name.prefix(100))' is not the name of a time zone",
      hint: near.map { "did you mean \($0)?" } ?? "use a name such as Europe/Berlin or UTC")
  }

  private func unknown(_ name: String) -> HoldfastError {
    let names = names()
    guard !names.isEmpty else {
      return HoldfastError(
        .failed, "cannot find the time zone \(name): this system has no zone files in \(paths.joined(separator: ", "))",
        hint: "install them (apt install tzdata), name their folder in TZDIR, or use UTC")
    }
    return HoldfastError(
      .usage, "there is no time zone '\(name)'",
      hint: Self.nearest(to: name, among: names).map { "did you mean \($0)?" }
        ?? "use a name such as Europe/Berlin; \(paths.joined(separator: ", ")) has \(names.count) names")
  }

  /// By the whole name, and then by its city alone.
  private static func nearest(to name: String, among names: [String]) -> String? {
    let cities = Dictionary(names.map { ($0.lastComponent.lowercased(), $0) }) { first, _ in first }
    let city = name.lastComponent.lowercased()
    return cities[city] ?? Spelling.nearest(to: name, among: names)
      ?? Spelling.nearest(to: city, among: cities.keys.sorted()).flatMap { cities[$0] }
  }

  /// All zones, sorted; `posix/` and `right/` contain the same ones again.
  func names() -> [String] {
    Set(paths.flatMap { names(in: $0, prefix: "", depth: 3) }).sorted()
  }

  private func names(in folder: String, prefix: String, depth: Int) -> [String] {
    let entries = (try? files.list(folder)) ?? []
    return entries.filter { $0.first?.isUppercase ?? false }.flatMap { entry -> [String] in
      let path = "\(folder)/\(entry)"
      switch (try? files.status(path))?.kind {
      case .regular: return [prefix + entry]
      case .folder where depth > 1: return names(in: path, prefix: "\(prefix)\(entry)/", depth: depth - 1)
      default: return []
      }
    }
  }
}

/// The time zones of this system, read from its zone files.
package enum TimeZones {
  /// A zone by its name, such as `Europe/Berlin`; `UTC` needs no files.
  ///
  /// - Throws: `usage` if there is no such zone, with the most similar name; `failed` if the system
  ///   has no zone files, or if this one cannot be read.
  package static func named(_ name: String) throws -> ZoneRules {
    try ZoneFolder.system().rules(named: name)
  }

  /// This process's local zone: `TZ`, otherwise the system's (`/etc/localtime`), otherwise UTC.
  ///
  /// - Parameter TZ: the variable's value, nil if it is not set: a name (`Europe/Berlin`,
  ///   `:Europe/Berlin`), a POSIX rule (`CET-1CEST,M3.5.0,M10.5.0/3`), `:/etc/localtime`, or empty
  ///   for UTC.
  /// - Throws: as ``named(_:)``. The C library treats a wrong `TZ` as UTC; backups would run at the
  ///   wrong hour.
  package static func local(TZ: String?) throws -> ZoneRules {
    guard let TZ else { return try ofTheSystem() }
    let name = TZ.hasPrefix(":") ? String(TZ.dropFirst()) : TZ
    if name.isEmpty { return .utc }
    if name == systemZone { return try ofTheSystem() }
    do {
      return try named(name)
    } catch let error as HoldfastError {
      guard !TZ.hasPrefix(":"), let rule = PosixZone(name) else { throw error.during("TZ") }
      return ZoneRules(name: name, firstOffset: 0, transitions: [], rule: rule)
    }
  }

  private static let systemZone = "/etc/localtime"

  private static func ofTheSystem() throws -> ZoneRules { try ofTheSystem(systemZone) }

  /// - Parameter path: a zone file, or a link to one, whose name is then the zone's.
  static func ofTheSystem(_ path: String) throws -> ZoneRules {
    guard let bytes = try SystemFileOperations().contents(path, limit: ZoneFile.largestSize) else { return .utc }
    return try ZoneFile.rules(bytes, name: name(ofLink: path) ?? "local time", path: path)
  }

  /// `/etc/localtime` is a link to `…/zoneinfo/Europe/Berlin`.
  private static func name(ofLink path: String) -> String? {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink(path, &buffer, buffer.count)
    guard count > 0 else { return nil }
    let target = String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let parts = target.split(separator: "/")
    guard let folder = parts.firstIndex(of: "zoneinfo"), folder + 1 < parts.count else { return nil }
    return parts[(folder + 1)...].drop { $0 == "posix" }.joined(separator: "/")
  }
}
