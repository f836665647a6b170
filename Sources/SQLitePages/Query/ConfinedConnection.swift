import CSQLite
import Names
import Synchronization

/// A connection to a private file for statements that a user wrote: they can read that one file,
/// and do nothing else.
///
/// Each of these measures alone would be enough; together they keep a mistake in one of them
/// harmless:
///
/// - the file is opened read-only and immutable,
/// - an authorizer allows only named read operations,
/// - nothing can be attached and extensions are off,
/// - the connection is `DEFENSIVE` and its schema is not trusted,
/// - a statement that SQLite does not call read-only (`sqlite3_stmt_readonly`) is never stepped.
///
/// Used by one thread at a time, except ``interrupt()``.
package final class ConfinedConnection: Sendable {
  // Used by one thread; other threads only use `interruptible`.
  nonisolated(unsafe) let connection: DatabaseConnection
  private nonisolated(unsafe) let authorizer = ReadingAuthorizer()
  private let stopped = StopFlag()
  /// Nil once closed, so that no thread interrupts a handle that is gone.
  private let interruptible: Mutex<Handle>

  private struct Handle: @unchecked Sendable {
    // `sqlite3_interrupt` may be called from any thread while the connection is open, which the
    // mutex ensures.
    var pointer: OpaquePointer?
  }

  /// Bytes of a statement.
  package static let longestStatement: Int32 = 1 << 20

  /// - Parameter connection: `.readOnly`, on a private file; this object owns it from now on.
  package init(_ connection: DatabaseConnection) throws {
    precondition(connection.access == .readOnly, "statements of others need a file that cannot change")
    self.connection = connection
    interruptible = Mutex(Handle(pointer: connection.handle))
    Self.connectVirtualTables(connection)
    let handle = connection.handle
    for option in [SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER] {
      _ = csqlite_db_config(handle, option, 0, nil)
    }
    sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, 0)
    sqlite3_limit(handle, SQLITE_LIMIT_SQL_LENGTH, Self.longestStatement)
    // It outlives the handle: deinit closes that first.
    sqlite3_set_authorizer(
      handle,
      { context, action, first, second, _, _ in
        Unmanaged<ReadingAuthorizer>.fromOpaque(context!).takeUnretainedValue()
          .decide(action, first.map { String(cString: $0) }, second.map { String(cString: $0) })
      }, Unmanaged.passUnretained(authorizer).toOpaque())
    askWhetherToStop()
  }

  deinit { close() }

  /// Makes SQLite check the flag of ``interrupt()`` now and then. The flag outlives the handle.
  func askWhetherToStop() {
    sqlite3_progress_handler(
      connection.handle, 10_000, { Unmanaged<StopFlag>.fromOpaque($0!).takeUnretainedValue().isSet ? 1 : 0 },
      Unmanaged.passUnretained(stopped).toOpaque())
  }

  /// Idempotent.
  package func close() {
    interruptible.withLock { $0.pointer = nil }
    connection.close()
  }

  /// Makes the running statement, and each later one, end with ``StatementError/Reason-swift.enum/interrupted``. Callable from
  /// any thread.
  package func interrupt() {
    // SQLite forgets an interrupt that comes right before a statement begins, but checks the flag
    // repeatedly.
    stopped.set()
    interruptible.withLock { if let handle = $0.pointer { sqlite3_interrupt(handle) } }
  }

  /// Runs one statement.
  ///
  /// - Parameters:
  ///   - columns: gets the names of the result's columns once, before the first row.
  ///   - row: gets each row.
  /// - Throws: ``StatementError``, and the errors of the closures.
  package func run(
    _ sql: String, columns: ([String]) throws -> Void, row: ([DatabaseValue]) throws -> Void
  ) throws {
    let statement = try prepare(sql)
    defer { sqlite3_finalize(statement) }
    let count = sqlite3_column_count(statement)
    try columns((0..<count).map { sqlite3_column_name(statement, $0).map { String(cString: $0) } ?? "" })
    while true {
      switch sqlite3_step(statement) {
      case SQLITE_ROW: try row((0..<count).map { DatabaseConnection.value(statement, $0) })
      case SQLITE_DONE: return
      case let result: throw failure(result, sql)
      }
    }
  }

  func prepare(_ sql: String) throws(StatementError) -> OpaquePointer {
    guard !sql.utf8.contains(0) else { throw StatementError(.failed, "the statement holds a NUL byte") }
    authorizer.forget()
    var statement: OpaquePointer?
    let bytes = sql.utf8CString
    let (result, rest) = bytes.withUnsafeBufferPointer { text in
      var tail: UnsafePointer<CChar>?
      let result = sqlite3_prepare_v2(connection.handle, text.baseAddress, -1, &statement, &tail)
      return (result, tail.map { String(cString: $0) } ?? "")
    }
    do {
      guard result == SQLITE_OK else { throw failure(result, sql) }
      guard let statement else { throw StatementError(.failed, "there is no statement to run") }
      guard try !holdsStatement(rest) else {
        throw StatementError(.refused, "one statement is run at a time, and there are several")
      }
      guard sqlite3_stmt_readonly(statement) != 0 else {
        throw StatementError(.refused, "only reading is allowed, and this statement would write")
      }
      return statement
    } catch {
      sqlite3_finalize(statement)
      throw error as? StatementError ?? StatementError(.failed, "\(error)")
    }
  }

  /// Whether anything except white space and comments follows; only SQLite can decide that.
  private func holdsStatement(_ rest: String) throws -> Bool {
    var statement: OpaquePointer?
    let result = sqlite3_prepare_v2(connection.handle, rest, -1, &statement, nil)
    sqlite3_finalize(statement)
    return result != SQLITE_OK || statement != nil
  }

  func failure(_ result: Int32, _ sql: String) -> StatementError {
    // A refused function gives SQLITE_ERROR, and so does a refused action of a virtual table.
    if let refused = authorizer.refused {
      return StatementError(.refused, "only reading is allowed: \(refused) is not")
    }
    if result == SQLITE_TOOBIG, sql.utf8.count > Int(Self.longestStatement) {
      return StatementError(.failed, "the statement is longer than \(Self.longestStatement) bytes")
    }
    return StatementError(connection, result, in: sql)
  }

  /// When virtual tables are first used, they declare themselves and compile statements that write
  /// (R*Tree does), although those are never run. So each one is connected before the authorizer is
  /// set. If a module is missing, the table reports that when it is used.
  private static func connectVirtualTables(_ connection: DatabaseConnection) {
    let sql: SQLText = "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND coalesce(rootpage, 0) = 0"
    let declared = (try? connection.read(sql) { $0.name(0) })?.map { "main.\($0)" as SQLText } ?? []
    let builtIn = ["json_each", "json_tree"] + ReadingAuthorizer.pragmas.sorted().map { "pragma_\($0)" }
    for table in declared + builtIn.map({ "\(Identifier($0))" }) {
      _ = try? connection.read("SELECT 1 FROM \(table) LIMIT 0") { $0.integer(0) }
    }
  }
}

