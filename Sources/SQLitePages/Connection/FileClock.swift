import CSQLite
import Glibc
import Names

/// The clock that the kernel stamps files with.
package enum FileClock {
  /// Nanoseconds. Time stamps of files have the granularity of the kernel's tick (4 ms, 10 ms at worst): two writes within
  /// it can leave the same ones. Git calls a file that is younger "racily clean".
  package static let tick: Int64 = 20_000_000
  /// Nanoseconds. The same if a file system counts whole seconds, or every other one (FAT).
  package static let coarseTick: Int64 = 3_000_000_000

  /// Nanoseconds since the epoch.
  package static func now() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }

  /// `f_type` of statfs(2) for file systems whose stamps another machine or a program makes, or the kernel caches for a while
  /// (NFS, SMB, CIFS, FUSE, 9P, AFS, Coda, Lustre, Ceph), and for those without a fine one (FAT, HFS+).
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
  /// Nanoseconds since the epoch of the last write, or of the last change of the inode where that is later: `cp -p` sets
  /// the first back, and nothing the second.
  package var touched: Int64 { max(modified, changed) }

  /// Whether a later write must leave other stamps.
  ///
  /// By the time of the inode's change alone: the kernel sets that one with each write, and no program can, while the time of
  /// the last write may be any (`touch`, `cp -p`), also one in the future.
  package func isSettled(at now: Int64) -> Bool { hasFineStamps && now - changed > FileClock.tick }

  /// The same, however coarse the file system's own stamps are; only a clock that is set back can deceive it.
  package func isOld(at now: Int64) -> Bool { now - changed > FileClock.coarseTick }

  /// Waits until the file's stamps are old if they are coarse, and not for ever if the file is written all the time.
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
