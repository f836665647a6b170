import BackupEngine
import Glibc
import Synchronization

/// The system's file operations with an obstacle before each large write, so that a backup of a few
/// MiB lasts as long as a test needs.
final class SlowFiles: FileOperations {
  private let base = SystemFileOperations()
  private let writes = Atomic(0)
  private let obstacle: @Sendable (_ write: Int) throws -> Void

  /// - Parameter obstacle: called before each large write, with its number from 0; its error is that
  ///   of the write.
  init(obstacle: @escaping @Sendable (_ write: Int) throws -> Void) {
    self.obstacle = obstacle
  }

  convenience init(milliseconds: useconds_t) {
    self.init { _ in usleep(milliseconds * 1000) }
  }

  func write(_ file: OpenFile, _ bytes: UnsafeRawBufferPointer, at offset: Int64) throws {
    if bytes.count > 65536 { try obstacle(writes.add(1, ordering: .relaxed).oldValue) }
    try base.write(file, bytes, at: offset)
  }

  func open(_ path: String, _ mode: OpenMode) throws -> OpenFile { try base.open(path, mode) }
  func read(_ file: OpenFile, into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws -> Int {
    try base.read(file, into: buffer, at: offset)
  }
  func sync(_ file: OpenFile) throws { try base.sync(file) }
  func close(_ file: OpenFile) { base.close(file) }
  func size(_ file: OpenFile) throws -> Int64 { try base.size(file) }
  func lock(_ file: OpenFile, exclusive: Bool, wait: Bool) throws -> Bool {
    try base.lock(file, exclusive: exclusive, wait: wait)
  }
  func status(_ path: String) throws -> FileStatus? { try base.status(path) }
  func list(_ folder: String) throws -> [String] { try base.list(folder) }
  func makeFolder(_ path: String) throws { try base.makeFolder(path) }
  func rename(_ from: String, to: String) throws { try base.rename(from, to: to) }
  func renameNew(_ from: String, to: String) throws { try base.renameNew(from, to: to) }
  func unlink(_ path: String) throws { try base.unlink(path) }
  func syncFolder(_ path: String) throws { try base.syncFolder(path) }
  func setAttributes(_ file: OpenFile, _ attributes: FileAttributes) throws -> FileAttributes {
    try base.setAttributes(file, attributes)
  }
  func copyExtendedAttributes(of path: String, to file: OpenFile) throws -> [String] {
    try base.copyExtendedAttributes(of: path, to: file)
  }
  func freeSpace(_ folder: String) throws -> Int64 { try base.freeSpace(folder) }
  func capacity(_ folder: String) throws -> Int64 { try base.capacity(folder) }
}