private final class StopFlag: Sendable {
  private let value = Atomic(false)
  var isSet: Bool { value.load(ordering: .relaxed) }
  func set() { value.store(true, ordering: .relaxed) }
}

extension ConfinedConnection {
  /// Answers are compared with a value that a person wrote into a file; a larger answer is a
  /// mistake.
  package static let largestAnswer = 1 << 16

  /// The answer to a query, as `sqlite3` prints it in its list mode: columns with `|` between them,
  /// a line for each row, an empty text for NULL.
  ///
  /// - Throws: ``StatementError``: `interrupted` if it took longer than `milliseconds`, `failed` if
  ///   the answer is larger than ``largestAnswer``.
  package func answer(_ sql: String, within milliseconds: Int) throws(StatementError) -> String {
    let statement = try prepare(sql)
    defer { sqlite3_finalize(statement) }
    connection.limitTime(milliseconds: milliseconds)
    // The limit's own handler replaced the one that checks the flag.
    defer {
      connection.limitTime(milliseconds: nil)
      askWhetherToStop()
    }
    var lines: [String] = []
    var bytes = 0
    while true {
      let result = sqlite3_step(statement)
      if result == SQLITE_DONE { return lines.joined(separator: "\n") }
      guard result == SQLITE_ROW else { throw failure(result, sql) }
      let line = (0..<sqlite3_column_count(statement)).map { Self.text(statement, $0) }.joined(separator: "|")
      lines.append(line)
      bytes += line.utf8.count + 1
      guard bytes <= Self.largestAnswer else {
        throw StatementError(.failed, "its answer is larger than \(Self.largestAnswer >> 10) KiB")
      }
    }
  }

  /// SQLite's own conversion, so that numbers look as `sqlite3` prints them.
  private static func text(_ statement: OpaquePointer, _ column: Int32) -> String {
    guard let start = sqlite3_column_text(statement, column) else { return "" }
    // Requested after the pointer, as SQLite's documentation requires; the bytes are valid until
    // the next step.
    let count = Int(sqlite3_column_bytes(statement, column))
    return String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
  }
}

/// Lets a statement read and do nothing else (`sqlite3_set_authorizer`): an action that is not on
/// its lists is refused when the statement is compiled.
final class ReadingAuthorizer {
  /// The last refused action, as text.
  private(set) var refused: String?

  func forget() { refused = nil }

  /// Pragmas that only report, whatever their argument is: it names a table or an index, or is a
  /// limit.
  private static let tellingPragmas: Set<String> = [
    "table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo", "foreign_key_list",
    "foreign_key_check", "integrity_check", "quick_check",
  ]

