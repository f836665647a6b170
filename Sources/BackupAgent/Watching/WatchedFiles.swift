import BackupEngine
import BackupPolicy
import SQLitePages

/// What `stat` tells of a database and its write-ahead log: what the slow poll compares.
///
/// Neither is ever opened here: closing a second descriptor would drop SQLite's POSIX locks in this process.
struct WatchedFiles: Hashable, Sendable {
  /// A file as the last write left it.
  struct File: Hashable {
    var inode: UInt64
    var size: Int64
    /// Wall time in nanoseconds.
    var modified: Int64
    /// The file system counts whole seconds, as far as this file shows.
    var isCoarse: Bool

    init(_ status: FileStatus) {
      (inode, size, modified) = (status.inode, status.size, status.modified)
      isCoarse = status.changed % 1_000_000_000 == 0
    }
  }

  private var database: File?
  private var wal: File?

  /// Whether a write that follows now could leave everything as it is seen here.
  func mayHideWrites(at now: Timestamp) -> Bool {
    [database, wal].contains { file in
      guard let file, file.isCoarse else { return false }
      return (0...FileClock.coarseTick).contains(now.milliseconds.multipliedClamped(by: 1_000_000) - file.modified)
    }
  }

  init(database: File?, wal: File? = nil) {
    (self.database, self.wal) = (database, wal)
  }

  /// A path that cannot be looked at counts as missing: the backup says why when it tries.
  init(_ path: WatchedPath, _ files: any FileOperations) {
    database = (try? files.status(path.resolved)).map(File.init)
    // An empty one is what an application (or this one) makes by opening the database, not a change.
    wal = (try? files.status(path.resolved + "-wal")).flatMap { $0.size > 0 ? File($0) : nil }
  }
}

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
