import CSQLite
import Glibc

/// Brings a connection into a read transaction whose state is known exactly.
struct SnapshotTransaction {
  /// How the pages of the state are reached.
  enum Pages {
    /// All from the database file: rollback modes, or a WAL that is wholly backfilled.
    case database
    /// Database file overlaid by the frames up to the header's last one.
    case overlaid(WALIndexHeader, frames: [UInt32])
    /// The wal-index cannot be read; SQLite itself can.
    case throughSQLite
  }

  let pages: Pages
  let isWAL: Bool
  let header: WALIndexHeader?
  let backfilled: UInt32
  /// The database file as it was before ``header`` was read.
  var stampBefore: FileStamp?

  /// Leaves `connection` inside a transaction, or throws and leaves it outside.
  ///
  /// - Parameters:
  ///   - patience: milliseconds to try again for, while commits keep coming in between.
  ///   - hook: called at each ``Step``.
  static func begin(
    _ connection: DatabaseConnection, patience: Int, hook: ((DatabaseSnapshot.Step) -> Void)? = nil
  ) throws -> SnapshotTransaction {
    let end = ContinuousClock.now + .milliseconds(patience)
    var pause: UInt32 = 100
    while true {
      if let transaction = try attempt(connection, hook: hook) { return transaction }
      guard ContinuousClock.now < end else {
        throw DatabaseError(
          .unstable, path: connection.path,
          message: "cannot read \(connection.path): it was written without a pause for \(patience) ms")
      }
      usleep(pause)
      pause = min(pause * 2, 20_000)
    }
  }

  /// One try; nil where a commit, a checkpoint's reset or a change of mode came in between.
  ///
  /// A reset of the WAL stores the new header before it zeroes nBackfill. So nBackfill is read first and the header
  /// after it, across a barrier: the other way round a reset in between would go unseen, and frames of the new
  /// generation would be read for the old state.
  private static func attempt(
    _ connection: DatabaseConnection, hook: ((DatabaseSnapshot.Step) -> Void)?
  ) throws -> SnapshotTransaction? {
    let stamp = FileStamp(path: connection.resolvedPath)
    let before = connection.walIndex()?.readHeader()
    hook?(.headerRead)
    try connection.rows(.begin)
    do {
      try connection.readSchema()
      hook?(.begun)
      try requireSameFile(connection)
      connection.isWAL = try connection.text(.journalMode) == "wal"
      guard connection.isWAL || connection.isImmutable else {
        return SnapshotTransaction(
          pages: .database, isWAL: false, header: nil, backfilled: 0, stampBefore: stamp)
      }
      if var transaction = try settled(connection, before: before, hook: hook) {
        transaction.stampBefore = stamp
        return transaction
      }
    } catch {
      try? connection.execute("ROLLBACK")
      throw error
    }
    try connection.rows(.commit)
    return nil
  }

  private static func settled(
    _ connection: DatabaseConnection, before: WALIndexHeader?, hook: ((DatabaseSnapshot.Step) -> Void)?
  ) throws -> SnapshotTransaction? {
    if connection.isImmutable {
      return SnapshotTransaction(pages: .database, isWAL: true, header: nil, backfilled: 0)
    }
    guard let index = connection.walIndex() else {
      return SnapshotTransaction(pages: .throughSQLite, isWAL: true, header: nil, backfilled: 0)
    }
    let backfilled = index.readBackfill()
    hook?(.backfillRead)
    csqlite_barrier()
    guard let after = index.readHeader(), after == before else { return nil }
    if backfilled >= after.maxFrame {
      // The transaction may hold read lock 0, which does not keep the WAL from being reset: stay away from it.
      return SnapshotTransaction(pages: .database, isWAL: true, header: after, backfilled: backfilled)
    }
    guard let frames = index.pageNumbers(to: after.maxFrame) else { return nil }
    return SnapshotTransaction(
      pages: .overlaid(after, frames: frames), isWAL: true, header: after, backfilled: backfilled)
  }

  /// A file that was moved away is still open here, and no longer the database at that path.
  private static func requireSameFile(_ connection: DatabaseConnection) throws {
    var moved: Int32 = 0
    sqlite3_file_control(connection.handle, "main", SQLITE_FCNTL_HAS_MOVED, &moved)
    guard moved == 0 else {
      throw DatabaseError(
        .unstable, path: connection.path,
        message: "cannot read \(connection.path): another file has taken its place since it was opened")
    }
  }
}
