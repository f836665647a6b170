import BackupPolicy
import Glibc

/// A file that ``FileOperations`` opened.
package struct OpenFile: Hashable, Sendable {
  /// The descriptor. It belongs to the opener of the file until ``FileOperations/close(_:)``.
  package let descriptor: Int32
  /// The path it was opened by, for messages.
  package let path: String

  package init(descriptor: Int32, path: String) {
    self.descriptor = descriptor
    self.path = path
  }

  /// Ends a lock of this file before it is closed. Closing alone would not end it at once: a child
  /// process that another thread starts at this moment has a copy of the descriptor until its `exec`.
  package func unlock() { flock(descriptor, LOCK_UN) }
}

/// How to open a file. Every mode sets `O_CLOEXEC`; new files get mode 0600. Files and folders that
/// root creates are given to the owner of their folder, because the service's own user must be able
/// to use the files that `sudo holdfast` leaves.
package enum OpenMode: Hashable, Sendable {
  /// An existing file, to read.
  case read
  /// An existing file that is not a symbolic link: an archive in a repository, because a link could
  /// lead anywhere.
  case readNoFollow
  /// A file that must not exist yet, to write and read (`O_EXCL`).
  case createNew
  /// An existing file, to read and to change in place.
  case update
  /// An existing or new file, to hold a lock on (`O_RDWR | O_CREAT`).
  case lockFile
  /// Like ``createNew``, but the file stays this user's, even if root creates it in another user's
  /// folder: for decrypted pages.
  case createPrivate
}

/// The `stat` values of a path, with symbolic links followed.
package struct FileStatus: Hashable, Sendable {
  package enum Kind: Sendable {
    case regular
    case folder
    case other
  }

  package var kind: Kind
  /// Bytes.
  package var size: Int64
  package var device: UInt64
  package var inode: UInt64
  /// Nanoseconds since the epoch.
  package var modified: Int64
  /// Nanoseconds since the epoch of the last change of content or inode.
  package var changed: Int64
  /// Permission bits (07777).
  package var permissions: UInt32
  package var owner: UInt32
  package var group: UInt32

  package init(
    kind: Kind, size: Int64, device: UInt64, inode: UInt64, modified: Int64, changed: Int64, permissions: UInt32,
    owner: UInt32, group: UInt32
  ) {
    self.kind = kind
    self.size = size
    self.device = device
    self.inode = inode
    self.modified = modified
    self.changed = changed
    self.permissions = permissions
    self.owner = owner
    self.group = group
  }
}

extension FileStatus {
  /// Identifies a file or a folder among all that exist.
  struct Place: Hashable, Sendable {
    let device: UInt64
    let inode: UInt64
  }

  var place: Place { Place(device: device, inode: inode) }

  package var attributes: FileAttributes { FileAttributes(permissions: permissions, owner: owner, group: group) }
}

extension FileOperations {
  /// The owner and permissions of a database; nil if there is no file.
  func attributes(ofDatabase path: String) throws -> FileAttributes? {
    guard let attributes = try status(path)?.attributes else { return nil }
    guard let list = try SystemFileOperations.accessList(of: path) else { return attributes }
    return attributes.restricted(byAccessList: list)
  }
}

