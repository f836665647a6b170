import BackupEngine
import BackupPolicy
import Glibc
import Names

/// Where a database lies, with symbolic links followed as SQLite does: also those of a file that is not there yet.
struct WatchedPath: Hashable, Sendable {
  /// A symbolic link on the way: an entry of a folder.
  struct Link: Hashable, Sendable {
    var folder: ExactName
    var name: ExactName
  }

  /// As the user wrote it.
  let given: String
  /// Absolute; `-wal` and `-journal` stand beside it.
  let resolved: String
  /// Every link that leads there; where one of them changes, the path may lead elsewhere.
  let links: [Link]

  var folder: String { resolved.parentPath }
  var name: String { resolved.lastComponent }

  /// SQLite's own limit (`SQLITE_MAX_SYMLINK`).
  private static let maximumLinks = 200

  init(_ path: String) {
    given = path
    if Self.isResolved(path) {
      (resolved, links) = (path, [])
      return
    }
    var rest = Self.components(path.hasPrefix("/") ? path : "\(Self.workingFolder)/\(path)")
    var folder = ""
    var links: [Link] = []
    while let name = rest.popLast() {
      if name == ".." {
        folder = folder.parentPath == "/" || folder.isEmpty ? "" : folder.parentPath
      } else if links.count < Self.maximumLinks, let target = Self.link(at: "\(folder)/\(name)") {
        links.append(Link(folder: ExactName(folder.isEmpty ? "/" : folder), name: ExactName(name)))
        rest += Self.components(target)
        if target.hasPrefix("/") { folder = "" }
      } else {
        folder += "/\(name)"
      }
    }
    resolved = folder.isEmpty ? "/" : folder
    self.links = links
  }

  /// Whether the file exists at this very path and no link leads there: the usual case, which costs little.
  private static func isResolved(_ path: String) -> Bool {
    let raw = path.raw
    guard let real = realpath(raw, nil) else { return false }
    defer { free(real) }
    return strcmp(real, raw) == 0
  }

  /// Last first.
  private static func components(_ path: String) -> [String] {
    path.split(separator: "/").filter { $0 != "." }.reversed().map(String.init)
  }

  private static var workingFolder: String {
    guard let path = getcwd(nil, 0) else { return "" }
    defer { free(path) }
    return String(path: path)
  }

  private static func link(at path: String) -> String? {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink(path.raw, &buffer, buffer.count)
    guard count > 0 else { return nil }
    return buffer.prefix(count).withUnsafeBytes { String(pathBytes: $0) }
  }
}
