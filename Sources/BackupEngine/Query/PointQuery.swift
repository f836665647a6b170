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

extension Engine {
  /// The objects of a backup's schema, except SQLite's own tables, in its order.
  ///
  /// - Throws: `HoldfastError`: the errors of ``ScratchPoint``.
  package func schema(
    of point: StoredPoint, progress: Progress = Progress(), acceptUnauthenticated: Bool = false
  ) throws -> [SchemaObject] {
    if let quick = try? quickSchema(of: point, progress) { return quick }
    let scratch = try scratch(point, progress: progress, acceptUnauthenticated: acceptUnauthenticated)
    defer { scratch.close() }
    return try onDatabase { try scratch.connection.schema() }.filter { !$0.isInternal }
  }

  /// Reads only the few pages that hold the schema; returns nil if the backup cannot be read in
  /// parts. If this fails, reading the whole backup reports the problem.
  private func quickSchema(of point: StoredPoint, _ progress: Progress) throws -> [SchemaObject]? {
    guard let pages = try LazyPoints(point, point, in: repository(), progress)?.after else { return nil }
    let connection = try DatabaseConnection(pages: pages, name: point.id.text)
    defer { connection.close() }
    return try connection.schema().filter { !$0.isInternal }
  }

  /// Prepares copying some tables of a backup into another database; see ``TableRestore``.
  package func tableRestore(
    _ request: TableRestoreRequest, of point: StoredPoint, progress: Progress = Progress(),
    acceptUnauthenticated: Bool = false
  ) throws -> TableRestore {
    let scratch = try scratch(point, progress: progress, acceptUnauthenticated: acceptUnauthenticated)
    return try TableRestore(request, scratch, database: database, environment, progress: progress)
  }
}

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
