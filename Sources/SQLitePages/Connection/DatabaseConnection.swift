import CSQLite
import Glibc
import Names
import Synchronization

/// A connection to a SQLite database; used by one thread at a time.
package final class DatabaseConnection {
  /// The purpose of the connection, which determines how it opens and closes the file.
  package enum Access: Hashable, Sendable {
    /// An application's live database: never created, never written by a statement of ours. Opened
    /// for writing if the process may, because SQLite needs that for the wal-index and to roll back
    /// a hot journal; else read-only.
    case observer
    /// A database to restore into: written with every commit flushed.
    case writer
    /// A private file of ours, created if it is missing.
    case scratch
    /// A private file of ours that must not change by a bit.
    case readOnly
    /// A database that is about to be replaced: `locking_mode=EXCLUSIVE` from the first access on.
    case exclusive
  }

  /// As the caller wrote it.
  package let path: String
  /// The file itself, links resolved as SQLite does: `-wal`, `-shm` and `-journal` are beside it.
  package let resolvedPath: String
  package let access: Access
  /// SQLite takes no locks and creates no side files, because the file cannot change or because
  /// ``DatabaseSnapshot`` watches for changes.
  package let isImmutable: Bool
  /// Milliseconds that a statement waits for a lock at most.
  package let busyTimeout: Int32
  /// Unique among all connections of this process.
  package let serial: UInt64

  private static let opened = Atomic<UInt64>(0)

  /// Nil once closed.
  private(set) var handle: OpaquePointer?
  /// Whether the last transaction ran in WAL mode.
  var isWAL = false
  /// Set if ``isImmutable`` applies to a live database: the state of its file before the first
  /// read.
  let watch: UnlockedWatch?
  /// An ``ExclusiveAccess`` truncated the WAL to nothing.
  var emptiedWAL = false
  /// The rule by which this connection was closed; nil while it is open, and for files of our own.
  package private(set) var closing: ClosingRule?
  /// There was a `-wal` before this connection was opened.
  package let hadWAL: Bool
  /// The `-wal` that was there right after opening exists because of this connection.
  private(set) var createdWAL = false
  /// The files that were there right after opening.
  package private(set) var filesAtOpen: DatabaseFiles
  private(set) var opening: OpeningFacts?
  private var deadline: Deadline?
  /// The reason why this SQLite cannot read the schema, if it cannot: see ``readSchema()``.
  package internal(set) var schemaProblem: SchemaProblem?
  /// Compiled so far; finalized before the handle is closed.
  var cachedStatements: [CachedStatement: OpaquePointer] = [:]

  /// Opens the database and reads its schema once, so that any problem with it appears here.
  ///
  /// - Parameters:
  ///   - milliseconds: how long statements wait for locks of others.
  ///   - known: the files of an earlier connection; if log and index are the same, their holders
  ///     are not checked again.
  /// - Throws: ``DatabaseError``.
  package init(
    path: String, access: Access, busyTimeout milliseconds: Int32 = 5000, known: DatabaseFiles? = nil
  ) throws {
    let location = try DatabaseLocation(path, mayBeCreated: access == .scratch)
    let before = FileFacts(path: location.resolved)
    let logBefore = FileFacts(path: location.resolved + "-wal")
    let indexBefore = FileFacts(path: location.resolved + "-shm")?.identity
    let opened = try OpenedHandle(location, access: access, busyTimeout: milliseconds)
    self.path = path
    self.access = access
    busyTimeout = milliseconds
    serial = Self.opened.wrappingAdd(1, ordering: .relaxed).newValue
    handle = opened.handle
    isImmutable = opened.isImmutable
    watch = opened.watch
    hadWAL = opened.hadWAL
    resolvedPath = sqlite3_db_filename(opened.handle, "main").map { String(path: $0) } ?? location.resolved
    filesAtOpen = DatabaseFiles(database: nil, wal: nil, sharedMemory: nil)
    // From here on a throw runs deinit, which closes the handle.
    defer { recordFiles(logBefore) }
    if access != .scratch, access != .readOnly {
      let isKnown =
        logBefore != nil && logBefore?.identity == known?.wal && indexBefore != nil
        && indexBefore == known?.sharedMemory
      try LogCheck.require(
        location, hadWAL: hadWAL, isKnown: isKnown, database: SQLiteFile.database(of: opened.handle))
    }
    try configure()
    try readSchema()
    isWAL = try text(.journalMode) == "wal"
    opening = openingFacts(before: before)
    recordFiles(logBefore)
    if access == .observer, !hadWAL || createdWAL { SideFiles.shareWithOwner(of: resolvedPath) }
  }

  /// Opens a private database whose pages are not in a file of its own: read-only, with nothing of
  /// it on disk.
  ///
  /// - Parameter name: for messages.
  /// - Throws: ``DatabaseError``.
  package init(pages: any DatabasePages, name: String) throws {
    (path, resolvedPath, access, isImmutable) = (name, name, .readOnly, true)
    (busyTimeout, watch, hadWAL) = (0, nil, false)
    serial = Self.opened.wrappingAdd(1, ordering: .relaxed).newValue
    filesAtOpen = DatabaseFiles(database: nil, wal: nil, sharedMemory: nil)
    handle = try PageVFS.open(pages, path: name)
    // From here on a throw runs deinit, which closes the handle.
    try configure()
    try execute("PRAGMA temp_store = MEMORY")
    try readSchema()
  }

  /// Records the files that were opened.
  ///
  /// - Parameter logBefore: the `-wal` before, if there was one. If the present one is empty and is
  ///   another, an application removed its own, as its last close does, while this connection was
  ///   being opened.
  private func recordFiles(_ logBefore: FileFacts?) {
    filesAtOpen = DatabaseFiles(resolvedPath: resolvedPath)
    let log = FileFacts(path: resolvedPath + "-wal")
    let isAnother = log?.size == 0 && log != logBefore
    createdWAL = filesAtOpen.wal != nil && (!hadWAL || isAnother)
  }

  deinit { close() }

  /// Whether database, `-wal` and `-shm` are still the files that this connection opened. If not,
  /// close it.
  package var filesAreUnchanged: Bool { DatabaseFiles(resolvedPath: resolvedPath) == filesAtOpen }

  /// Closes the connection, by ``ClosingRule`` if the database is not ours; ``closing`` then holds
  /// the decision. Idempotent.
  package func close() {
    guard let handle else { return }
    switch access {
    case .observer, .exclusive: closing = prepareClosing()
    case .writer: keepLogInUse()
    case .scratch, .readOnly: break
    }
    deadline?.cancel()
    deadline = nil
    finalizeStatements()
    self.handle = nil
    sqlite3_close_v2(handle)
  }

  /// Makes every statement that is still running `milliseconds` from now throw `.interrupted`, and
  /// also every long statement that starts later; nil lifts the limit.
  package func limitTime(milliseconds: Int?) {
    deadline?.cancel()
    deadline = nil
    guard let handle else { return }
    guard let milliseconds else { return sqlite3_progress_handler(handle, 0, nil, nil) }
    let deadline = Deadline(milliseconds: milliseconds, handle)
    self.deadline = deadline
    // The connection owns the deadline for as long as the handler is set, so an unretained pointer is safe.
    let context = Unmanaged.passUnretained(deadline).toOpaque()
    sqlite3_progress_handler(
      handle, 1000, { Unmanaged<Deadline>.fromOpaque($0!).takeUnretainedValue().isOver ? 1 : 0 }, context)
  }

  private func configure() throws {
    guard access != .scratch, access != .writer else {
      // EXTRA also flushes the folder after a rollback journal is removed; in WAL mode it means FULL.
      return try pastSchema { () throws(DatabaseError) in
        try execute("PRAGMA synchronous = \(access == .writer ? "EXTRA" : "OFF")")
      }
    }
    _ = csqlite_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nil)
    _ = csqlite_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nil)
    _ = csqlite_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nil)
    try execute("PRAGMA mmap_size = 0")
    guard access == .exclusive else { return }
    try pastSchema { () throws(DatabaseError) in
      try execute("PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = EXTRA")
    }
  }
}

