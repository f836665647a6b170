import BackupEngine
import BackupPolicy
import SQLitePages

/// The `stat` values of a database and its write-ahead log, which the slow poll compares.
///
/// Neither file is ever opened here: closing a second descriptor would drop SQLite's POSIX locks in
/// this process.
package struct WatchedFiles: Hashable, Sendable {
  /// A file as the last write left it.
  struct File: Hashable {
    var inode: UInt64
    var size: Int64
    /// Wall time in nanoseconds.
    var modified: Int64
    /// The file system seems to count whole seconds, judging by this file.
    var isCoarse: Bool

    init(_ status: FileStatus) {
      (inode, size, modified) = (status.inode, status.size, status.modified)
      isCoarse = status.changed % 1_000_000_000 == 0
    }
  }

  private var database: File?
  private var wal: File?

  /// Whether another write now could leave these values unchanged.
  func mayHideWrites(at now: Timestamp) -> Bool {
    [database, wal].contains { file in
      guard let file, file.isCoarse else { return false }
      return (0...FileClock.coarseTick).contains(now.milliseconds.multipliedClamped(by: 1_000_000) - file.modified)
    }
  }

  init(database: File?, wal: File? = nil) {
    (self.database, self.wal) = (database, wal)
  }

  /// The values as text. While the text stays the same, nothing was written, as far as the file
  /// system's time stamps tell.
  package var text: String {
    [database, wal].map { $0.map { "\($0.inode) \($0.size) \($0.modified)" } ?? "-" }.joined(separator: ", ")
  }

  /// The wall time of the last write; nil if there is no file.
  package var lastWrite: Timestamp? {
    [database, wal].compactMap { $0?.modified }.max().map { Timestamp(milliseconds: $0 / 1_000_000) }
  }

  /// The files of a database as they are now.
  ///
  /// - Parameter path: of the database; links are followed.
  package init(database path: String, _ files: any FileOperations) { self.init(WatchedPath(path), files) }

  /// A path whose status cannot be read counts as missing; the next backup reports the reason.
  init(_ path: WatchedPath, _ files: any FileOperations) {
    database = (try? files.status(path.resolved)).map(File.init)
    // An application (or this one) creates an empty log when it opens the database; that is not a
    // change.
    wal = (try? files.status(path.resolved + "-wal")).flatMap { $0.size > 0 ? File($0) : nil }
  }
}

/// A time in which writes to a database raised no events: the files' state before it, for finding
/// the time of the last write in it.
struct SuppressedWrites {
  /// When it began, in monotonic milliseconds.
  let start: Int64
  private let before: [WatchedFiles.File?]

  /// Begins now or slightly later. A write in between also counts as unreported.
  init(of path: WatchedPath, from start: Int64, _ files: any FileOperations) {
    self.start = start
    before = Self.examine(path, files)
  }

  /// The database, its log, and its rollback journal: during a long transaction only the journal is
  /// written.
  private static func examine(_ path: WatchedPath, _ files: any FileOperations) -> [WatchedFiles.File?] {
    ["", "-wal", "-journal"].map { suffix in
      (try? files.status(path.resolved + suffix)).map(WatchedFiles.File.init)
    }
  }

  /// Returns the time of the last write since the beginning; nil if there was no write.
  ///
  /// The files' times come from the wall clock. If they cannot be true (the clock was set, or the
  /// file system counts seconds), the write counts as recent, so that the quiet period does not end
  /// too early.
  func lastWrite(to path: WatchedPath, until now: Moment, _ files: any FileOperations) -> Moment? {
    let after = Self.examine(path, files)
    let written = zip(before, after).compactMap { $0 == $1 ? nil : $1?.modified }
    guard after != before else { return nil }
    let age = written.max().map { now.wall.milliseconds.addingClamped(-($0 / 1_000_000)) } ?? 0
    let time = now.monotonic.addingClamped(-age)
    guard age >= 0, time >= start else { return now }
    return Moment(wall: Timestamp(milliseconds: now.wall.milliseconds.addingClamped(-age)), monotonic: time)
  }
}
