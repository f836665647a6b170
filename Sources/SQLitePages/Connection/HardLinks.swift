import Glibc
import Names

/// The other names of a database file.
///
/// SQLite finds `-wal` and `-journal` by the name that a database is opened by: what an application has written under one
/// name is not seen under another, and two logs for one file damage it.
package struct HardLinks: Hashable, Sendable {
  /// Names that lead to the file, this one included.
  package var count: Int
  /// Those beside it, without it.
  package var beside: [String]
  /// One of those has a `-wal` or a `-journal`.
  package var hasLog: Bool

  /// Nil if the file has one name, or does not exist.
  ///
  /// - Parameter path: links resolved.
  package init?(of path: String) {
    var status = stat()
    guard stat(path.raw, &status) == 0, status.st_nlink > 1 else { return nil }
    count = Int(status.st_nlink)
    beside = Self.names(of: status, beside: path)
    hasLog = beside.contains { name in ["-wal", "-journal"].contains { (FileFacts(path: name + $0)?.size ?? 0) > 0 } }
  }

  /// Every other name was found, and no log is beside it.
  package var areHarmless: Bool { beside.count == count - 1 && !hasLog }

  private static func names(of file: stat, beside path: String) -> [String] {
    let parent = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "./"
    guard let folder = opendir(parent.raw) else { return [] }
    defer { closedir(folder) }
    var names: [String] = []
    while let entry = readdir(folder) {
      guard entry.pointee.d_ino == file.st_ino else { continue }
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: $0.pointee)) { String(path: $0) }
      }
      var other = stat()
      guard parent + name != path, lstat((parent + name).raw, &other) == 0, other.st_ino == file.st_ino,
        other.st_dev == file.st_dev
      else { continue }
      names.append(parent + name)
    }
    return names.sorted()
  }
}