/// A value of a result column.
package enum DatabaseValue: Hashable, Sendable {
  case null
  case integer(Int64)
  case real(Double)
  case text(String)
  case blob([UInt8])

  /// Texts are equal if their bytes are, as in SQLite's BINARY. `String` treats two spellings of
  /// one character as equal.
  package static func == (left: DatabaseValue, right: DatabaseValue) -> Bool {
    switch (left, right) {
    case (.null, .null): true
    case (.integer(let one), .integer(let other)): one == other
    case (.real(let one), .real(let other)): one == other
    case (.text(let one), .text(let other)): one.utf8.elementsEqual(other.utf8)
    case (.blob(let one), .blob(let other)): one == other
    default: false
    }
  }

  package func hash(into hasher: inout Hasher) {
    switch self {
    case .null: break
    case .integer(let value): hasher.combine(value)
    case .real(let value): hasher.combine(value)
    case .text(let text): for byte in text.utf8 { hasher.combine(byte) }
    case .blob(let bytes): hasher.combine(bytes)
    }
  }
}

extension DatabaseConnection {
  /// Runs statements whose results are not needed.
  package func execute(_ sql: String) throws(DatabaseError) {
    let result = sqlite3_exec(handle, sql, nil, nil, nil)
    guard result == SQLITE_OK else { throw failure(result) }
  }

  /// The journal mode as `PRAGMA journal_mode` spells it. A connection without locks is in no such
  /// mode itself, so the mode comes from the database's header.
  package func journalMode() throws(DatabaseError) -> String {
    guard isImmutable else { return try text(.journalMode) ?? "" }
    return SQLiteFile.database(of: handle)?.hasWALFormat == true ? "wal" : "delete"
  }

