import BackupPolicy
import Glibc
import Names

/// The owner of files that root creates in a folder: the folder's owner, so that a service can use
/// the files that root leaves there.
struct FolderOwner {
  private let owner: uid_t
  private let group: gid_t

  /// Nil if new files already belong to the right user: this process is not root, or the folder is
  /// root's.
  init?(of folder: String) throws {
    guard geteuid() == 0 else { return nil }
    var status = stat()
    guard stat(folder.raw, &status) == 0 else { throw HoldfastError(errno: errno, "stat", folder) }
    guard status.st_uid != 0 else { return nil }
    (owner, group) = (status.st_uid, status.st_gid)
  }

  /// Whether there is a symbolic link at this path that another user created.
  static func isAnothersLink(_ path: String) -> Bool {
    var status = stat()
    return lstat(path.raw, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK && status.st_uid != geteuid()
  }

  /// - Parameter descriptor: of a file that this process has just created.
  func applyOwner(to descriptor: Int32, _ path: String) throws {
    // A root without this permission (a container's) leaves its files as they are.
    guard fchown(descriptor, owner, group) != 0, !SystemFileOperations.isRefusal(errno) else { return }
    throw HoldfastError(errno: errno, "change the owner of", path)
  }

  /// Only for an empty folder of root's, and not through a link: the owner of the parent may have
  /// replaced it.
  func applyOwner(toNewFolder path: String) throws {
    let descriptor = open(path.raw, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    guard descriptor >= 0 else { throw HoldfastError(errno: errno, "open", path) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw HoldfastError(errno: errno, "stat", path) }
    guard status.st_uid == 0, status.st_mode & 0o7777 & ~S_ISGID == 0o700 else { return }
    try applyOwner(to: descriptor, path)
  }
}
