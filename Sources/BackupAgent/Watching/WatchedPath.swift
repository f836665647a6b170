import BackupEngine
import BackupPolicy
import Glibc

/// Where a database lies, with symbolic links followed as SQLite does: also those of a file that is not there yet.
struct WatchedPath: Hashable, Sendable {
  /// As the user wrote it.
  let given: String
  /// Absolute; `-wal` and `-journal` stand beside it.
  let resolved: String

  var folder: String { resolved.parentPath }
  var name: String { resolved.lastComponent }

  /// SQLite's own limit (`SQLITE_MAX_SYMLINK`).
  private static let maximumLinks = 200

  init(_ path: String) {
    given = path
    var target = path
    for _ in 0..<Self.maximumLinks {
      guard let link = Self.link(at: target) else { break }
      target = link.hasPrefix("/") ? link : "\(target.parentPath)/\(link)"
    }
    let parent = Self.real(target.parentPath) ?? target.parentPath
    resolved = (parent == "/" ? "" : parent) + "/" + target.lastComponent
  }

  private static func link(at path: String) -> String? {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink(path, &buffer, buffer.count)
    guard count > 0 else { return nil }
    return String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  private static func real(_ path: String) -> String? {
    guard let real = realpath(path, nil) else { return nil }
    defer { free(real) }
    return String(cString: real)
  }
}
