import CSQLite

/// Puts a checked image's content into a database that applications may have open.
package enum LiveInstall {
  /// The result of a page-for-page comparison after the commit.
  package enum Outcome: Hashable, Sendable {
    case proven
    /// Another connection committed in the meantime, so the comparison proves nothing.
    case changedSince
    /// No other connection committed, and yet this page differs from the image's.
    case differs(page: UInt32)
  }

  /// Copies `image` into the database at `path` in one flushed transaction: applications keep their
  /// connections, and see the new content with their next transaction. Then compares the two.
  ///
  /// - Parameters:
  ///   - image: a private file with the target's page size, text encoding and journal-version
  ///     bytes.
  ///   - busyTimeout: milliseconds to wait for transactions of others.
  ///   - whenLocked: called once no other connection can commit and before a page is written; an
  ///     error that it throws ends the install.
  ///   - progress: gets pages copied and total pages; an error that it throws ends the install,
  ///     until the last page is committed.
  /// - Throws: ``DatabaseError``; `.busy` if a transaction of another connection outlasted the
  ///   wait. The database is then unchanged.
  package static func run(
    image: String, into path: String, busyTimeout: Int32, whenLocked: (LockedTarget) throws -> Void = { _ in },
    progress: (Int, Int) throws -> Void = { _, _ in }
  ) throws -> Outcome {
    let source = try DatabaseConnection(path: image, access: .readOnly, busyTimeout: busyTimeout)
    let target = try DatabaseConnection(path: path, access: .writer, busyTimeout: busyTimeout)
    try requireMatch(source, target)
    // `data_version` changes if another connection commits, never by this connection's own commits.
    let before = try target.integer("PRAGMA data_version")
    var copy = try PageCopy(from: source, into: target)
    try copy.run(
      patience: Int(busyTimeout),
      whenLocked: { try whenLocked(LockedTarget(connection: target, scratchPath: image + ".scratch-live")) },
      progress: progress)
    // The content is installed, so the install has not failed if the comparison cannot be made.
    return (try? compare(source, target, dataVersion: before)) ?? .changedSince
  }

  private static func compare(
    _ image: DatabaseConnection, _ live: DatabaseConnection, dataVersion: Int64?
  ) throws -> Outcome {
    let left = try DatabaseSnapshot(image, scratchPath: image.path + ".scratch-image")
    defer { left.end() }
    let right = try DatabaseSnapshot(live, scratchPath: image.path + ".scratch-live")
    defer { right.end() }
    let difference = try ImageComparison(left, right).firstDifference()
    guard let difference else { return .proven }
    return try live.integer("PRAGMA data_version") == dataVersion ? .differs(page: difference) : .changedSince
  }

  /// Bytes 18 and 19 of page 1 that an image needs to be installed at `path`: others would switch
  /// the running applications' journal mode.
  package static func journalVersionBytes(of path: String, busyTimeout: Int32 = 5000) throws -> (UInt8, UInt8) {
    let connection = try DatabaseConnection(path: path, access: .observer, busyTimeout: busyTimeout)
    return try journalVersionBytes(connection)
  }

  private static func journalVersionBytes(_ connection: DatabaseConnection) throws -> (UInt8, UInt8) {
    try connection.journalMode() == "wal" ? (2, 2) : (1, 1)
  }

  /// SQLite would accept some mismatches, and the applications that have the file open would then fail or misread.
  private static func requireMatch(_ source: DatabaseConnection, _ target: DatabaseConnection) throws {
    for pragma in ["page_size", "encoding"] {
      let (wanted, found) = (try target.text("PRAGMA \(pragma)"), try source.text("PRAGMA \(pragma)"))
      guard wanted == found else {
        throw mismatch(target, "its \(pragma) is \(wanted ?? "unknown"), the image's \(found ?? "unknown")")
      }
    }
    let (wanted, found) = (try journalVersionBytes(target), try journalVersionBytes(source))
    guard wanted == found else {
      throw mismatch(target, "its journal-version bytes are \(wanted), the image's \(found)")
    }
  }

  private static func mismatch(_ target: DatabaseConnection, _ reason: String) -> DatabaseError {
    DatabaseError(.other, path: target.path, message: "cannot restore into the open database \(target.path): \(reason)")
  }
}

