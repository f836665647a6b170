import Glibc

/// The clock that the kernel stamps files with.
package enum FileClock {
  /// Nanoseconds. Time stamps of files have the granularity of the kernel's tick (4 ms, 10 ms at worst): two writes within
  /// it can leave the same ones. Git calls a file that is younger "racily clean".
  package static let tick: Int64 = 20_000_000

  /// Nanoseconds since the epoch.
  static func now() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }
}

extension FileFacts {
  /// Nanoseconds since the epoch of the last write, or of the last change of the inode where that is later: `cp -p` sets
  /// the first back, and nothing the second.
  package var touched: Int64 { max(modified, changed) }
}
