import CSQLite
import Glibc

/// One consistent state of a live database, kept by a read transaction.
///
/// `@unchecked Sendable`: ``geometry``, ``position`` and ``connection`` never change, and
/// ``read(first:count:into:)`` and ``end()`` take the connection's own mutex (`sqlite3_db_mutex`;
/// connections are opened serialised), which SQLite takes for statements on ``connection`` as well.
package final class DatabaseSnapshot: @unchecked Sendable {
  /// Steps of the beginning at which tests let another connection write.
  package enum Step: Sendable { case headerRead, begun, backfillRead }

  package let geometry: DatabaseGeometry
  /// The position of this state in the database's history.
  package let position: SnapshotPosition
  /// True if this snapshot blocks writers (a rollback journal's SHARED lock): copy the raw pages
  /// first and ``end()`` before the slow work.
  package let blocksWriters: Bool
  /// For queries of the same state. Its transaction ends with the snapshot.
  package let connection: DatabaseConnection

  // Used under the mutex.
  private var reader: PageReader
  private let scratch: ScratchCopy?
  private var ended = false

  /// Begins a read transaction on `connection` and determines the state that it sees.
  ///
  /// - Parameters:
  ///   - scratchPath: the beginning of the path of a file to which SQLite copies the database if
  ///     its pages cannot be read directly (no shared memory); evaluated and created only then.
  ///     ``end()`` removes it.
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
  /// The lock page is returned as zeros, and so are pages past the end of the database file.
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

/// The parts of a snapshot, gathered inside its transaction.
struct SnapshotState {
  let geometry: DatabaseGeometry
  let position: SnapshotPosition
  let reader: PageReader
  let scratch: ScratchCopy?

  init(_ connection: DatabaseConnection, _ transaction: SnapshotTransaction, scratchPath: () throws -> String) throws {
    let pageSize = Int(try connection.integer("PRAGMA page_size") ?? 0)
    let pageCount = UInt32(truncatingIfNeeded: try connection.integer(.pageCount) ?? 0)
    if case .throughSQLite = transaction.pages {
      scratch = try ScratchCopy(of: connection, at: scratchPath())
    } else {
      scratch = nil
    }
    reader = try Self.reader(connection, transaction, scratch, pageSize: pageSize, pageCount: pageCount)
    let header = try Self.header(reader, pageCount: pageCount)
    geometry = DatabaseGeometry(
      pageSize: pageSize, pageCount: pageCount, reservedBytes: Int(header[20]), freePages: header.word(36),
      textEncoding: Self.encodings[header.word(56)] ?? "UTF-8",
      journalMode: transaction.isWAL && header[18] == 2 ? "wal" : try connection.text(.journalMode) ?? "delete",
      userVersion: Int32(bitPattern: header.word(60)))
    let facts = FileFacts(path: connection.resolvedPath)
    position = SnapshotPosition(
      database: facts?.identity,
      wal: transaction.header.map { SnapshotPosition.WAL($0, backfilled: transaction.backfilled) },
      changeCounter: header.word(24), facts: facts,
      stampBefore: transaction.stampBefore, hasUnpublishedCommit: Self.hasUnpublishedCommit(connection, transaction))
  }

  private static func hasUnpublishedCommit(_ connection: DatabaseConnection, _ transaction: SnapshotTransaction) -> Bool
  {
    guard let index = transaction.header, let log = SQLiteFile.journal(of: connection.handle) else { return false }
    return WALFile.hasUnpublishedCommit(log, beyond: index)
  }

  private static func reader(
    _ connection: DatabaseConnection, _ transaction: SnapshotTransaction, _ scratch: ScratchCopy?, pageSize: Int,
    pageCount: UInt32
  ) throws -> PageReader {
    guard let file = SQLiteFile.database(of: scratch?.connection.handle ?? connection.handle) else {
      throw DatabaseError(
        .other, path: connection.path, message: "cannot read \(connection.path): SQLite has no file open")
    }
    guard case .overlaid(let header, let frames) = transaction.pages else {
      return PageReader(
        path: connection.path, pageSize: pageSize, database: file, wal: nil, map: .empty, salts: 0)
    }
    guard let wal = SQLiteFile.journal(of: connection.handle) else {
      throw DatabaseError(
        .unstable, path: connection.path, message: "cannot read \(connection.path): its write-ahead log is not open")
    }
    return PageReader(
      path: connection.path, pageSize: pageSize, database: file, wal: wal,
      map: WALPageMap(pages: frames, pageCount: pageCount), salts: header.salts)
  }

  /// Page 1, which begins with the database header (<https://www.sqlite.org/fileformat.html#the_database_header>); zeros in
  /// an empty database.
  private static func header(_ reader: PageReader, pageCount: UInt32) throws -> [UInt8] {
    var page = [UInt8](repeating: 0, count: reader.pageSize)
    guard pageCount > 0 else { return page }
    try page.withUnsafeMutableBytes { try reader.readHeader(into: $0) }
    return page
  }

  /// As `PRAGMA encoding` spells them, by their number in the header; an empty database has no
  /// encoding yet.
  private static let encodings: [UInt32: String] = [1: "UTF-8", 2: "UTF-16le", 3: "UTF-16be"]
}

extension [UInt8] {
  /// The big-endian number at an offset of the database header.
  fileprivate func word(_ offset: Int) -> UInt32 {
    self[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) }
  }
}

