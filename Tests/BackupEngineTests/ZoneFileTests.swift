import BackupPolicy
import FoundationEssentials
import TestSupport
import Testing

@testable import BackupEngine

/// The content of a zone file, byte by byte, so that no installed ones are needed.
struct ZoneFileBytes {
  var version: Character = "2"
  /// Seconds since the epoch, and an index into `offsets`.
  var transitions: [(Int64, UInt8)] = []
  var offsets: [Int32] = [0]
  var leapSeconds = 0
  var footer = "\n\n"

  var bytes: [UInt8] {
    version == "\0" ? block(4) : block(4, empty: true) + block(8) + Array(footer.utf8)
  }

  private func block(_ size: Int, empty: Bool = false) -> [UInt8] {
    let transitions = empty ? [] : transitions
    let offsets = empty ? [0] : offsets
    let leaps = empty ? 0 : leapSeconds
    let counts = [0, 0, leaps, transitions.count, offsets.count, 4].flatMap { big(Int64($0), 4) }
    return Array("TZif".utf8) + [version.asciiValue!] + Array(repeating: 0, count: 15) + counts
      + transitions.flatMap { big($0.0, size) } + transitions.map(\.1)
      + offsets.flatMap { big(Int64($0), 4) + [0, 0] } + Array("ABC\0".utf8)
      + Array(repeating: 0, count: leaps * (size + 4))
  }

  private func big(_ value: Int64, _ size: Int) -> [UInt8] {
    (0..<size).reversed().map { UInt8(truncatingIfNeeded: value >> Int64($0 * 8)) }
  }
}

@Suite("Zone files", .ownThread)
struct ZoneFileTests {
  private func rules(_ file: ZoneFileBytes) throws -> ZoneRules { try rules(file.bytes) }
  private func rules(_ bytes: [UInt8]) throws -> ZoneRules {
    try ZoneFile.rules(bytes, name: "Test/Zone", path: "/zones/Test/Zone")
  }

  private func offset(_ zone: ZoneRules, _ second: Int64) -> Int {
    zone.offset(at: Timestamp(milliseconds: second * 1000))
  }

  @Test("All versions are read", arguments: ["\0", "2", "3", "4"] as [Character])
  func versions(version: Character) throws {
    let zone = try rules(
      ZoneFileBytes(version: version, transitions: [(-1000, 1), (2000, 0), (3000, 2)], offsets: [60, 3600, -7200]))
    #expect(
      [-1001, -1000, 1999, 2000, 2999, 3000, 4_000_000_000].map { offset(zone, $0) } == [
        60, 3600, 3600, 60, 60, -7200, -7200,
      ])
    #expect(zone.name == "Test/Zone")
  }

  @Test("The last line applies from the last transition on")
  func footer() throws {
    let zone = try rules(
      ZoneFileBytes(transitions: [(0, 1)], offsets: [60, 3600], footer: "\nCET-1CEST,M3.5.0,M10.5.0/3\n"))
    #expect(offset(zone, -1) == 60)
    #expect(offset(zone, 0) == 3600)
    // 2100-07-01 and 2100-12-01.
    #expect(offset(zone, 4_118_083_200) == 7200)
    #expect(offset(zone, 4_131_302_400) == 3600)
  }

  @Test("Daylight saving may last all year, as RFC 9636 writes it")
  func allYear() throws {
    let zone = try rules(ZoneFileBytes(offsets: [-14400], footer: "\nXXX3EDT4,0/0,J365/23\n"))
    for second in stride(from: Int64(1_700_000_000), to: 1_800_000_000, by: 3_599) where offset(zone, second) != -14400
    {
      Issue.record("\(second): \(offset(zone, second))")
      break
    }
    #expect(zone.nextChange(after: Timestamp(milliseconds: 1_700_000_000_000)) == nil)
  }

  @Test(
    "A damaged file is an error that names it",
    arguments: [
      ZoneFileBytes(footer: "").bytes, ZoneFileBytes(footer: "\n").bytes, ZoneFileBytes(footer: "\nnonsense\n").bytes,
      ZoneFileBytes(footer: "\nCET-1CEST,M13.5.0,M10.5.0/3\n").bytes, ZoneFileBytes(version: "1").bytes,
      ZoneFileBytes(offsets: []).bytes, ZoneFileBytes(offsets: [93_600]).bytes, ZoneFileBytes(offsets: [.min]).bytes,
      ZoneFileBytes(transitions: [(5, 1)], offsets: [0]).bytes, ZoneFileBytes(transitions: [(5, 0), (5, 0)]).bytes,
      ZoneFileBytes(transitions: [(6, 0), (5, 0)]).bytes, Array("TZif".utf8), [],
      Array("TZif2".utf8) + [UInt8](repeating: 0xff, count: 39),
    ])
  func damaged(bytes: [UInt8]) throws {
    let error = try #require(throws: HoldfastError.self) { try rules(bytes) }
    #expect(error.message.contains("/zones/Test/Zone"), "\(error.message)")
    #expect(error.hint?.contains("tzdata") ?? false)
  }

  @Test func leapSecondsAreRefused() throws {
    let error = try #require(throws: HoldfastError.self) { try rules(ZoneFileBytes(leapSeconds: 2)) }
    #expect(error.message.contains("leap seconds") && error.hint?.contains("right/") ?? false)
  }

  @Test("A file cut off anywhere, or with any byte changed, gives rules or an error")
  func hostile() throws {
    let whole = ZoneFileBytes(
      transitions: (0..<40).map { (Int64($0) * 15_000_000, UInt8($0 % 2)) }, offsets: [3600, 7200],
      footer: "\nCET-1CEST,M3.5.0,M10.5.0/3\n"
    ).bytes
    for count in 0..<whole.count {
      #expect(throws: HoldfastError.self) { try rules(Array(whole.prefix(count))) }
    }
    var random = SeededGenerator(seed: 8_536)
    var readable = 0
    for _ in 0..<5000 {
      var bytes = whole
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      guard let zone = try? rules(bytes) else { continue }
      readable += 1
      let time = Timestamp(milliseconds: Int64.random(in: -1_000_000_000_000...4_000_000_000_000, using: &random))
      _ = zone.instants(of: zone.local(time))
      _ = try CronSchedule("30 2 * * *").next(after: time, in: zone)
      _ = try CronSchedule("*/30 * * * *").next(after: time, in: zone)
    }
    #expect(readable > 500)
  }
}

