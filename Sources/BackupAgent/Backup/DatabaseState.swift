import BackupEngine
import BackupPolicy
import Glibc
import Names
import SQLitePages

/// The result of a probe of the database's path.
enum DatabaseProbe: Sendable {
  case missing
  /// A file without a page: nothing was ever stored in it, so there is nothing to back up.
  case empty
  case state(DatabaseState)

  var isMissing: Bool {
    if case .missing = self { true } else { false }
  }
}

/// A state of a database, in a form that can be compared and stored.
///
/// Two equal fingerprints mean equal content if only SQLite writes: a commit in WAL mode changes
/// the last frame or its cumulative checksum, a commit in a rollback mode changes the change
/// counter, and a checkpoint changes the file's times. The reverse is not true: a checkpoint, for
/// example, changes the fingerprint but not the content.
struct DatabaseState: Hashable, Sendable {
  /// Nil if another write could leave the same times: the file was written within the last tick of
  /// the kernel's clock, its file system has only coarse time stamps, or the clock was set back.
  var fingerprint: String?
  /// The state will have a fingerprint within a tick.
  private(set) var isYoung = false
  var content: ContentFacts
  /// Whether a comparison found the same pages in the last backup.
  var matchesPoint = false
  /// The database's path, with links resolved.
  let path: String
  private(set) var position: SnapshotPosition
  private let file: SQLitePages.FileFacts
  private let log: SQLitePages.FileFacts?

  /// Whether a commit is written but not yet published, so that the state is about to change.
  var hasUnpublishedCommit: Bool { position.hasUnpublishedCommit }

  /// Compares the state with a backup while the snapshot is held; returns nil if it cannot decide.
  typealias Comparison = (DatabaseState, DatabaseSnapshot) throws -> Bool?

  /// Reads the state through a read transaction, and waits a moment if the database was written
  /// just now.
  ///
  /// - Parameters:
  ///   - scratchPath: see `DatabaseSnapshot`.
  ///   - kept: the connection to read through.
  ///   - comparison: sets ``matchesPoint``.
  /// - Throws: `HoldfastError` if the database exists but cannot be read.
  static func read(
    _ path: String, scratchPath: @autoclosure () throws -> String, _ kept: KeptConnection,
    comparison: Comparison = { _, _ in nil }
  ) throws -> DatabaseProbe {
    do {
      for _ in 0..<3 {
        let probe = try examine(path, scratchPath, kept, isLast: false, comparison)
        guard case .state(let state) = probe, state.isYoung else { return probe }
        usleep(useconds_t(FileClock.tick / 1000))
      }
      return try examine(path, scratchPath, kept, isLast: true, comparison)
    } catch let error as DatabaseError {
      if error.kind == .missing { return .missing }
      throw HoldfastError(error)
    }
  }

  private static func examine(
    _ path: String, _ scratchPath: () throws -> String, _ kept: KeptConnection, isLast: Bool, _ comparison: Comparison
  ) throws -> DatabaseProbe {
    do {
      let snapshot = try DatabaseSnapshot(
        kept.opened(path), scratchPath: try scratchPath(), patience: kept.patience)
      defer { snapshot.end() }
      kept.record(snapshot)
      if snapshot.geometry.pageCount == 0 { return .empty }
      var state = try DatabaseState(snapshot)
      if !state.isYoung || isLast { state.matchesPoint = try comparison(state, snapshot) ?? false }
      return .state(state)
    } catch {
      // The connection's state is unknown.
      kept.close()
      throw error
    }
  }

  /// Reads the state that a snapshot sees, while the snapshot is held.
  ///
  /// - Throws: `DatabaseError`; `missing` if the file was moved away.
  init(_ snapshot: DatabaseSnapshot) throws {
    // Inside the transaction: in rollback modes no other connection can write, and in WAL mode only
    // a checkpoint can.
    let path = snapshot.connection.resolvedPath
    guard let file = SQLitePages.FileFacts(path: path) else {
      throw DatabaseError(.missing, path: path, message: "the database \(path) no longer exists")
    }
    let log = snapshot.position.wal == nil ? SQLitePages.FileFacts(path: path + "-wal") : nil
    self.init(path, snapshot.position, file, log, try ContentFacts(snapshot, file), now: SystemClock.now())
  }

