import CSQLite
import Glibc

/// A copy of a database's state by SQLite's own backup call, for when its pages cannot be read directly.
final class ScratchCopy {
  let connection: DatabaseConnection
  private let path: String

  /// - Parameter source: inside a read transaction, whose state is copied.
  init(of source: DatabaseConnection, at path: String) throws {
    self.path = path
    Self.removeFiles(path)
    connection = try DatabaseConnection(path: path, access: .scratch)
    // From here on a throw runs deinit, which removes the file.
    var copy = try PageCopy(from: source, into: connection)
    try copy.run(patience: Int(source.busyTimeout), progress: { _, _ in })
  }

  deinit { remove() }

  /// Idempotent.
  func remove() {
    connection.close()
    Self.removeFiles(path)
  }

  private static func removeFiles(_ path: String) {
    for suffix in ["", "-wal", "-shm", "-journal"] { unlink(path + suffix) }
  }
}
