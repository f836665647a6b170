import BackupPolicy
import Glibc

/// The time zones of this system, read from its zone files.
package enum TimeZones {
  /// A zone by its name, such as `Europe/Berlin`; `UTC` needs no files.
  ///
  /// - Throws: `usage` for a name that is none, with the nearest that is one; `failed` where the system has no zone files, or
  ///   this one cannot be read.
  package static func named(_ name: String) throws -> ZoneRules {
    try ZoneFolder.system().rules(named: name)
  }

  /// This process's local zone: `TZ`, else the system's (`/etc/localtime`), else UTC.
  ///
  /// - Parameter TZ: the variable's value, nil where it is not set: a name (`Europe/Berlin`, `:Europe/Berlin`), a POSIX
  ///   rule (`CET-1CEST,M3.5.0,M10.5.0/3`), `:/etc/localtime`, or empty for UTC.
  /// - Throws: as ``named(_:)``. The C library takes a wrong `TZ` for UTC; backups would run at the wrong hour.
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