  /// - Parameters:
  ///   - path: the path, with links resolved.
  ///   - position: the snapshot's position.
  ///   - file: the database file, `stat`ed while the snapshot was held.
  ///   - log: the `-wal` file, if the position does not describe it.
  ///   - now: the wall time, read after `file`.
  init(
    _ path: String, _ position: SnapshotPosition, _ file: SQLitePages.FileFacts, _ log: SQLitePages.FileFacts?,
    _ content: ContentFacts,
    now: Timestamp
  ) {
    self.path = path
    self.position = position
    self.content = content
    (self.file, self.log) = (file, log)
    let time = now.milliseconds.multipliedClamped(by: 1_000_000)
    let stamped = [file] + (log.map { $0.size > 0 ? [$0] : [] } ?? [])
    isYoung = stamped.contains { $0.isYoung(at: time) }
    guard stamped.allSatisfy({ $0.isSettled(at: time) }) else { return }
    var words = [
      "file \(file.identity.inode) \(file.size) \(file.modified) \(file.changed)", "counter \(position.changeCounter)",
    ]
    // If the log has no frame, all content is in the file, whatever the log's generation.
    if let wal = position.wal, wal.maxFrame > 0 {
      words.append("wal \(wal.salts) \(wal.maxFrame) \(wal.frameChecksum.map { String($0) }.joined(separator: "+"))")
    } else if let log, log.size > 0 {
      words.append("log \(log.identity.inode) \(log.size) \(log.modified) \(log.changed)")
    }
    fingerprint = words.joined(separator: ", ")
  }

  /// Whether everything that can be seen without reading pages is equal to an earlier state.
  ///
  /// This proves nothing if the time stamps are coarse. It is sufficient for a probe if no event
  /// was received since the earlier state.
  func looksLike(_ earlier: DatabaseState) -> Bool {
    path.isExactly(earlier.path) && (file, log) == (earlier.file, earlier.log)
      && position.database == earlier.position.database
      && position.wal == earlier.position.wal && position.changeCounter == earlier.position.changeCounter
  }

  /// Whether a commit was certainly made between an earlier state and this one: there are more
  /// frames in the same generation of the WAL, or the change counter differs. False proves nothing.
  func isCommitAfter(_ earlier: DatabaseState) -> Bool {
    guard position.database == earlier.position.database else { return false }
    switch (earlier.position.wal, position.wal) {
    case (let before?, let now?): return before.salts == now.salts && now.maxFrame > before.maxFrame
    case (nil, nil): return position.changeCounter != earlier.position.changeCounter
    default: return false
    }
  }
}

extension ContentFacts {
  fileprivate init(_ snapshot: DatabaseSnapshot, _ file: SQLitePages.FileFacts) throws {
    let geometry = snapshot.geometry
    let used = Int64(geometry.pageCount) - Int64(geometry.freePages)
    self.init(
      file: "\(file.identity.device):\(file.identity.inode)", usedBytes: used * Int64(geometry.pageSize),
      tables: Int64(try snapshot.connection.tableNames().count))
  }
}

extension HoldfastError {
  /// - Parameter folder: the folder of the database's backups.
  static func missing(_ database: String, _ folder: String) -> HoldfastError {
    HoldfastError(
      .databaseMissing, "there is no database \(database)",
      hint:
        "check the path; if the file was lost, holdfast restore latest --database \(database) --backup-dir \(folder) restores it"
    )
  }

  /// - Parameter folder: the folder of the database's backups.
  static func empty(_ database: String, _ folder: String) -> HoldfastError {
    HoldfastError(
      .refused, "the database \(database) is empty, so no backup is stored",
      hint:
        "if it was not empty before, holdfast restore latest --database \(database) --backup-dir \(folder) restores it"
    )
  }
}
