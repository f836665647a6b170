import CSQLite

/// SQLite's exclusive lock on a database that is to be replaced.
///
/// Taking it rolls back a hot journal and reads a left-over WAL, as any first access does. Nobody else can open a
/// transaction until ``release()``.
package final class ExclusiveHold {
  private let connection: DatabaseConnection

  /// - Throws: `.busy` (or `.exclusive`) where anybody has it open (WAL) or is in a transaction (rollback journal).
  package init(path: String, busyTimeout: Int32) throws {
    connection = try DatabaseConnection(path: path, access: .exclusive, busyTimeout: busyTimeout)
    // Not COMMIT: that would give an empty file its first page.
    try connection.execute("BEGIN EXCLUSIVE; ROLLBACK")
    // Locks do not show a program that has lost its own; it would write on into files that are about to be unlinked.
    guard let process = LogHolders(ofLogBeside: connection.resolvedPath).processes.first else { return }
    connection.close()
    throw DatabaseError(
      .busy, path: path, message: "cannot replace \(path): \(process) has its write-ahead log open, without a lock")
  }

  /// Whether nothing was committed since a snapshot was taken there. Asked before ``emptyWAL()``; a checkpoint by somebody
  /// else in between counts as a commit.
  package func isUnchanged(since position: SnapshotPosition) throws -> Bool {
    let target = LockedTarget(connection: connection)
    guard let wal = position.wal else { return try target.isUnchanged(since: position) }
    // The facts come first: the checkpoint that tells the frames may itself write to the file.
    guard position.isSameFile(FileFacts(path: connection.resolvedPath)),
      let row = try connection.rows("PRAGMA wal_checkpoint(PASSIVE)").first, row.count == 3,
      case .integer(let frames) = row[1]
    else { return false }
    return max(0, frames) == Int64(wal.maxFrame)
  }

  /// Folds the WAL into the database and truncates it; afterwards the database file alone holds the content, flushed.
  package func emptyWAL() throws {
    guard let row = try connection.rows("PRAGMA wal_checkpoint(TRUNCATE)").first, row.first == .integer(0) else {
      throw DatabaseError(
        .busy, path: connection.path, message: "cannot empty the write-ahead log of \(connection.path): it is in use")
    }
    connection.emptiedWAL = true
  }

  /// Lets go. Idempotent.
  package func release() { connection.close() }
}
