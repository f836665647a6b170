import BackupEngine

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

    init(_ status: FileStatus) {
      (inode, size, modified) = (status.inode, status.size, status.modified)
    }
  }

  private var database: File?
  private var wal: File?

  /// A path that cannot be looked at counts as missing: the backup says why when it tries.
  init(_ path: WatchedPath, _ files: any FileOperations) {
    database = (try? files.status(path.resolved)).map(File.init)
    // An empty one is what an application (or this one) makes by opening the database, not a change.
    wal = (try? files.status(path.resolved + "-wal")).flatMap { $0.size > 0 ? File($0) : nil }
  }
}
