import CSQLite
import Glibc
import Names

/// The identity of the file at a path; it changes if another file is moved or created there.
package struct FileIdentity: Hashable, Sendable {
  package var device: UInt64
  package var inode: UInt64

  package init(device: UInt64, inode: UInt64) {
    self.device = device
    self.inode = inode
  }
}

/// The result of `stat` on a path. Files of a database are only ever examined this way: opening and
/// closing one with a second descriptor would drop the POSIX locks that SQLite holds in this
/// process.
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
  /// Whether the file system is known to stamp each write with parts of a second, on this machine:
  /// only then can equal stamps prove that nothing was written. The evidence is this file's own
  /// stamp.
  package var hasFineStamps: Bool

  /// Follows symbolic links; nil, with `errno` set, if `stat` fails.
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

/// The state of a file at one moment: if it is the same later, nothing wrote to it in between.
package struct FileStamp: Hashable, Sendable {
  package var facts: FileFacts
  /// False if the file was written within a tick of the kernel's clock before this was taken, or if
  /// the file system has no fine stamps: a write right after it could leave the same times, so it
  /// proves nothing later.
  package var isSettled: Bool
  /// If true and later stamps differ, another write has set them; equal stamps may still prove
  /// nothing.
  let wasOld: Bool

  /// Returns nil if there is no such file.
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

  /// A stamp that was settled when an earlier process took it.
  init(settled facts: FileFacts) {
    self.facts = facts
    (isSettled, wasOld) = (true, true)
  }

  /// Whether nothing was written from this stamp on until `later` was taken.
  package func isUntouched(until later: FileFacts) -> Bool { isSettled && facts == later }

  /// Whether it is certain that the file was written between this stamp and `later`.
  package func isContradicted(by later: FileFacts) -> Bool { wasOld && facts != later }
}

/// The files of a database at one moment; nil if one does not exist.
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

/// The clock that the kernel stamps files with.
package enum FileClock {
  /// Nanoseconds. Time stamps of files have the granularity of the kernel's tick (4 ms, 10 ms at
  /// worst): two writes within it can leave the same ones. Git calls a younger file "racily clean".
  package static let tick: Int64 = 20_000_000
  /// Nanoseconds. The same if a file system counts whole seconds, or every other one (FAT).
  package static let coarseTick: Int64 = 3_000_000_000

  /// Nanoseconds since the epoch.
  package static func now() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }

  /// `f_type` of statfs(2) for file systems whose stamps are set by another machine or a program,
  /// or cached by the kernel for a while (NFS, SMB, CIFS, FUSE, 9P, AFS, Coda, Lustre, Ceph), and
  /// for those without fine stamps (FAT, HFS+).
  private static let untold: Set<UInt32> = [
    0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x6573_5546, 0x0102_1997, 0x5346_414f, 0x7375_7245, 0x0bd0_0bd0,
    0x00c3_6400, 0x4d44, 0x482b,
  ]

  /// Whether the file system of a path is one of those whose stamps prove nothing, whatever they look like.
  static func isUntold(_ path: String) -> Bool {
    let type = csqlite_file_system_type(path.raw)
    return type == 0 || untold.contains(type)
  }
}

extension FileFacts {
  /// Nanoseconds since the epoch of the last write, or of the last change of the inode if that is
  /// later: `cp -p` sets the first back, and nothing sets back the second.
  package var touched: Int64 { max(modified, changed) }

  /// Whether a later write must leave different stamps.
  ///
  /// Only the time of the inode's change counts: the kernel sets it with each write, and no program
  /// can, while the time of the last write may be any (`touch`, `cp -p`), even one in the future.
  package func isSettled(at now: Int64) -> Bool { hasFineStamps && now - changed > FileClock.tick }

  /// The same, however coarse the file system's own stamps are; only a clock that is set back can deceive it.
  package func isOld(at now: Int64) -> Bool { now - changed > FileClock.coarseTick }

  /// If the file's stamps are coarse, waits until they are old; gives up if the file is written all
  /// the time.
  package static func waitForOldStamps(of path: String) {
    for _ in 0..<200 {
      guard let facts = FileFacts(path: path), !facts.hasFineStamps,
        (0...FileClock.coarseTick).contains(FileClock.now() - facts.changed)
      else { return }
      usleep(20_000)
    }
  }

  /// Whether they will be settled within a tick.
  package func isYoung(at now: Int64) -> Bool { hasFineStamps && (0...FileClock.tick).contains(now - changed) }
}
