import BackupPolicy
import CShims
import Glibc

/// The `errno` of a failed system call: the cause of the ``HoldfastError`` that reports it.
package struct SystemErrno: Error, Hashable, Sendable {
  package let code: Int32
}

extension HoldfastError {
  /// A failed system call, in words: `cannot write /backups/x: no space left on device`.
  ///
  /// A temporary file of our own is described by its folder: its name is random, and it is gone.
  package init(errno code: Int32, _ verb: String, _ path: String) {
    let object = Leftovers.isOurs(path.lastComponent) ? "a temporary file in \(path.parentPath)" : path
    self.init(
      Self.code(of: code), "cannot \(verb) \(object): \(Self.message(of: code))", hint: Self.hint(for: code, path),
      cause: SystemErrno(code: code))
  }

  /// The `errno` at the bottom of this failure; nil if no system call failed.
  package var systemErrno: Int32? {
    var next = cause
    while let error = next as? HoldfastError { next = error.cause }
    return (next as? SystemErrno)?.code
  }

  /// Whether this process or the machine ran out of descriptors or memory. Such a failure is
  /// unrelated to the file in question.
  package var isShortage: Bool { systemErrno.map { [EMFILE, ENFILE, ENOMEM].contains($0) } ?? false }

  /// Whether the machine refused to show a file (permission, disk, network). Such a failure is
  /// unrelated to the file's content. False if there is no file of ours with that name: nothing, a
  /// link, a folder, a socket.
  package var hidesContent: Bool {
    systemErrno.map { ![ENOENT, ENOTDIR, ELOOP, EISDIR, ENXIO, ENAMETOOLONG].contains($0) } ?? false
  }

  /// A failed `flock`; not for a lock that another process holds.
  init(lockErrno code: Int32, _ path: String) {
    self.init(errno: code, "lock", path)
    guard [ENOLCK, EOPNOTSUPP, ENOSYS].contains(code) else { return }
    hint =
      "the file system does not support locks: mount it with lock support, or choose a folder on another file system with --backup-dir"
  }

  /// The C library's message for an errno, in this project's spelling (lower-case first letter).
  package static func message(of code: Int32) -> String {
    var buffer = [CChar](repeating: 0, count: 256)
    cshims_error_message(code, &buffer, buffer.count)
    let text = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return text.prefix(1).lowercased() + text.dropFirst()
  }

  private static func code(of code: Int32) -> Code {
    switch code {
    case ENOSPC, EDQUOT, EFBIG: .noSpace
    case EACCES, EPERM, EROFS: .permissionDenied
    case EIO: .ioError
    default: .failed
    }
  }

  /// The error if a folder, a pipe or a socket has the name of a file.
  static func notAFile(_ verb: String, _ path: String) -> HoldfastError {
    HoldfastError(.failed, "cannot \(verb) \(path): it is not a regular file", hint: hint(forStranger: path))
  }

  private static func hint(forStranger path: String) -> String {
    "inspect it with ls -ld \(path.shellWord), move it away, and try again"
  }

  private static func hint(for code: Int32, _ path: String) -> String? {
    switch code {
    case ENOSPC, EDQUOT: "free some space on that file system, or choose another folder"
    case EFBIG:
      "raise the limit of file sizes (ulimit -f, or LimitFSIZE= in the systemd unit), unless the file system itself has the limit"
    case EACCES, EPERM: "run as a user who may access that path, or change its permissions"
    case EROFS: "choose a folder on a file system that can be written"
    case EISDIR, ENOTDIR, ENXIO, ELOOP: hint(forStranger: path)
    case EIO: "check the disk: the kernel's log (dmesg) names the device"
    case EMFILE, ENFILE: "raise the limit of open files (ulimit -n, or LimitNOFILE= in the systemd unit)"
    default: nil
    }
  }
}
