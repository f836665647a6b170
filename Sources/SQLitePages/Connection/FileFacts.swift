import Glibc
import Names

/// Which file a path leads to: it changes when another file is moved or created there.
package struct FileIdentity: Hashable, Sendable {
  package var device: UInt64
  package var inode: UInt64

  package init(device: UInt64, inode: UInt64) {
    self.device = device
    self.inode = inode
  }
}

/// What `stat` says of a path. Files of a database are only ever looked at this way: opening and closing one with a
/// second descriptor would drop the POSIX locks that SQLite holds in this process.
package struct FileFacts: Hashable, Sendable {
  package var identity: FileIdentity
  /// Bytes.
  package var size: Int64
  /// Nanoseconds since the epoch.
  package var modified: Int64
  /// Nanoseconds since the epoch of the last change of content or inode.
  package var changed: Int64
  package var isRegular: Bool
  package var isFolder: Bool
  /// Whether the file system is known to stamp each write with parts of a second, on this machine: then, and only then, equal
  /// stamps can prove that nothing was written. The evidence is this file's own stamp.
  package var hasFineStamps: Bool

  /// Follows symbolic links; nil with `errno` where there is nothing to be seen.
  package init?(path: String) {
    var status = stat()
    guard stat(path.raw, &status) == 0 else { return nil }
    identity = FileIdentity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
    size = Int64(status.st_size)
    modified = Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec)
    changed = Int64(status.st_ctim.tv_sec) * 1_000_000_000 + Int64(status.st_ctim.tv_nsec)
    isRegular = status.st_mode & S_IFMT == S_IFREG
    isFolder = status.st_mode & S_IFMT == S_IFDIR
    hasFineStamps = status.st_ctim.tv_nsec != 0 && !FileClock.isUntold(path)
  }
}

/// What a file was at one moment: where it is the same later on, nobody wrote to it in between.
package struct FileStamp: Hashable, Sendable {
  package var facts: FileFacts
  /// False if the file was written within a tick of the kernel's clock before this was taken, or if the file system has no fine
  /// stamps: a write right after it could leave the same times, so that it proves nothing later.
  package var isSettled: Bool
  /// Other stamps later on mean another write than the one that these are of, even if equal ones prove nothing.
  let wasOld: Bool

  /// Nil where there is no such file.
  package init?(path: String) {
    let now = FileClock.now()
    guard let facts = FileFacts(path: path) else { return nil }
    self.init(facts, now: now)
  }

  /// - Parameter now: nanoseconds since the epoch, read before `facts`.
  package init(_ facts: FileFacts, now: Int64) {
    self.facts = facts
    isSettled = facts.isSettled(at: now)
    wasOld = isSettled || facts.isOld(at: now)
  }

  /// One that was settled when an earlier process took it.
  init(settled facts: FileFacts) {
    self.facts = facts
    (isSettled, wasOld) = (true, true)
  }

  /// Whether nothing was written from this stamp on until `later` was taken.
  package func isUntouched(until later: FileFacts) -> Bool { isSettled && facts == later }

  /// Whether it is certain that the file was written between this stamp and `later`.
  package func isContradicted(by later: FileFacts) -> Bool { wasOld && facts != later }
}

/// Which files a database consists of at a moment; nil where one does not exist.
package struct DatabaseFiles: Hashable, Sendable {
  package var database: FileIdentity?
  package var wal: FileIdentity?
  package var sharedMemory: FileIdentity?

  package init(resolvedPath path: String) {
    database = FileFacts(path: path)?.identity
    wal = FileFacts(path: path + "-wal")?.identity
    sharedMemory = FileFacts(path: path + "-shm")?.identity
  }

  package init(database: FileIdentity?, wal: FileIdentity?, sharedMemory: FileIdentity?) {
    self.database = database
    self.wal = wal
    self.sharedMemory = sharedMemory
  }
}
