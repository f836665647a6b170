import BackupEngine
import Names
import SQLitePages
import Synchronization

/// The agent's connection to one database, which stays open from one job of a burst to the next.
///
/// Opening costs as much as a small backup, and the tracker can follow a WAL through a reset only
/// while a connection stays open. But while ours is open, the application cannot leave WAL mode or
/// use the database exclusively, and when it closes, ours is the last. The event loop therefore
/// closes it soon (``IdleTimeout``). An open connection is useful only in WAL mode.
///
/// `@unchecked Sendable`: used by one job at a time, and closed by the loop after the last job.
final class KeptConnection: @unchecked Sendable {
  private let environment: EngineEnvironment
  private var connection: DatabaseConnection?
  private var path = ""
  /// The files that the last connection opened.
  private var files: DatabaseFiles?
  private var isWorthHolding = false
  private let openState = Atomic(false)
  private var schemaProblem: SchemaProblem?
  private var toldProblem: SchemaProblem?

  init(_ environment: EngineEnvironment) {
    self.environment = environment
  }

  deinit { close() }

  /// Whether a connection is open. Any thread may ask.
  var isOpen: Bool { openState.load(ordering: .relaxed) }

  /// How long to wait for a state that does not change, in milliseconds.
  var patience: Int { Int(environment.busyTimeout) }

  /// Returns the connection. Opens a new one if there is no connection, or if the files at the path
  /// were replaced.
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

  /// The problem that SQLite has with the schema, unless it was reported before.
  var schemaNews: SchemaProblem? {
    defer { toldProblem = schemaProblem }
    return schemaProblem == toldProblem ? nil : schemaProblem
  }

  /// Records properties of the snapshot's connection: without a WAL that the application created,
  /// there is no gain in an open connection.
  func record(_ snapshot: DatabaseSnapshot) { record(snapshot.connection, at: snapshot.position) }
  func record(_ connection: DatabaseConnection, at position: SnapshotPosition) {
    schemaProblem = connection.schemaProblem
    isWorthHolding = position.wal != nil && connection.hadWAL && !connection.isImmutable
  }

  /// Runs a job.
  func job<Result>(_ terms: ConnectionTerms, _ body: () throws -> Result) rethrows -> Result {
    begin(terms)
    defer { end(terms) }
    return try body()
  }

  /// A job begins.
  func begin(_ terms: ConnectionTerms) { if terms.closesFirst { close() } }

  /// The job has ended.
  func end(_ terms: ConnectionTerms) { if !terms.mayStayOpen || !isWorthHolding { close() } }

  func close() {
    guard let connection else { return }
    self.connection = nil
    openState.store(false, ordering: .relaxed)
    environment.close(connection)
  }
}
