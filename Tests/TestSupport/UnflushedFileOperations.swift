import BackupEngine
import BackupPolicy
import Glibc

/// The real file system without waiting for the disk: flushes only check whether they are possible.
///
/// A killed process loses nothing of the page cache, so sweeps that kill or fail operations need no
/// flush; ``PowerLoss`` models it. If the disk is busy, this makes a sweep many times faster.
package final class UnflushedFileOperations: FileOperations {
  private let system = SystemFileOperations()

  private let afterRename: @Sendable (_ to: String) -> Void

  private let beforeLock: @Sendable (_ exclusive: Bool) -> Void
  private let free: Int64?
  private let locksAsNFS: Bool

  /// - Parameters:
  ///   - afterRename: lets a test act when a file has become visible.
  ///   - beforeLock: lets a test act right before a lock is requested.
  ///   - free: bytes that every file system claims to have free; nil for the truth.
  ///   - locksAsNFS: an exclusive lock needs a descriptor open for writing, and a shared one a
  ///     descriptor open for reading.
  package init(
    afterRename: @escaping @Sendable (_ to: String) -> Void = { _ in },
    beforeLock: @escaping @Sendable (_ exclusive: Bool) -> Void = { _ in }, free: Int64? = nil,
    locksAsNFS: Bool = false
  ) {
    self.free = free
    self.locksAsNFS = locksAsNFS
    self.afterRename = afterRename
    self.beforeLock = beforeLock
  }

  package func sync(_ file: OpenFile) throws { _ = try system.size(file) }
  package func syncFolder(_ path: String) throws { _ = try system.list(path) }

  package func open(_ path: String, _ mode: OpenMode) throws -> OpenFile { try system.open(path, mode) }
  package func read(_ file: OpenFile, into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws -> Int {
    try system.read(file, into: buffer, at: offset)
  }
  package func write(_ file: OpenFile, _ bytes: UnsafeRawBufferPointer, at offset: Int64) throws {
    try system.write(file, bytes, at: offset)
  }
  package func close(_ file: OpenFile) { system.close(file) }
  package func size(_ file: OpenFile) throws -> Int64 { try system.size(file) }
  package func lock(_ file: OpenFile, exclusive: Bool, wait: Bool) throws -> Bool {
    beforeLock(exclusive)
    if locksAsNFS {
      let mode = fcntl(file.descriptor, F_GETFL) & O_ACCMODE
      guard mode != (exclusive ? O_RDONLY : O_WRONLY) else { throw HoldfastError(errno: EBADF, "lock", file.path) }
    }
    return try system.lock(file, exclusive: exclusive, wait: wait)
  }
  package func status(_ path: String) throws -> FileStatus? { try system.status(path) }
  package func list(_ folder: String) throws -> [String] { try system.list(folder) }
  package func makeFolder(_ path: String) throws { try system.makeFolder(path) }
  package func rename(_ from: String, to: String) throws {
    try system.rename(from, to: to)
    afterRename(to)
  }
  package func renameNew(_ from: String, to: String) throws { try system.renameNew(from, to: to) }
  package func unlink(_ path: String) throws { try system.unlink(path) }
  package func setAttributes(_ file: OpenFile, _ attributes: FileAttributes) throws -> FileAttributes {
    try system.setAttributes(file, attributes)
  }
  package func copyExtendedAttributes(of path: String, to file: OpenFile) throws -> [String] {
    try system.copyExtendedAttributes(of: path, to: file)
  }
  package func freeSpace(_ folder: String) throws -> Int64 { try free ?? system.freeSpace(folder) }
  package func capacity(_ folder: String) throws -> Int64 { try system.capacity(folder) }
}
