import CSQLite
import Glibc
import Names

/// Whether programs that `/proc` does not show have a write-ahead log open.
package enum HiddenUsers: Hashable, Sendable {
  case none
  case some
  /// The kernel does not say: leases need the file's owner, and no network or overlay.
  case unknown
}

/// Asks the kernel for a lease (`F_SETLEASE` of fcntl(2)) on a write-ahead log, and gives it back. The kernel
/// grants it only if no process has the file open, whatever its container or user.
/// C12 in `contrib/docs/ARCHITECTURE.md`.
enum FileLease {
  /// The users of a log that this process has open for writing once, through SQLite.
  ///
  /// - Parameter path: of the log, links resolved.
  static func otherUsers(of path: String) -> HiddenUsers {
    guard let file = FileFacts(path: path)?.identity, let descriptor = ownDescriptor(of: file) else { return .unknown }
    return answer(descriptor, F_WRLCK, path)
  }

  /// The users that have a log open for writing. SQLite takes no locks on that file, so a
  /// descriptor of our own is safe.
  static func writers(of path: String) -> HiddenUsers {
    let file = open(path.raw, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW)
    guard file >= 0 else { return .unknown }
    defer { close(file) }
    return answer(file, F_RDLCK, path)
  }

  private static func answer(_ file: Int32, _ kind: Int32, _ path: String) -> HiddenUsers {
    // An overlay is another file than the same file below it.
    guard !LogUsers.isRemote(path), csqlite_file_system_type(path.parentPath.raw) != LogUsers.overlay else {
      return .unknown
    }
    switch csqlite_try_lease(file, kind) {
    case 0: return .none
    case 1: return .some
    default: return .unknown
    }
  }

  private static func ownDescriptor(of file: FileIdentity) -> Int32? {
    guard let folder = opendir("/proc/self/fd") else { return nil }
    defer { closedir(folder) }
    while let entry = readdir(folder) {
      let name = ProcessFiles.name(of: entry)
      var (device, inode) = (UInt64(0), UInt64(0))
      guard let descriptor = Int32(name), csqlite_stat_cached(dirfd(folder), name, &device, &inode) == 0,
        FileIdentity(device: device, inode: inode) == file, fcntl(descriptor, F_GETFL) & O_ACCMODE == O_RDWR
      else { continue }
      return descriptor
    }
    return nil
  }
}