  /// The first column of the first row; nil if there is no row or the value is NULL.
  package func integer(_ sql: String) throws(DatabaseError) -> Int64? {
    switch try rows(sql, limit: 1).first?.first {
    case .integer(let value): value
    case .real(let value): Int64(exactly: value.rounded())
    case .text(let value): Int64(value)
    default: nil
    }
  }

  /// The first column of the first row as text; nil if there is no row, or the value is NULL or a
  /// blob.
  package func text(_ sql: String) throws(DatabaseError) -> String? {
    switch try rows(sql, limit: 1).first?.first {
    case .text(let value): value
    case .integer(let value): String(value)
    case .real(let value): String(value)
    default: nil
    }
  }

  /// Rows of one statement, all in memory: for small results.
  ///
  /// - Parameters:
  ///   - bind: texts for the statement's parameters, in order.
  ///   - limit: maximum number of rows; the statement is not run further.
  package func rows(_ sql: String, bind: [String] = [], limit: Int = .max) throws(DatabaseError) -> [[DatabaseValue]] {
    var statement: OpaquePointer?
    let prepared = sqlite3_prepare_v2(handle, sql, -1, &statement, nil)
    guard prepared == SQLITE_OK else { throw failure(prepared) }
    defer { sqlite3_finalize(statement) }
    for (index, text) in bind.enumerated() {
      let bound = csqlite_bind_text(statement, Int32(index + 1), text)
      guard bound == SQLITE_OK else { throw failure(bound) }
    }
    return try rows(of: statement, limit: limit)
  }

  /// The remaining rows of a prepared statement.
  func rows(of statement: OpaquePointer?, limit: Int) throws(DatabaseError) -> [[DatabaseValue]] {
    var rows: [[DatabaseValue]] = []
    while rows.count < limit {
      let result = sqlite3_step(statement)
      if result == SQLITE_DONE { break }
      guard result == SQLITE_ROW else { throw failure(result) }
      rows.append((0..<sqlite3_column_count(statement)).map { Self.value(statement, $0) })
    }
    return rows
  }

  /// The error behind a result code that a call on this connection just returned.
  func failure(_ result: Int32, doing verb: String = "read") -> DatabaseError {
    guard let handle else {
      return DatabaseError(.other, path: path, message: "cannot \(verb) \(path): the connection is closed")
    }
    let words = String(cString: sqlite3_errmsg(handle))
    var error = DatabaseError(
      resultCode: result, words: words, systemErrno: sqlite3_system_errno(handle), doing: verb, path: path)
    // In WAL mode readers and writers do not block each other; only exclusive locking keeps a reader out.
    if result == SQLITE_BUSY, access == .observer, FileFacts(path: resolvedPath + "-wal") != nil {
      error.kind = .exclusive
      error.message = "cannot \(verb) \(path): an application holds it in locking_mode=EXCLUSIVE (\(words))"
    }
    return error
  }

  static func value(_ statement: OpaquePointer?, _ column: Int32) -> DatabaseValue {
    switch sqlite3_column_type(statement, column) {
    case SQLITE_INTEGER: .integer(sqlite3_column_int64(statement, column))
    case SQLITE_FLOAT: .real(sqlite3_column_double(statement, column))
    case SQLITE_TEXT:
      .text(String(decoding: bytes(sqlite3_column_text(statement, column), statement, column), as: UTF8.self))
    case SQLITE_BLOB: .blob(Array(bytes(sqlite3_column_blob(statement, column), statement, column)))
    default: .null
    }
  }

  /// The bytes, valid until the next step; the count is requested after the pointer, as SQLite's
  /// documentation requires.
  private static func bytes(
    _ start: UnsafeRawPointer?, _ statement: OpaquePointer?, _ column: Int32
  ) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : Int(sqlite3_column_bytes(statement, column)))
  }
}

extension DatabaseConnection {
  /// Milliseconds between two checks whether to stop.
  private static let pause = 50

  /// Runs `body`, whose statements throw `.interrupted` soon after `isStopped` has become true.
  ///
  /// SQLite's integrity check is one instruction of its virtual machine, and only checks for
  /// `sqlite3_interrupt`. So a thread checks whether to stop, some times a second, while the
  /// statements run. If no thread can be created, they run to their end.
  ///
  /// - Parameter isStopped: called from another thread.
  package func interrupted<Result>(
    when isStopped: @escaping @Sendable () -> Bool, _ body: () throws -> Result
  ) throws -> Result {
    guard let handle else { return try body() }
    let thread = WaitingThread {
      // Repeatedly, because an interrupt between two statements is lost.
      if isStopped() { sqlite3_interrupt(handle) }
      return timespec.now() + Self.pause
    }
    defer { thread.cancel() }
    return try body()
  }
}
