import CSQLite
import Glibc

/// Brings a connection into a read transaction whose state is known exactly.
struct SnapshotTransaction {
  /// The source of the state's pages.
  enum Pages {
    /// All from the database file: rollback modes, or a WAL that is completely backfilled.
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
  ///   - patience: milliseconds to try again, while commits keep coming in between.
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

  /// One try; nil if a commit, a checkpoint's reset or a change of mode came in between.
  ///
  /// The order in which nBackfill and the header are read is T3 in `contrib/docs/ARCHITECTURE.md`.
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
      // The transaction may hold read lock 0, which does not keep the WAL from being reset: do not
      // read it.
      return SnapshotTransaction(pages: .database, isWAL: true, header: after, backfilled: backfilled)
    }
    guard let frames = index.pageNumbers(to: after.maxFrame) else { return nil }
    return SnapshotTransaction(
      pages: .overlaid(after, frames: frames), isWAL: true, header: after, backfilled: backfilled)
  }

  /// A file that was moved away is still open here, but is no longer the database at that path.
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

/// Detects changes of a database that is read without locks.
///
/// This is for a cleanly closed WAL database that this process may only read: to take part in its
/// locks, the process would have to create a `-wal` that the application's user cannot write.
struct UnlockedWatch {
  private let path: String
  private let given: String
  private let facts: FileFacts

  init(_ location: DatabaseLocation) throws(DatabaseError) {
    path = location.resolved
    given = location.given
    for _ in 0..<Self.attempts {
      let now = FileClock.now()
      // A change that followed the first check within the tick would not show.
      if let facts = FileFacts(path: path), facts.isSettled(at: now) || facts.isOld(at: now) {
        self.facts = facts
        try requireUnchanged()
        return
      }
      usleep(20_000)
    }
    throw Self.failure(given)
  }

  /// - Throws: `.unstable` if the file was written or replaced, or if there is a new WAL beside it.
  func requireUnchanged() throws(DatabaseError) {
    guard FileFacts(path: path) == facts, FileFacts(path: path + "-wal").map({ $0.size == 0 }) ?? true else {
      throw Self.failure(given)
    }
  }

  /// Longer than a coarse tick, at 20 ms each.
  private static let attempts = 200

  private static func failure(_ path: String) -> DatabaseError {
    DatabaseError(
      .unstable, path: path,
      message: "cannot read \(path): it was written while it was read, and it cannot be locked")
  }
}

extension WALFile {
  /// Frames that are checked one by one; the end of a longer transaction is found by a search.
  private static let linearSearchLimit: UInt32 = 16_384

  /// Whether the log holds a commit that the wal-index does not know of. Such a commit is being
  /// flushed: a writer stores the frames, flushes them, and only then publishes them.
  ///
  /// A commit looks the same if its writer was killed in between, or could not flush it, until the
  /// log is overwritten or recovered. Checksums are not verified. The connection must be inside a
  /// transaction or at least have the log open.
  ///
  /// - Parameter index: the header of the wal-index.
  static func hasUnpublishedCommit(_ file: SQLiteFile, beyond index: WALIndexHeader) -> Bool {
    guard let header = WALFileHeader(file) else { return false }
    let log = WALFile(file: file, pageSize: header.pageSize)
    if header.salts == index.salts { return log.hasCommit(from: index.maxFrame &+ 1, salts: header.salts) }
    // With other salts all of the file is unpublished, unless it is the generation before that of
    // the wal-index.
    return header.isPredecessor(of: index) ? false : log.hasCommit(from: 1, salts: header.salts)
  }

  private func hasCommit(from first: UInt32, salts: UInt64) -> Bool {
    // The number comes from memory that others write; no log is that long.
    guard first > 0, first < 1 << 30 else { return false }
    for frame in first...(first + Self.linearSearchLimit) {
      guard let header = header(of: frame), header.salts == salts else { return false }
      if header.commitSize != 0 { return true }
    }
    // Frames are appended, so those of this generation are contiguous; the commit flag is on the
    // transaction's last.
    let last = lastFrame(after: first + Self.linearSearchLimit, salts: salts)
    return header(of: last)?.commitSize ?? 0 != 0
  }

  /// The last frame with those salts; `frame` has them.
  private func lastFrame(after frame: UInt32, salts: UInt64) -> UInt32 {
    var (known, step) = (frame, UInt32(1))
    while header(of: known + step)?.salts == salts, step < 1 << 30 {
      known += step
      step *= 2
    }
    while step > 1 {
      step /= 2
      if header(of: known + step)?.salts == salts { known += step }
    }
    return known
  }
}
