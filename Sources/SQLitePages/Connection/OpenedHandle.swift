import CSQLite
import Glibc

/// A freshly opened SQLite handle, and the facts that had to be known before it was opened.
struct OpenedHandle {
  let handle: OpaquePointer
  let isImmutable: Bool
  let hadWAL: Bool
  let watch: UnlockedWatch?

  init(_ location: DatabaseLocation, access: DatabaseConnection.Access, busyTimeout: Int32) throws(DatabaseError) {
    hadWAL = location.hasWAL
    switch access {
    case .writer, .exclusive:
      handle = try Self.open(location, SQLITE_OPEN_READWRITE, busyTimeout: busyTimeout)
      (isImmutable, watch) = (false, nil)
    case .scratch:
      handle = try Self.open(location, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, busyTimeout: busyTimeout)
      (isImmutable, watch) = (false, nil)
    case .readOnly:
      (isImmutable, watch) = (!hadWAL && !location.hasJournal, nil)
      let parameters = isImmutable ? ["immutable=1"] : []
      handle = try Self.open(location, SQLITE_OPEN_READONLY, parameters, busyTimeout: busyTimeout)
    case .observer where location.isWritable && (hadWAL || location.isFolderWritable):
      handle = try Self.open(location, SQLITE_OPEN_READWRITE, busyTimeout: busyTimeout)
      (isImmutable, watch) = (false, nil)
    case .observer:
      (handle, watch) = try Self.openWithoutWriting(location, hadWAL: hadWAL, busyTimeout: busyTimeout)
      isImmutable = watch != nil
    }
  }

  /// Opens a live database beside which this process must not, or cannot, create files.
  ///
  /// SQLite would create the `-wal` of a cleanly closed WAL database even for a reader, as a file
  /// of ours that the application's user cannot write. So such a database is read without locks
  /// (`immutable`) and watched for changes. Every other one is opened read-only, with the wal-index
  /// mapped read-only as well.
  private static func openWithoutWriting(
    _ location: DatabaseLocation, hadWAL: Bool, busyTimeout: Int32
  ) throws(DatabaseError) -> (OpaquePointer, UnlockedWatch?) {
    if !hadWAL, !location.hasJournal {
      let handle = try open(location, SQLITE_OPEN_READONLY, ["immutable=1"], busyTimeout: busyTimeout)
      do {
        if SQLiteFile.database(of: handle)?.hasWALFormat == true { return (handle, try UnlockedWatch(location)) }
      } catch {
        sqlite3_close_v2(handle)
        throw error
      }
      sqlite3_close_v2(handle)
    }
    if hadWAL, FileFacts(path: location.resolved + "-shm") == nil {
      throw DatabaseError(
        .permission, path: location.given,
        message: "cannot open \(location.given): its write-ahead log has no index (\(location.resolved)-shm), and user "
          + "\(geteuid()) may not make one")
    }
    return (try open(location, SQLITE_OPEN_READONLY, ["readonly_shm=1"], busyTimeout: busyTimeout), nil)
  }

  private static func open(
    _ location: DatabaseLocation, _ mode: Int32, _ parameters: [String] = [], busyTimeout: Int32
  ) throws(DatabaseError) -> OpaquePointer {
    let flags = mode | SQLITE_OPEN_URI | SQLITE_OPEN_FULLMUTEX | SQLITE_OPEN_EXRESCODE
    var handle: OpaquePointer?
    let result = sqlite3_open_v2(location.uri(parameters: parameters), &handle, flags, nil)
    guard result == SQLITE_OK, let handle else {
      let words = String(cString: sqlite3_errstr(result))
      let code = sqlite3_system_errno(handle)
      sqlite3_close_v2(handle)
      throw DatabaseError(resultCode: result, words: words, systemErrno: code, doing: "open", path: location.given)
    }
    sqlite3_busy_timeout(handle, busyTimeout)
    return handle
  }
}

/// Statements that every snapshot runs. A connection compiles each of them once, because that costs
/// more than running it.
///
/// Pragmas that SQLite evaluates when it compiles them (`page_size`, `encoding`) must not be among
/// them: they would give the same answer for ever.
package enum CachedStatement: String, Sendable {
  case begin = "BEGIN"
  case commit = "COMMIT"
  /// Reads the schema, which begins the read transaction.
  case firstRead = "SELECT count(*) FROM (SELECT 1 FROM sqlite_schema LIMIT 1)"
  case journalMode = "PRAGMA journal_mode"
  case pageCount = "PRAGMA page_count"
  case freePages = "PRAGMA main.freelist_count"
  case userVersion = "PRAGMA user_version"
  /// Name and root page of every table, in the schema's order; virtual tables have no root page.
  case tables = "SELECT name, coalesce(rootpage, 0) FROM main.sqlite_schema WHERE type = 'table'"
}

extension DatabaseConnection {
  /// The first column of the first row; nil if there is no row or the value is not an integer.
  package func integer(_ statement: CachedStatement) throws(DatabaseError) -> Int64? {
    if case .integer(let value)? = try rows(statement, limit: 1).first?.first { value } else { nil }
  }

  /// The first column of the first row as text; nil if there is no row or the value is of another
  /// type.
  package func text(_ statement: CachedStatement) throws(DatabaseError) -> String? {
    switch try rows(statement, limit: 1).first?.first {
    case .text(let value): value
    case .integer(let value): String(value)
    default: nil
    }
  }

  /// All rows, in memory.
  @discardableResult
  package func rows(
    _ statement: CachedStatement, limit: Int = .max
  ) throws(DatabaseError) -> [[DatabaseValue]] {
    let compiled = try compiled(statement)
    // If it were not reset, it would keep the transaction open.
    defer { sqlite3_reset(compiled) }
    return try rows(of: compiled, limit: limit)
  }

  func compiled(_ statement: CachedStatement) throws(DatabaseError) -> OpaquePointer? {
    if let known = cachedStatements[statement] { return known }
    var compiled: OpaquePointer?
    let result = sqlite3_prepare_v3(
      handle, statement.rawValue, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &compiled, nil)
    guard result == SQLITE_OK else { throw failure(result) }
    cachedStatements[statement] = compiled
    return compiled
  }

  func finalizeStatements() {
    for compiled in cachedStatements.values { sqlite3_finalize(compiled) }
    cachedStatements = [:]
  }
}

extension DatabaseConnection {
  /// The version of the SQLite library in use, such as `3.40.1`.
  package static var libraryVersion: String { String(cString: sqlite3_libversion()) }
}
