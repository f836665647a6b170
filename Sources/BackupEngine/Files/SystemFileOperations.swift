import BackupPolicy
import CShims
import Glibc
import Names
import Synchronization

/// File operations on the real file system.
package final class SystemFileOperations: FileOperations {
  private let report: @Sendable (HoldfastError) -> Void
  /// Devices whose lack of folder flushes was reported.
  private let reported = Mutex<Set<UInt64>>([])

  /// - Parameter report: gets a promise that a file system cannot keep, once for each file system.
  package init(report: @escaping @Sendable (HoldfastError) -> Void = { _ in }) {
    self.report = report
  }

  package func open(_ path: String, _ mode: OpenMode) throws -> OpenFile {
    let descriptor =
      switch mode {
      // Without O_NONBLOCK a FIFO in a file's place would stop the program for good.
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
      throw HoldfastError(.failed, "cannot open \(path): it is not a regular file")
    }
    return OpenFile(descriptor: descriptor, path: path)
  }

  private func open(_ path: String, _ flags: Int32) throws -> Int32 {
    try retrying("open", path) { Glibc.open(path.raw, flags | O_CLOEXEC, 0o600) }
  }

  /// A new file, which belongs to the folder's owner. One that exists is never given away: it might be a link to another's file.
  private func create(_ path: String) throws -> Int32 {
    try given(open(path, O_RDWR | O_CREAT | O_EXCL), path)
  }

  private func given(_ descriptor: Int32, _ path: String) throws -> Int32 {
    do {
      try FolderOwner(of: path.parentPath)?.take(descriptor, path)
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
    // Writeback starts at once, so that the fsync at the end finds little left to do.
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
    try FolderOwner(of: path.parentPath)?.takeNewFolder(path)
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

  /// Runs a system call again while a signal interrupts it; throws where it returns a negative number.
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
  /// The path with symbolic links followed, as SQLite does. One that names nothing now (a disk that is not mounted) gives the
  /// same: what is there of it is resolved, and links that lead nowhere are followed.
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

  /// What a symbolic link says; nil for anything else.
  private var linkTarget: String? {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink(self.raw, &buffer, buffer.count)
    return count > 0 && count < buffer.count ? String(path: buffer) : nil
  }

  /// The path from the root, as it was given otherwise.
  var absolutePath: String {
    guard !hasPrefix("/"), let folder = getcwd(nil, 0) else { return self }
    defer { free(folder) }
    let parts = split(separator: "/").drop { $0 == "." }
    return ([String(cString: folder)] + parts.map(String.init)).joined(separator: "/")
  }
}