extension SnapshotPosition.WAL {
  init(_ header: WALIndexHeader, backfilled: UInt32) {
    self.init(
      salts: header.salts, maxFrame: header.maxFrame, backfilled: backfilled, changeCount: header.changeCount,
      frameChecksum: header.frameChecksum)
  }
}

/// A copy of a database's state by SQLite's own backup call, for use if its pages cannot be read
/// directly.
///
/// Its file is new (`O_EXCL`), readable by this user alone, and locked while it is in use, so that
/// a sweep of the folder can distinguish it from a leftover.
final class ScratchCopy {
  let connection: DatabaseConnection
  private let file: ScratchFile

  /// - Parameters:
  ///   - source: inside a read transaction, whose state is copied.
  ///   - prefix: the beginning of the file's path.
  init(of source: DatabaseConnection, at prefix: String) throws {
    let file = try ScratchFile(prefix)
    self.file = file
    do {
      connection = try DatabaseConnection(path: file.path, access: .scratch)
    } catch {
      file.remove()
      throw error
    }
    // From here on a throw runs deinit, which removes the file. Without a journal there is never
    // another file beside it.
    try connection.execute("PRAGMA journal_mode = OFF")
    var copy = try PageCopy(from: source, into: connection)
    try copy.run(patience: Int(source.busyTimeout), progress: { _, _ in })
  }

  deinit { remove() }

  /// Idempotent.
  func remove() {
    connection.close()
    file.remove()
  }
}

/// A new, empty file under a unique name.
private final class ScratchFile {
  let path: String
  private var descriptor: Int32

  init(_ prefix: String) throws(DatabaseError) {
    while true {
      let path = "\(prefix)-\(getpid())-\(String(UInt64.random(in: 0 ... .max), radix: 16))"
      let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
      guard descriptor >= 0 else {
        if errno == EINTR { continue }
        throw DatabaseError(
          .other, path: path, message: "cannot create \(path): \(String(cString: strerror(errno)))")
      }
      // Between the two calls a sweep may have removed it as a leftover. A file system without
      // locks has no sweeps either.
      let isSwept = flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK
      if !isSwept, access(path, F_OK) == 0 {
        (self.path, self.descriptor) = (path, descriptor)
        return
      }
      unlink(path)
      close(descriptor)
    }
  }

  /// Idempotent. To be called once SQLite has closed the file: closing a descriptor of it drops SQLite's own locks.
  func remove() {
    guard descriptor >= 0 else { return }
    unlink(path)
    close(descriptor)
    descriptor = -1
  }
}
