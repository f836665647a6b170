import BackupEngine
import BackupPolicy

/// A time in which writes to a database raised no events: what had been written before, and when the last of them was.
struct UnheardWrites {
  /// Monotonic milliseconds of its beginning.
  let start: Int64
  private let before: [WatchedFiles.File?]

  /// Begins now, or somewhat later: what is written in between counts as unheard, too.
  init(of path: WatchedPath, from start: Int64, _ files: any FileOperations) {
    self.start = start
    before = Self.look(path, files)
  }

  /// The database, its log, and its rollback journal: in a long transaction nothing else is written.
  private static func look(_ path: WatchedPath, _ files: any FileOperations) -> [WatchedFiles.File?] {
    ["", "-wal", "-journal"].map { suffix in
      (try? files.status(path.resolved + suffix)).map(WatchedFiles.File.init)
    }
  }

  /// When somebody last wrote since it began; nil where nobody did.
  ///
  /// The files' times are the wall's. Where they cannot be true (a clock that was set, a file system that counts seconds) the
  /// write counts as one of just now: a quiet period must not end too early for it.
  func lastWrite(to path: WatchedPath, until now: Moment, _ files: any FileOperations) -> Moment? {
    let after = Self.look(path, files)
    let written = zip(before, after).compactMap { $0 == $1 ? nil : $1?.modified }
    guard after != before else { return nil }
    let age = written.max().map { now.wall.milliseconds.addingClamped(-($0 / 1_000_000)) } ?? 0
    let time = now.monotonic.addingClamped(-age)
    guard age >= 0, time >= start else { return now }
    return Moment(wall: Timestamp(milliseconds: now.wall.milliseconds.addingClamped(-age)), monotonic: time)
  }
}