/// All file operations of the engine, so that tests can make any of them fail, stop or lose power.
///
/// Calls block. All of them throw `HoldfastError` with the path and the errno in words.
/// Implementations are safe to use from several threads; a single open file is written by one
/// thread at a time. Nothing here opens a live SQLite database: a second descriptor on one would
/// drop SQLite's POSIX locks when closed.
package protocol FileOperations: AnyObject, Sendable {
  func open(_ path: String, _ mode: OpenMode) throws -> OpenFile
  /// Reads up to the buffer's length at `offset`; fewer bytes only at the end of the file.
  func read(_ file: OpenFile, into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws -> Int
  /// Writes all of `bytes` at `offset`.
  func write(_ file: OpenFile, _ bytes: UnsafeRawBufferPointer, at offset: Int64) throws
  /// Flushes the file's content and size to the disk (`fsync`).
  func sync(_ file: OpenFile) throws
  /// Closes; never throws, because everything that matters was synced before.
  func close(_ file: OpenFile)
  /// The size in bytes of an open file.
  func size(_ file: OpenFile) throws -> Int64
  /// Acquires or changes a `flock`. Returns false if another process holds it and `wait` is false.
  func lock(_ file: OpenFile, exclusive: Bool, wait: Bool) throws -> Bool

  /// The status of a path, with symbolic links followed; nil if nothing exists there.
  func status(_ path: String) throws -> FileStatus?
  /// Names in a folder, without `.` and `..`, in no order.
  func list(_ folder: String) throws -> [String]
  /// Creates a folder (0700) unless it exists; its parent must exist.
  func makeFolder(_ path: String) throws
  /// Replaces `to` by `from` in one step, both in one file system.
  func rename(_ from: String, to: String) throws
  /// Gives a file another name, in one step; throws if the name already exists.
  func renameNew(_ from: String, to: String) throws
  /// Removes a file. A missing file is not an error.
  func unlink(_ path: String) throws
  /// Flushes a folder's entries to the disk. If the file system cannot flush folders, that is
  /// reported once and is not an error.
  func syncFolder(_ path: String) throws
  /// Gives a file that this process created an owner, a group and permission bits, as far as
  /// permitted.
  ///
  /// - Returns: the file's attributes afterwards. The owner or group differs if this process may
  ///   not give the file away; a group other than the requested one gets no more permissions than
  ///   other users have.
  @discardableResult
  func setAttributes(_ file: OpenFile, _ attributes: FileAttributes) throws -> FileAttributes
  /// Gives a file that this process created the access control list and the extended attributes of
  /// another one.
  ///
  /// - Returns: the names of the attributes that could not be set.
  func copyExtendedAttributes(of path: String, to file: OpenFile) throws -> [String]
  /// Bytes that this process may still write to the file system of `folder`; `Int64.max` if the
  /// file system gives no numbers.
  func freeSpace(_ folder: String) throws -> Int64
  /// Total bytes of the file system of a folder; 0 if the file system gives no numbers.
  func capacity(_ folder: String) throws -> Int64
}

extension FileOperations {
  /// Creates a folder and its missing parents, each flushed into its parent.
  package func makeFolders(_ path: String) throws {
    if try status(path)?.kind == .folder { return }
    let parent = path.parentPath
    if parent != path { try makeFolders(parent) }
    try makeFolder(path)
    try syncFolder(parent)
  }

  /// Reads a whole small file; returns nil if there is no file.
  ///
  /// - Throws: `HoldfastError` if it is larger than `limit` bytes.
  package func contents(_ path: String, limit: Int = 64 << 20) throws -> [UInt8]? {
    guard let status = try status(path) else { return nil }
    guard status.kind == .regular else { throw HoldfastError.notAFile("read", path) }
    guard status.size <= Int64(limit) else {
      throw HoldfastError(
        .failed, "cannot read \(path): it has \(status.size) bytes, more than the limit of \(limit) bytes",
        hint: "inspect it with ls -l \(path.shellWord), and move it away: Holdfast writes no file of that size there")
    }
    let file = try open(path, .read)
    defer { close(file) }
    // The file may have been replaced by a longer one since.
    var bytes = [UInt8](repeating: 0, count: Int(min(try size(file), Int64(limit))))
    let count = try bytes.withUnsafeMutableBytes { try read(file, into: $0, at: 0) }
    return Array(bytes.prefix(count))
  }

  /// Replaces a small file: temporary file, content, fsync, rename and, unless `durable` is false,
  /// fsync of the folder.
  package func replace(_ path: String, with bytes: [UInt8], durable: Bool = true) throws {
    let temporary = "\(path.parentPath)/.tmp-\(path.lastComponent)"
    try unlink(temporary)
    do {
      let file = try open(temporary, .createNew)
      defer { close(file) }
      try bytes.withUnsafeBytes { try write(file, $0, at: 0) }
      if durable { try sync(file) }
    } catch {
      try? unlink(temporary)
      throw error
    }
    try rename(temporary, to: path)
    if durable { try syncFolder(path.parentPath) }
  }
}
