import BackupPolicy
import Glibc

/// A folder of zone files.
struct ZoneFolder {
  /// Searched in this order, as the C library and others do.
  let paths: [String]
  private let files = SystemFileOperations()

  init(paths: [String]) { self.paths = paths }

  /// `TZDIR`, else where systems keep them.
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

  /// Nothing that could lead out of the folder.
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
      hint: near.map { "did you mean \($0)?" } ?? "names are like Europe/Berlin or UTC")
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
        ?? "names are like Europe/Berlin; there are \(names.count) below \(paths.joined(separator: ", "))")
  }

  /// By the whole name, and then by its city alone.
  private static func nearest(to name: String, among names: [String]) -> String? {
    let cities = Dictionary(names.map { ($0.lastComponent.lowercased(), $0) }) { first, _ in first }
    let city = name.lastComponent.lowercased()
    return cities[city] ?? Spelling.nearest(to: name, among: names)
      ?? Spelling.nearest(to: city, among: cities.keys.sorted()).flatMap { cities[$0] }
  }

  /// All zones, sorted; `posix/` and `right/` hold the same ones again.
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
