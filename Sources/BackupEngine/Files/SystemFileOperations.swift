import BackupPolicy
import CShims
import Glibc
import Names
import SQLitePages
import Synchronization

/// File operations on the real file system.
package final class SystemFileOperations: FileOperations {
  private let report: @Sendable (HoldfastError) -> Void
  /// Devices whose lack of folder flushes was reported.
  private let reported = Mutex<Set<UInt64>>([])

  /// - Parameter report: receives a guarantee that a file system cannot give, once for each file
  ///   system.
  package init(report: @escaping @Sendable (HoldfastError) -> Void = { _ in }) {
    self.report = report
  }

  package func open(_ path: String, _ mode: OpenMode) throws -> OpenFile {
    let descriptor =
      switch mode {
      // Without O_NONBLOCK a FIFO in a file's place would block the program forever.
      case .read: try open(path, O_RDONLY | O_NONBLOCK)
      case .readNoFollow: try open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW)
      case .update: try open(path, O_RDWR | O_NOFOLLOW)
      case .createPrivate: try open(path, O_RDWR | O_CREAT | O_EXCL)
      case .createNew: try create(path)
      case .lockFile: try openOrCreate(path)
      }
    var result = stat()
    guard fstat(descriptor, &result) == 0, result.st_mode & S_IFMT == S_IFREG else {
      _ = Glibc.close(descriptor)
      throw HoldfastError.notAFile("open", path)
    }
    return OpenFile(descriptor: descriptor, path: path)
  }

  private func open(_ path: String, _ flags: Int32) throws -> Int32 {
    try retrying("open", path) { Glibc.open(path.raw, flags | O_CLOEXEC, 0o600) }
  }

  /// Creates a file, which belongs to the folder's owner. An existing file is never given away: it
  /// might be a link to another user's file.
  private func create(_ path: String) throws -> Int32 {
    try given(open(path, O_RDWR | O_CREAT | O_EXCL), path)
  }

  private func given(_ descriptor: Int32, _ path: String) throws -> Int32 {
    do {
      try FolderOwner(of: path.parentPath)?.applyOwner(to: descriptor, path)
    } catch {
      _ = Glibc.unlink(path.raw)
      _ = Glibc.close(descriptor)
      throw error
    }
    return descriptor
  }

  private func openOrCreate(_ path: String) throws -> Int32 {
    while true {
      let existing = Glibc.open(path.raw, O_RDWR | O_NOFOLLOW | O_CLOEXEC)
      if existing >= 0 { return existing }
      if errno == EINTR { continue }
      guard errno == ENOENT else { throw HoldfastError(errno: errno, "open", path) }
      let new = Glibc.open(path.raw, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
      if new < 0, errno == EEXIST || errno == EINTR { continue }
      guard new >= 0 else { throw HoldfastError(errno: errno, "open", path) }
      return try given(new, path)
    }
  }

  package func read(_ file: OpenFile, into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws -> Int {
    var done = 0
    while done < buffer.count {
      let count = try retrying("read", file.path) {
        pread(file.descriptor, buffer.baseAddress! + done, buffer.count - done, off_t(offset) + off_t(done))
      }
      if count == 0 { break }
      done += count
    }
    return done
  }

  package func write(_ file: OpenFile, _ bytes: UnsafeRawBufferPointer, at offset: Int64) throws {
    var done = 0
    while done < bytes.count {
      done += try retrying("write", file.path) {
        pwrite(file.descriptor, bytes.baseAddress! + done, bytes.count - done, off_t(offset) + off_t(done))
      }
    }
    // Writeback starts at once, so that the fsync at the end has little left to do.
    if bytes.count >= 1 << 16 { _ = cshims_start_writeback(file.descriptor, offset, Int64(bytes.count)) }
  }

  package func sync(_ file: OpenFile) throws {
    try retrying("flush", file.path) { fsync(file.descriptor) }
  }

  package func close(_ file: OpenFile) {
    _ = Glibc.close(file.descriptor)
  }

  package func size(_ file: OpenFile) throws -> Int64 {
    var result = stat()
    try retrying("stat", file.path) { fstat(file.descriptor, &result) }
    return Int64(result.st_size)
  }

  package func lock(_ file: OpenFile, exclusive: Bool, wait: Bool) throws -> Bool {
    let operation = (exclusive ? LOCK_EX : LOCK_SH) | (wait ? 0 : LOCK_NB)
    while flock(file.descriptor, operation) != 0 {
      if errno == EWOULDBLOCK { return false }
      if errno != EINTR { throw HoldfastError(lockErrno: errno, file.path) }
    }
    return true
  }

  package func status(_ path: String) throws -> FileStatus? {
    var result = stat()
    guard stat(path.raw, &result) == 0 else {
      if errno == ENOENT || errno == ENOTDIR { return nil }
      throw HoldfastError(errno: errno, "stat", path)
    }
    return FileStatus(result)
  }

  package func list(_ folder: String) throws -> [String] {
    guard let stream = opendir(folder.raw) else { throw HoldfastError(errno: errno, "list", folder) }
    defer { closedir(stream) }
    var names: [String] = []
    errno = 0
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(path: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
      errno = 0
    }
    guard errno == 0 else { throw HoldfastError(errno: errno, "list", folder) }
    return names
  }

  package func makeFolder(_ path: String) throws {
    guard mkdir(path.raw, 0o700) == 0 else {
      if errno == EEXIST { return }
      throw HoldfastError(errno: errno, "create the folder", path)
    }
    try FolderOwner(of: path.parentPath)?.applyOwner(toNewFolder: path)
  }

  package func rename(_ from: String, to: String) throws {
    try retrying("rename \(from) to", to) { Glibc.rename(from.raw, to.raw) }
  }

  package func renameNew(_ from: String, to: String) throws {
    try retrying("rename \(from) to", to) { cshims_rename_noreplace(from.raw, to.raw) }
  }

  package func unlink(_ path: String) throws {
    guard Glibc.unlink(path.raw) != 0, errno != ENOENT else { return }
    throw HoldfastError(errno: errno, "remove", path)
  }

  package func syncFolder(_ path: String) throws {
    let descriptor = try retrying("open", path) { Glibc.open(path.raw, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
    defer { _ = Glibc.close(descriptor) }
    while fsync(descriptor) != 0 {
      let code = errno
      if FolderFlush.isUnsupported(code) { return reportUnflushed(path, descriptor, code) }
      if code != EINTR { throw HoldfastError(errno: code, "flush", path) }
    }
  }

  private func reportUnflushed(_ path: String, _ descriptor: Int32, _ code: Int32) {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { return }
    let device = UInt64(status.st_dev)
    if reported.withLock({ $0.insert(device).inserted }) { report(FolderFlush.warning(path, code)) }
  }

  package func freeSpace(_ folder: String) throws -> Int64 {
    let system = try fileSystem(folder)
    guard system.f_blocks > 0 else { return .max }
    return Int64(clamping: system.f_bavail).multipliedClamped(by: Int64(clamping: system.f_frsize))
  }

  package func capacity(_ folder: String) throws -> Int64 {
    let system = try fileSystem(folder)
    return Int64(clamping: system.f_blocks).multipliedClamped(by: Int64(clamping: system.f_frsize))
  }

  private func fileSystem(_ folder: String) throws -> statvfs {
    var result = statvfs()
    try retrying("stat the file system of", folder) { statvfs(folder.raw, &result) }
    return result
  }

  /// Repeats a system call while a signal interrupts it; throws if it returns a negative number.
  @discardableResult
  private func retrying<Result: SignedInteger>(_ verb: String, _ path: String, _ call: () -> Result) throws -> Result {
    while true {
      let result = call()
      if result >= 0 { return result }
      if errno != EINTR { throw HoldfastError(errno: errno, verb, path) }
    }
  }
}

extension FileStatus {
  init(_ status: stat) {
    let kind = status.st_mode & S_IFMT
    self.init(
      kind: kind == S_IFREG ? .regular : kind == S_IFDIR ? .folder : .other, size: Int64(status.st_size),
      device: UInt64(status.st_dev), inode: UInt64(status.st_ino), modified: status.st_mtim.nanoseconds,
      changed: status.st_ctim.nanoseconds, permissions: status.st_mode & 0o7777, owner: status.st_uid,
      group: status.st_gid)
  }
}

extension timespec {
  fileprivate var nanoseconds: Int64 { Int64(tv_sec) * 1_000_000_000 + Int64(tv_nsec) }
}

extension String {
  /// The path with symbolic links followed, as SQLite does. A path that names nothing now (a disk
  /// that is not mounted) gives the same result: its existing part is resolved, and dangling links
  /// are followed.
  package var resolvingLinks: String { resolvingLinks(atMost: 40) }

  private func resolvingLinks(atMost links: Int) -> String {
    if let real = realpath(self.raw, nil) {
      defer { free(real) }
      return String(path: real)
    }
    let parent = parentPath
    guard parent != self, !isEmpty else { return self }
    let folder = parent.resolvingLinks(atMost: links)
    let path = folder == "/" ? "/\(lastComponent)" : "\(folder)/\(lastComponent)"
    guard links > 0, let target = path.linkTarget else { return path }
    return (target.hasPrefix("/") ? target : "\(folder)/\(target)").resolvingLinks(atMost: links - 1)
  }

  /// The target of a symbolic link; nil for anything else.
  var linkTarget: String? {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink(self.raw, &buffer, buffer.count)
    return count > 0 && count < buffer.count ? String(path: buffer) : nil
  }

  /// The path from the root, links and dots as they are; unchanged if the working folder cannot be
  /// found.
  package var absolutePath: String {
    guard !hasPrefix("/"), let folder = String.workingFolder else { return self }
    return "\(folder)/\(self)"
  }

  /// The same without `./` at its beginning and doubled slashes.
  package var tidyAbsolutePath: String {
    guard !hasPrefix("/"), let folder = String.workingFolder else { return self }
    let parts = split(separator: "/").drop { $0 == "." }
    return ([folder] + parts.map(String.init)).joined(separator: "/")
  }
}

extension SystemFileOperations {
  package func setAttributes(_ file: OpenFile, _ attributes: FileAttributes) throws -> FileAttributes {
    // Before the mode, because a change of owner may clear bits of it. A process that may not give
    // the file away may still choose among its own groups.
    if fchown(file.descriptor, attributes.owner, attributes.group) != 0 {
      guard Self.isRefusal(errno) else { throw HoldfastError(errno: errno, "change the owner of", file.path) }
      if fchown(file.descriptor, .max, attributes.group) != 0, !Self.isRefusal(errno) {
        throw HoldfastError(errno: errno, "change the group of", file.path)
      }
    }
    var status = stat()
    guard fstat(file.descriptor, &status) == 0 else { throw HoldfastError(errno: errno, "stat", file.path) }
    var permissions = attributes.permissions & 0o7777
    if status.st_gid != attributes.group {
      permissions = permissions & ~0o070 | permissions & (permissions & 0o007) << 3
    }
    guard fchmod(file.descriptor, permissions) == 0 else {
      throw HoldfastError(errno: errno, "change the mode of", file.path)
    }
    return FileAttributes(permissions: permissions, owner: status.st_uid, group: status.st_gid)
  }

  package func copyExtendedAttributes(of path: String, to file: OpenFile) throws -> [String] {
    try Self.extendedAttributes(of: path).filter { name in
      guard let value = try Self.value(of: name, path) else { return false }
      let result = value.withUnsafeBytes { cshims_set_attribute(file.descriptor, name, $0.baseAddress, $0.count) }
      guard result != 0 else { return false }
      guard Self.isRefusal(errno) else { throw HoldfastError(errno: errno, "set \(name) of", file.path) }
      return true
    }
  }

  /// This process has no permission, or this file system has no support.
  static func isRefusal(_ code: Int32) -> Bool {
    [EPERM, EACCES, EINVAL, ENOTSUP, ENOSYS, EROFS].contains(code)
  }

  /// The attributes that describe the file; not those that describe its content (a signature or a
  /// hash of it) or make it a privileged program.
  private static func extendedAttributes(of path: String) throws -> [String] {
    let kept = ["user.", "trusted.", "system.posix_acl_access", "security.selinux", "security.SMACK64"]
    let names = try lent(path) { cshims_list_attributes(path.raw, $0, $1) } ?? []
    return names.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }.filter { name in
      kept.contains { name == $0 || $0.hasSuffix(".") && name.hasPrefix($0) }
    }
  }

  /// The access control list of a file; nil if it has no list, or if its file system supports none.
  static func accessList(of path: String) throws -> [UInt8]? { try value(of: "system.posix_acl_access", path) }

  private static func value(of name: String, _ path: String) throws -> [UInt8]? {
    try lent(path) { cshims_get_attribute(path.raw, name, $0, $1) }
  }

  /// Reads a value with a call that first returns the size of the buffer it needs; returns nil if
  /// there is no such value.
  private static func lent(_ path: String, _ call: (UnsafeMutablePointer<CChar>?, Int) -> Int) throws -> [UInt8]? {
    while true {
      let size = call(nil, 0)
      guard size > 0 else {
        if size == 0 { return [] }
        if errno == ENODATA || errno == ENOENT || isRefusal(errno) { return nil }
        throw HoldfastError(errno: errno, "read the extended attributes of", path)
      }
      var buffer = [CChar](repeating: 0, count: size)
      let count = call(&buffer, size)
      // The value may have grown in between.
      if count < 0, errno == ERANGE { continue }
      return count < 0 ? nil : buffer.prefix(count).map { UInt8(bitPattern: $0) }
    }
  }
}

/// The flush of a folder's entries (`fsync`), which some file systems do not support (CIFS, several
/// in user space).
enum FolderFlush {
  /// Whether an errno of `fsync` means that the file system cannot flush folders at all. Every
  /// other errno is a failure.
  static func isUnsupported(_ code: Int32) -> Bool { [EINVAL, EOPNOTSUPP, ENOSYS].contains(code) }

  static func warning(_ path: String, _ code: Int32) -> HoldfastError {
    HoldfastError(
      .ioError,
      "cannot flush the folder \(path): its file system does not support it (\(HoldfastError.message(of: code))): "
        + "after a power loss the newest backups may be missing")
  }

  /// Whether the file system of a folder can flush it; nil if that cannot be determined.
  static func isSupported(_ folder: String) -> Bool? {
    let descriptor = open(folder.raw, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    if fsync(descriptor) == 0 { return true }
    return isUnsupported(errno) ? false : nil
  }
}