@Suite("Finding zones by name", .ownThread)
struct ZoneFolderTests {
  /// A folder with two zones and other files beside them.
  private func zones() throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    let berlin = ZoneFileBytes(offsets: [3600], footer: "\nCET-1CEST,M3.5.0,M10.5.0/3\n").bytes
    for name in ["Europe", "America", "right", "right/Europe"] {
      try SystemFileOperations().makeFolder(folder.path(name))
    }
    for name in ["Europe/Berlin", "America/New_York", "right/Europe/Rome"] { try folder.write(name, berlin) }
    try folder.write("zone.tab", Array("#country".utf8))
    return folder
  }

  @Test func found() throws {
    let folder = try zones()
    let zone = try ZoneFolder(paths: [folder.path("none"), folder.path]).rules(named: "Europe/Berlin")
    #expect(zone.name == "Europe/Berlin")
    #expect(try ZoneFolder(paths: [folder.path]).rules(named: ":Europe/Berlin") == zone)
    #expect(ZoneFolder(paths: [folder.path]).names() == ["America/New_York", "Europe/Berlin"])
  }

  @Test(
    "An unknown name is answered with the nearest",
    arguments: [
      ("Europe/Berln", "Europe/Berlin"), ("europe/berlin", "Europe/Berlin"), ("Berlin", "Europe/Berlin"),
      ("Asia/Berlin", "Europe/Berlin"), ("America/NewYork", "America/New_York"), ("New York", "America/New_York"),
      ("new_yrok", "America/New_York"), ("Europe", "use a name such as Europe/Berlin"),
      ("CEST", "use a name such as Europe/Berlin"),
      ("zone.tab", "use a name such as Europe/Berlin"), ("../etc/passwd", "use a name such as Europe/Berlin"),
      ("/etc/passwd", "use a name such as Europe/Berlin"),
      ("", "use a name such as Europe/Berlin"),
      ("Europe//Berlin", "Europe/Berlin"), ("Europe/Berlin/", "Europe/Berlin"), ("Europe/Berlin\0", "Europe/Berlin"),
    ])
  func unknown(name: String, hint: String) throws {
    let folder = try zones()
    let error = try #require(throws: HoldfastError.self) { try ZoneFolder(paths: [folder.path]).rules(named: name) }
    #expect(error.code == .usage)
    #expect(error.hint?.contains(hint) ?? false, "\(error.hint ?? "")")
  }

  @Test("No name leads out of the folder")
  func outside() throws {
    let folder = try zones()
    for name in ["../Europe/Berlin", "America/../Europe/Berlin", "./Europe/Berlin", folder.path("Europe/Berlin")] {
      #expect(throws: HoldfastError.self) { try ZoneFolder(paths: [folder.path("America")]).rules(named: name) }
    }
  }

  @Test("Without any zone files only UTC exists, with the advice to install them")
  func noZoneFiles() throws {
    let folder = try TemporaryFolder()
    let zones = ZoneFolder(paths: [folder.path("none")])
    #expect(try zones.rules(named: "UTC") == .utc)
    let error = try #require(throws: HoldfastError.self) { try zones.rules(named: "Europe/Berlin") }
    #expect(error.hint?.contains("apt install tzdata") ?? false)
  }

  @Test("A local zone is TZ as the C library reads it, else the system's link")
  func local() throws {
    #expect(try TimeZones.local(TZ: "") == .utc)
    #expect(try TimeZones.local(TZ: ":") == .utc)
    #expect(try TimeZones.local(TZ: "UTC").offset(at: Timestamp(milliseconds: 0)) == 0)
    let rule = try TimeZones.local(TZ: "XYZ-3XST,M3.5.0,M10.5.0/3")
    #expect(rule.offset(at: Timestamp(milliseconds: 1_782_864_000_000)) == 14400)
    #expect(throws: HoldfastError.self) { try TimeZones.local(TZ: "Europe/Berln") }
    #expect(throws: HoldfastError.self) { try TimeZones.local(TZ: ":XYZ-3") }
    let folder = try zones()
    try SystemFileOperations().makeFolder(folder.path("zoneinfo"))
    try SystemFileOperations().rename(folder.path("Europe"), to: folder.path("zoneinfo/Europe"))
    try FileManager.default.createSymbolicLink(
      atPath: folder.path("localtime"), withDestinationPath: folder.path("zoneinfo/Europe/Berlin"))
    #expect(try TimeZones.ofTheSystem(folder.path("localtime")).name == "Europe/Berlin")
    #expect(try TimeZones.ofTheSystem(folder.path("zoneinfo/Europe/Berlin")).name == "local time")
    #expect(try TimeZones.ofTheSystem(folder.path("missing")) == .utc)
  }
}
