import CSQLite
import Glibc

/// One consistent state of a live database, held by a read transaction.
///
/// `@unchecked Sendable`: ``geometry``, ``position`` and ``connection`` never change, and ``read(first:count:into:)`` and
/// ``end()`` take the connection's own mutex (`sqlite3_db_mutex`; connections are opened serialised), which SQLite takes
/// for statements on ``connection`` as well.
package final class DatabaseSnapshot: @unchecked Sendable {
  /// Moments of the beginning at which tests let somebody else write.
  package enum Step: Sendable { case headerRead, begun, backfillRead }

  package let geometry: DatabaseGeometry
  /// Where this state stands in the database's history.
  package let position: SnapshotPosition
  /// True where holding the snapshot keeps writers out (a rollback journal's SHARED lock): copy the raw pages first and
  /// ``end()`` before the slow work.
  package let blocksWriters: Bool
  /// For queries of the same state. Its transaction ends with the snapshot.
  package let connection: DatabaseConnection

  // Used under the mutex.
  private var reader: PageReader
  private let scratch: ScratchCopy?
  private var ended = false

  /// Begins a read transaction on `connection` and finds out which state it sees.
  ///
  /// - Parameters:
  ///   - scratchPath: what the path of a file begins with that SQLite copies the database to if its pages cannot be read
  ///     directly (no shared memory); asked for and created only then. ``end()`` removes it.
  ///   - milliseconds: how long to try again while commits come in between.
  ///   - hook: for tests, called at each step of the beginning.
  /// - Throws: ``DatabaseError``; the connection is then outside of any transaction.
  package init(
    _ connection: DatabaseConnection, scratchPath: @autoclosure () throws -> String, patience milliseconds: Int = 5000,
    hook: ((Step) -> Void)? = nil
  ) throws {
    try connection.watch?.requireUnchanged()
    let transaction = try SnapshotTransaction.begin(connection, patience: milliseconds, hook: hook)
    do {
      let state = try SnapshotState(connection, transaction, scratchPath: scratchPath)
      (geometry, position, reader, scratch) = (state.geometry, state.position, state.reader, state.scratch)
    } catch {
      try? connection.execute("ROLLBACK")
      throw error
    }
    self.connection = connection
    blocksWriters = !transaction.isWAL && !connection.isImmutable
  }

  deinit { end() }

  /// Reads pages as they are in this state.
  ///
  /// The lock page comes back as zeros, and so does what the database file is too short for.
  ///
  /// - Parameters:
  ///   - first: 1-based.
  ///   - count: pages; `first + count - 1` must not exceed the page count.
  ///   - buffer: gets `count * pageSize` bytes.
  package func read(first: UInt32, count: Int, into buffer: UnsafeMutableRawBufferPointer) throws {
    guard count > 0 else { return }
    guard first >= 1, first <= geometry.pageCount, count <= Int(geometry.pageCount - first) + 1,
      buffer.count >= count * geometry.pageSize
    else {
      throw DatabaseError(
        .other, path: connection.path,
        message: "cannot read \(connection.path): pages \(first)… (\(count)) are outside of the database or the buffer")
    }
    try withMutex {
      // Some errors of statements end a transaction by themselves, and the caller may have closed the connection.
      guard !ended, let handle = connection.handle, sqlite3_get_autocommit(handle) == 0 else {
        throw DatabaseError(
          .other, path: connection.path, message: "cannot read \(connection.path): the snapshot has ended")
      }
      try reader.read(first: first, count: count, lockPage: geometry.lockPage, into: buffer)
      try connection.watch?.requireUnchanged()
    }
  }

  /// Ends the transaction and removes the scratch file. Idempotent.
  package func end() {
    withMutex {
      guard !ended else { return }
      ended = true
      _ = try? connection.rows(.commit)
      scratch?.remove()
    }
  }

  private func withMutex<Result>(_ body: () throws -> Result) rethrows -> Result {
    // NULL once the connection is closed; SQLite accepts that.
    let mutex = connection.handle.flatMap { sqlite3_db_mutex($0) }
    sqlite3_mutex_enter(mutex)
    defer { sqlite3_mutex_leave(mutex) }
    return try body()
  }
}
