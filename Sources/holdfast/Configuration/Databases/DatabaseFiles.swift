import BackupPolicy
import Glibc
import Names

/// What the file system says of paths that may be databases. Nothing is opened: closing a second descriptor on a database would
/// drop SQLite's locks.
extension DatabaseList {
  static func exists(_ path: String) -> Bool { access(path.raw, F_OK) == 0 }

  /// The path from the root, links and dots as they are.
  static func absolute(_ path: String) -> String {
    guard !path.hasPrefix("/"), let folder = getcwd(nil, 0) else { return path }
    defer { free(folder) }
    return "\(String(path: folder))/\(path)"
  }

  /// The path with links and dots resolved as far as it exists.
  static func real(_ path: String) -> String {
    if let real = realpath(path.raw, nil) {
      defer { free(real) }
      return String(path: real)
    }
    let parent = path.parentPath
    guard parent != path else { return path }
    let folder = real(parent)
    return folder == "/" ? "/\(path.lastComponent)" : "\(folder)/\(path.lastComponent)"
  }

  /// Whether a pattern's match is a database and not what SQLite or a backup puts beside one.
  static func isDatabase(_ path: String) -> Bool {
    var status = stat()
    guard stat(path.raw, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return false }
    let name = path.lastComponent
    if ["-wal", "-shm", "-journal"].contains(where: name.hasSuffix) { return false }
    return PointID(name.prefix { $0 != "." }.description) == nil
  }
}
