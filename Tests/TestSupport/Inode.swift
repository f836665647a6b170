import BackupEngine
import BackupPolicy
import Glibc

/// The identity of a file or folder, independent of its names.
struct FileIdentity: Hashable {
  var device: UInt64
  var number: UInt64

  init(_ status: stat) {
    device = UInt64(status.st_dev)
    number = UInt64(status.st_ino)
  }

  /// The inode that a path names now; nil if the path does not exist.
  init?(_ path: String, following: Bool) {
    var status = stat()
    guard (following ? stat(path, &status) : lstat(path, &status)) == 0 else { return nil }
    self.init(status)
  }
}

/// A file or folder that ``PowerLossJournal`` knows, kept alive after its last name is gone.
///
/// The handle is an `O_PATH` descriptor. Unlike an ordinary one, its close drops no POSIX lock that
/// SQLite has on the same file in this process. While it is open, the system gives the inode's
/// number to no other file.
final class Inode {
  let identity: FileIdentity
  let isFolder: Bool
  let handle: Int32
  /// The order in which inodes became known, so that a seed repeats.
  let serial: Int
  /// Content that was not flushed; nil if the disk has the file's content.
  var content: UnsyncedContent?
  /// The attributes before the first change that was not flushed.
  var attributes: FileStatus?

  /// Takes over the handle.
  init(handle: Int32, _ status: stat, serial: Int) {
    self.handle = handle
    self.serial = serial
    identity = FileIdentity(status)
    isFolder = status.st_mode & S_IFMT == S_IFDIR
  }

  deinit { Glibc.close(handle) }

  var isDirty: Bool { content != nil || attributes != nil }

  /// A path to the file itself, whether or not it has a name.
  var path: String { "/proc/self/fd/\(handle)" }

  var status: stat {
    var result = stat()
    fstat(handle, &result)
    return result
  }

  /// Runs `body` with an ordinary descriptor, whatever the file's permission bits.
  func opened<Result>(_ flags: Int32, _ body: (Int32) throws -> Result) throws -> Result {
    let mode = status.st_mode & 0o7777
    if geteuid() != 0 { chmod(path, 0o600) }
    defer { if geteuid() != 0 { chmod(path, mode) } }
    let descriptor = Glibc.open(path, flags | O_CLOEXEC)
    guard descriptor >= 0 else { throw HoldfastError(errno: errno, "open", path) }
    defer { Glibc.close(descriptor) }
    return try body(descriptor)
  }

  /// Reduces the unflushed content and attributes to the surviving part, on the real file.
  func losePower(_ survival: inout Survival) throws {
    if let before = attributes, !survival.keepsAttributes() {
      if geteuid() == 0 { chown(path, before.owner, before.group) }
      chmod(path, before.permissions)
    }
    guard let content else { return }
    let survivor = survival.content(of: content)
    try opened(O_RDWR) { descriptor in
      // Other programs have written to it since: this model must not lose their writes.
      guard Bytes.same(try Bytes.contents(of: descriptor, path), content.live) else { return }
      try Bytes.replaceContents(of: descriptor, with: survivor, path)
    }
  }
}
