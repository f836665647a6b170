import BackupEngine
import BackupPolicy
import Glibc

/// Which file or folder, whatever its names.
struct FileIdentity: Hashable {
  var device: UInt64
  var number: UInt64

  init(_ status: stat) {
    device = UInt64(status.st_dev)
    number = UInt64(status.st_ino)
  }

  /// What a path names now; nil where nothing is.
  init?(_ path: String, following: Bool) {
    var status = stat()
    guard (following ? stat(path, &status) : lstat(path, &status)) == 0 else { return nil }
    self.init(status)
  }
}

/// A file or folder that ``PowerLossJournal`` knows, kept alive after its last name is gone.
///
/// The handle is an `O_PATH` descriptor: unlike an ordinary one, closing it drops no POSIX lock that SQLite holds on the
/// same file in this process; and while it is open the system gives the inode's number to nobody else.
final class Inode {
  let identity: FileIdentity
  let isFolder: Bool
  let handle: Int32
  /// The order in which inodes became known, so that a seed repeats.
  let serial: Int
  /// Content that was not flushed; nil where the disk has what the file holds.
  var content: UnsyncedContent?
  /// The attributes before the first change that was not flushed.
  var attributes: FileStatus?

  /// Takes the handle over.
  init(handle: Int32, _ status: stat, serial: Int) {
    self.handle = handle
    self.serial = serial
    identity = FileIdentity(status)
    isFolder = status.st_mode & S_IFMT == S_IFDIR
  }

  deinit { Glibc.close(handle) }

  var isDirty: Bool { content != nil || attributes != nil }

  /// A path to the file itself, with or without a name of its own.
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

  /// Leaves of the unflushed content and attributes what survives, on the real file.
  func losePower(_ survival: inout Survival) throws {
    if let before = attributes, !survival.keepsAttributes() {
      if geteuid() == 0 { chown(path, before.owner, before.group) }
      chmod(path, before.permissions)
    }
    guard let content else { return }
    let survivor = survival.content(of: content)
    try opened(O_RDWR) { descriptor in
      // Others have written to it since: what they wrote is not ours to lose.
      guard Bytes.same(try Bytes.contents(of: descriptor, path), content.live) else { return }
      try Bytes.replaceContents(of: descriptor, with: survivor, path)
    }
  }
}
