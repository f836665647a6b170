import BackupEngine
import Names
import SQLitePages
import Synchronization

/// The agent's connection to one database, which stays open from one job of a burst to the next.
///
/// Opening costs as much as a small backup, and only while a connection stays open can the tracker follow a WAL through a
/// reset. But beside an open one the application cannot leave WAL mode or take the database for itself, and when it closes,
/// ours is the last; so the event loop has it closed soon (``IdleTimeout``). Only WAL mode is worth it.
///
/// `@unchecked Sendable`: used by one job at a time, and closed by the loop when no job runs any more.
final class HeldConnection: @unchecked Sendable {
  private let environment: EngineEnvironment
  private var connection: DatabaseConnection?
  private var path = ""
  /// Those that the last connection found.
  private var files: DatabaseFiles?
  private var isWorthHolding = false
  private let openState = Atomic(false)
  private var schemaProblem: SchemaProblem?
  private var toldProblem: SchemaProblem?

  init(_ environment: EngineEnvironment) {
    self.environment = environment
  }

  deinit { close() }

  /// Whether there is something to close; any thread may ask.
  var isOpen: Bool { openState.load(ordering: .relaxed) }

  /// Milliseconds to wait for a state that holds still.
  var patience: Int { Int(environment.busyTimeout) }

  /// The connection, opened where there is none, or where other files have come to the path.
  ///
  /// - Throws: `DatabaseError`.
  func opened(_ path: String) throws -> DatabaseConnection {
    if let connection, self.path.isExactly(path), connection.filesAreUnchanged { return connection }
    close()
    let opened = try DatabaseConnection(
      path: path, access: .observer, busyTimeout: environment.busyTimeout, known: files)
    files = opened.filesAtOpen
    (connection, self.path, isWorthHolding) = (opened, path, false)
    schemaProblem = opened.schemaProblem
    openState.store(true, ordering: .relaxed)
    return opened
  }

  /// Runs `body` on the connection. After a failure it is closed: nobody knows what state it is in.
  func with<Result>(_ path: String, _ body: (DatabaseConnection) throws -> Result) throws -> Result {
    do {
      return try body(opened(path))
    } catch {
      close()
      throw error
    }
  }

  /// What SQLite cannot read of the schema, unless it was told before.
  var schemaNews: SchemaProblem? {
    defer { toldProblem = schemaProblem }
    return schemaProblem == toldProblem ? nil : schemaProblem
  }

  /// Takes notice of a snapshot of the connection: without a WAL of the application's there is nothing to be gained.
  func note(_ snapshot: DatabaseSnapshot) {
    let connection = snapshot.connection
    schemaProblem = connection.schemaProblem
    isWorthHolding = snapshot.position.wal != nil && connection.hadWAL && !connection.isImmutable
  }

  /// Runs a job.
  func job<Result>(_ terms: ConnectionTerms, _ body: () throws -> Result) rethrows -> Result {
    if terms.closesFirst { close() }
    defer { if !terms.mayStayOpen || !isWorthHolding { close() } }
    return try body()
  }

  func close() {
    guard let connection else { return }
    self.connection = nil
    openState.store(false, ordering: .relaxed)
    environment.close(connection)
  }
}
