import CSQLite
import Glibc

/// A copy of a database's state by SQLite's own backup call, for when its pages cannot be read directly.
///
/// Its file is new (`O_EXCL`), readable by this user alone, and locked for as long as it is used, so that whoever sweeps the
/// folder can tell it from a leftover.
final class ScratchCopy {
  let connection: DatabaseConnection
  private let file: ScratchFile

  /// - Parameters:
  ///   - source: inside a read transaction, whose state is copied.
  ///   - prefix: what the file's path begins with.
  init(of source: DatabaseConnection, at prefix: String) throws {
    let file = try ScratchFile(prefix)
    self.file = file
    do {
      connection = try DatabaseConnection(path: file.path, access: .scratch)
    } catch {
      file.remove()
      throw error
    }
    // From here on a throw runs deinit, which removes the file. Without a journal nothing else is ever beside it.
    try connection.execute("PRAGMA journal_mode = OFF")
    var copy = try PageCopy(from: source, into: connection)
    try copy.run(patience: Int(source.busyTimeout), progress: { _, _ in })
  }

  deinit { remove() }

  /// Idempotent.
  func remove() {
    connection.close()
    file.remove()
  }
}

/// A new, empty file under a name that nobody else uses.
private final class ScratchFile {
  let path: String
  private var descriptor: Int32

  init(_ prefix: String) throws(DatabaseError) {
    while true {
      let path = "\(prefix)-\(getpid())-\(String(UInt64.random(in: 0 ... .max), radix: 16))"
      let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
      guard descriptor >= 0 else {
        if errno == EINTR { continue }
        throw DatabaseError(
          .other, path: path, message: "cannot create \(path): \(String(cString: strerror(errno)))")
      }
      // Between the two calls a sweep may have taken it for a leftover. A file system without locks has no sweeps either.
      let isSwept = flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK
      if !isSwept, access(path, F_OK) == 0 {
        (self.path, self.descriptor) = (path, descriptor)
        return
      }
      unlink(path)
      close(descriptor)
    }
  }

  /// Idempotent. To be called once SQLite has closed the file: closing a descriptor of it drops SQLite's own locks.
  func remove() {
    guard descriptor >= 0 else { return }
    unlink(path)
    close(descriptor)
    descriptor = -1
  }
}
