import BackupPolicy
import Glibc
import Names

/// The flush of a folder's entries (`fsync`), which some file systems do not have (CIFS, several in user space).
enum FolderFlush {
  /// Whether an errno of `fsync` means that the file system cannot flush folders at all. Every other one is a failure.
  static func isUnsupported(_ code: Int32) -> Bool { [EINVAL, EOPNOTSUPP, ENOSYS].contains(code) }

  static func warning(_ path: String, _ code: Int32) -> HoldfastError {
    HoldfastError(
      .ioError,
      "cannot flush the folder \(path): its file system does not support that (\(HoldfastError.words(of: code))): "
        + "after a loss of power the newest backups may be missing")
  }

  /// Whether the file system of a folder can flush it; nil if that cannot be found out.
  static func isSupported(_ folder: String) -> Bool? {
    let descriptor = open(folder.raw, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    if fsync(descriptor) == 0 { return true }
    return isUnsupported(errno) ? false : nil
  }
}
