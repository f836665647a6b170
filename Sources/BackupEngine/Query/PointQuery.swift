import BackupPolicy
import SQLitePages

/// A value in a database, as SQLite stores it.
package typealias DatabaseValue = SQLitePages.DatabaseValue

/// SQL on a backup, in scratch space: see ``ScratchPoint`` and ``ConfinedConnection``.
package final class PointQuery {
  private let point: PointID
  private let connection: ConfinedConnection
  private let progress: Progress

  /// - Parameter progress: stopping it interrupts a running statement.
  package init(_ scratch: ScratchPoint, progress: Progress) throws {
    self.progress = progress
    point = scratch.point.id
    connection = try ConfinedConnection(scratch.connection)
    progress.onStop { [connection] in connection.interrupt() }
  }

  /// Runs one statement that reads.
  ///
  /// - Parameters:
  ///   - columns: receives the names of the result's columns once, before the first row.
  ///   - row: receives each row when it is found; no rows are kept.
  /// - Throws: `HoldfastError`: `refused` if the statement would do more than read, `interrupted`,
  ///   `databaseCorrupt`, `failed` with SQLite's message; and the errors of the closures.
  package func run(
    _ sql: String, columns: ([String]) throws -> Void, row: ([DatabaseValue]) throws -> Void
  ) throws {
    do {
      try progress.check()
      try connection.run(sql, columns: columns, row: row)
      try progress.check()
    } catch let error as StatementError {
      throw HoldfastError(error, on: point)
    }
  }
}

extension HoldfastError {
  init(_ error: StatementError, on point: PointID) {
    let (code, hint): (Code, String?) =
      switch error.reason {
      case .refused:
        (.refused, "query accepts one SELECT; holdfast restore \(point) --to PATH creates a copy that you can change")
      case .missingExtension:
        (
          .failed,
          "the application's SQLite extensions are not available here; run holdfast restore \(point) --to PATH, and query the copy in the application"
        )
      case .interrupted: (.interrupted, nil)
      case .corrupt: (.databaseCorrupt, "run holdfast verify \(point) for details")
      case .failed: (.failed, nil)
      }
    self.init(code, code == .interrupted ? "interrupted" : error.message, hint: hint, cause: error)
  }
}

/// A table, index, view or trigger as a schema stores it.
package typealias SchemaObject = SQLitePages.SchemaObject

/// The current content of the live database as a private file, which can be read without hurry: the
/// application waits only during the copy, and its log can be reset afterwards.
struct LiveCopy {
  let connection: DatabaseConnection

  init(of database: String, in repository: Repository, _ environment: EngineEnvironment, _ progress: Progress) throws {
    let files = environment.files
    let scratch = try repository.scratch()
    let live = try onDatabase {
      try DatabaseConnection(path: database, access: .observer, busyTimeout: environment.busyTimeout)
    }
    defer { environment.close(live) }
    let snapshot = try onDatabase {
      try DatabaseSnapshot(
        live, scratchPath: scratch.path(.copy), patience: Int(environment.busyTimeout))
    }
    defer { snapshot.end() }
    let source = SnapshotSource(snapshot: snapshot)
    try files.requireRoom(for: source.imageSize, toRead: database, in: scratch.folder)
    connection = try scratch.withFile(.copy) { file in
      try source.copy(to: file, files, progress, as: .reading)
      return try onDatabase { try DatabaseConnection(unlinking: file.path, files) }
    }
  }
}