  /// Pragmas that report without an argument and change something with one.
  private static let askedPragmas: Set<String> = [
    "user_version", "application_id", "schema_version", "page_size", "page_count", "freelist_count", "encoding",
    "auto_vacuum", "data_version", "collation_list", "function_list", "module_list", "pragma_list", "compile_options",
  ]

  /// All pragmas that may be used.
  static var pragmas: Set<String> { tellingPragmas.union(askedPragmas) }

  /// Functions that do more than compute, whatever extension or shell provides them.
  private static let actingFunctions: Set<String> = [
    "load_extension", "readfile", "writefile", "edit", "fts3_tokenizer", "fsdir", "eval",
  ]

  /// - Returns: `SQLITE_OK`, or `SQLITE_DENY`, which ends the compilation.
  func decide(_ action: Int32, _ first: String?, _ second: String?) -> Int32 {
    switch action {
    case SQLITE_SELECT, SQLITE_READ, SQLITE_RECURSIVE: return SQLITE_OK
    case SQLITE_FUNCTION:
      guard let name = second?.lowercased(), Self.actingFunctions.contains(name) else { return SQLITE_OK }
      return refuse("the function \(name)()")
    case SQLITE_PRAGMA:
      guard let name = first?.lowercased() else { return refuse("a pragma") }
      if Self.tellingPragmas.contains(name) || second == nil && Self.askedPragmas.contains(name) { return SQLITE_OK }
      return refuse("PRAGMA \(name)" + (second == nil ? "" : " with an argument"))
    default: return refuse(Self.names[action] ?? "anything but reading")
    }
  }

  private func refuse(_ what: String) -> Int32 {
    refused = refused ?? what
    return SQLITE_DENY
  }

  private static let names: [Int32: String] = [
    SQLITE_ATTACH: "ATTACH", SQLITE_DETACH: "DETACH", SQLITE_INSERT: "INSERT", SQLITE_UPDATE: "UPDATE",
    SQLITE_DELETE: "DELETE", SQLITE_TRANSACTION: "a transaction", SQLITE_SAVEPOINT: "SAVEPOINT",
    SQLITE_ANALYZE: "ANALYZE", SQLITE_REINDEX: "REINDEX", SQLITE_ALTER_TABLE: "ALTER TABLE",
    SQLITE_CREATE_TABLE: "CREATE TABLE", SQLITE_CREATE_INDEX: "CREATE INDEX", SQLITE_CREATE_VIEW: "CREATE VIEW",
    SQLITE_CREATE_TRIGGER: "CREATE TRIGGER", SQLITE_CREATE_VTABLE: "CREATE VIRTUAL TABLE",
    SQLITE_CREATE_TEMP_TABLE: "CREATE TEMP TABLE", SQLITE_CREATE_TEMP_INDEX: "CREATE INDEX",
    SQLITE_CREATE_TEMP_VIEW: "CREATE TEMP VIEW", SQLITE_CREATE_TEMP_TRIGGER: "CREATE TEMP TRIGGER",
    SQLITE_DROP_TABLE: "DROP TABLE", SQLITE_DROP_INDEX: "DROP INDEX", SQLITE_DROP_VIEW: "DROP VIEW",
    SQLITE_DROP_TRIGGER: "DROP TRIGGER", SQLITE_DROP_VTABLE: "DROP TABLE",
  ]
}

/// The reason why a user's statement was not run, or not to its end.
package struct StatementError: Error, Sendable {
  package enum Reason: Hashable, Sendable {
    /// It would do more than read.
    case refused
    /// A collation, function or virtual-table module that only the application has.
    case missingExtension
    case interrupted
    /// The database's content cannot be read.
    case corrupt
    /// Everything else: SQLite's own words.
    case failed
  }

  package var reason: Reason
  /// Lower case, no full stop.
  package var message: String

  init(_ reason: Reason, _ message: String) {
    self.reason = reason
    self.message = message
  }
}

extension StatementError {
  /// The error that SQLite just reported about a statement.
  init(_ connection: DatabaseConnection, _ result: Int32, in sql: String) {
    let error = connection.failure(result)
    let words = connection.handle.map { String(cString: sqlite3_errmsg($0)) } ?? error.message
    let reason: Reason =
      switch error.kind {
      case .interrupted: .interrupted
      case .missingExtension: .missingExtension
      case .corrupt, .notADatabase: .corrupt
      default: .failed
      }
    self.init(reason, words + Self.place(sqlite3_error_offset(connection.handle), in: sql))
  }

  /// The place in the statement: `, at character 8: "nme FROM users"`.
  private static func place(_ offset: Int32, in sql: String) -> String {
    let bytes = Array(sql.utf8)
    guard offset >= 0, Int(offset) < bytes.count else { return "" }
    let before = String(decoding: bytes[..<Int(offset)], as: UTF8.self).count
    let rest = String(decoding: bytes[Int(offset)...], as: UTF8.self)
    return ", at character \(before + 1): \"\(rest.prefix(30))\(rest.count > 30 ? "…" : "")\""
  }
}