/// A database whose write lock this process holds: no other process can commit.
package struct LockedTarget {
  let connection: DatabaseConnection

  /// Whether readers can still open it: in WAL mode they can; beside a writer's lock of a rollback
  /// journal they cannot.
  package let allowsReaders: Bool

  private let scratchPath: String?

  /// - Parameter scratchPath: see ``DatabaseSnapshot``; nil if no state of a write-ahead log will
  ///   be compared.
  init(connection: DatabaseConnection, scratchPath: String? = nil) {
    self.connection = connection
    self.scratchPath = scratchPath
    allowsReaders = SQLiteFile.database(of: connection.handle)?.hasWALFormat ?? false
  }

  /// Whether nothing was committed since a snapshot was made at that position. A checkpoint in
  /// between may count as a commit.
  package func isUnchanged(since position: SnapshotPosition) throws -> Bool {
    guard DatabaseFiles(resolvedPath: connection.resolvedPath).database == position.database else { return false }
    guard let wal = position.wal else { return changeCounter == position.changeCounter && !allowsReaders }
    guard allowsReaders, let scratchPath else { return false }
    let observer = try DatabaseConnection(path: connection.path, access: .observer, busyTimeout: connection.busyTimeout)
    defer { observer.close() }
    let snapshot = try DatabaseSnapshot(observer, scratchPath: scratchPath)
    defer { snapshot.end() }
    guard let now = snapshot.position.wal else { return false }
    // An empty WAL proves nothing: a session that opened, committed and closed leaves the WAL as it
    // was, but not the file.
    if wal.maxFrame == 0, !position.isSameFile(snapshot.position.facts) { return false }
    return now.salts == wal.salts && now.maxFrame == wal.maxFrame && now.frameChecksum == wal.frameChecksum
  }

  /// Bytes 24 to 27 of page 1, which every commit outside WAL mode changes; nil if they cannot be
  /// read.
  private var changeCounter: UInt32? {
    guard let file = SQLiteFile.database(of: connection.handle) else { return nil }
    var bytes = [UInt8](repeating: 0, count: 4)
    let result = bytes.withUnsafeMutableBytes { file.read(into: $0, at: 24) }
    // An empty file reads as zeros, which match the position of its snapshot.
    guard result == 0 || result == SQLiteFile.shortRead else { return nil }
    return bytes.reduce(0) { $0 << 8 | UInt32($1) }
  }
}

/// The write lock, held while the caller reads content that must not change meanwhile. Nothing is
/// written.
package final class WriteReservation {
  private let connection: DatabaseConnection

  /// - Throws: `.busy` if another connection writes for longer than the wait.
  package init(path: String, busyTimeout: Int32) throws {
    connection = try DatabaseConnection(path: path, access: .writer, busyTimeout: busyTimeout)
    try connection.execute("BEGIN IMMEDIATE")
  }

  /// Releases the lock. Idempotent.
  package func release() { connection.close() }
}

/// SQLite's exclusive lock on a database that will be replaced.
///
/// Obtaining it rolls back a hot journal and reads a left-over WAL, as any first access does. No
/// other connection can open a transaction until ``release()``.
package final class ExclusiveAccess {
  private let connection: DatabaseConnection

  /// - Throws: `.busy` (or `.exclusive`) if another connection has it open (WAL) or is in a
  ///   transaction (rollback journal).
  package init(path: String, busyTimeout: Int32) throws {
    connection = try DatabaseConnection(path: path, access: .exclusive, busyTimeout: busyTimeout)
    // Not COMMIT: that would give an empty file its first page.
    try connection.execute("BEGIN EXCLUSIVE; ROLLBACK")
    // Locks do not show a program that has lost its own; it would continue to write into files that
    // are about to be unlinked.
    let users = LogUsers(ofLogBeside: connection.resolvedPath)
    guard !users.processes.isEmpty || users.hidden == .some else { return }
    let user = users.processes.first?.description ?? "a process that cannot be seen"
    connection.close()
    throw DatabaseError(
      .busy, path: path, message: "cannot replace \(path): \(user) has its write-ahead log open, without a lock")
  }

  /// Whether nothing was committed since a snapshot was made at that position. To be called before
  /// ``emptyWAL()``; another connection's checkpoint in between counts as a commit.
  package func isUnchanged(since position: SnapshotPosition) throws -> Bool {
    let target = LockedTarget(connection: connection)
    guard let wal = position.wal else { return try target.isUnchanged(since: position) }
    // The facts come first, because the checkpoint that counts the frames may itself write to the
    // file.
    guard position.isSameFile(FileFacts(path: connection.resolvedPath)),
      let row = try connection.rows("PRAGMA wal_checkpoint(PASSIVE)").first, row.count == 3,
      case .integer(let frames) = row[1]
    else { return false }
    return max(0, frames) == Int64(wal.maxFrame)
  }

  /// Copies the WAL into the database and truncates it; afterwards the database file alone holds
  /// the content, flushed.
  package func emptyWAL() throws {
    guard let row = try connection.rows("PRAGMA wal_checkpoint(TRUNCATE)").first, row.first == .integer(0) else {
      throw DatabaseError(
        .busy, path: connection.path, message: "cannot empty the write-ahead log of \(connection.path): it is in use")
    }
    connection.emptiedWAL = true
  }

  /// Releases the lock. Idempotent.
  package func release() { connection.close() }
}
