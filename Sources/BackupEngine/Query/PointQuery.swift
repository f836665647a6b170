import BackupPolicy
import SQLitePages

/// A value in a database, as SQLite stores it.
package typealias DatabaseValue = SQLitePages.DatabaseValue

/// SQL on a point, in scratch space: see ``ScratchPoint`` and ``ConfinedConnection``.
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
  ///   - columns: gets the names of the result's columns once, before the first row.
  ///   - row: gets each row as it is found; nothing is kept.
  /// - Throws: `HoldfastError`: `refused` for a statement that would do more than read, `interrupted`, `databaseCorrupt`,
  ///   `failed` with SQLite's words; and what the closures throw.
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
      case .refused: (.refused, "query takes one SELECT; holdfast restore \(point) --to PATH makes a copy to work on")
      case .missingExtension:
        (.failed, "what the application adds to SQLite is not here; holdfast restore \(point) --to PATH, and ask there")
      case .interrupted: (.interrupted, nil)
      case .corrupt: (.databaseCorrupt, "holdfast verify \(point) tells more")
      case .failed: (.failed, nil)
      }
    self.init(code, code == .interrupted ? "interrupted" : error.message, hint: hint, cause: error)
  }
}

/// A table, index, view or trigger as a schema keeps it.
package typealias SchemaObject = SQLitePages.SchemaObject

extension BackupService {
  /// What a point's schema holds, but for SQLite's own tables, in its order.
  ///
  /// - Throws: `HoldfastError`: what ``ScratchPoint`` throws.
  package func schema(
    of point: StoredPoint, progress: Progress = Progress(), acceptUnauthenticated: Bool = false
  ) throws -> [SchemaObject] {
    if let quick = try? quickSchema(of: point, progress) { return quick }
    let scratch = try scratch(point, progress: progress, acceptUnauthenticated: acceptUnauthenticated)
    defer { scratch.close() }
    return try onDatabase { try scratch.connection.schema() }.filter { !$0.isInternal }
  }

  /// From the few pages that hold it; nil where the point cannot be read in parts. Whatever fails here, reading all of it tells.
  private func quickSchema(of point: StoredPoint, _ progress: Progress) throws -> [SchemaObject]? {
    guard let pages = try LazyPoints(point, point, in: repository(), progress)?.after else { return nil }
    let connection = try DatabaseConnection(pages: pages, name: point.id.text)
    defer { connection.close() }
    return try connection.schema().filter { !$0.isInternal }
  }

  /// Prepares copying some tables of a point into another database; see ``TableRestore``.
  package func tableRestore(
    _ request: TableRestoreRequest, of point: StoredPoint, progress: Progress = Progress(),
    acceptUnauthenticated: Bool = false
  ) throws -> TableRestore {
    let scratch = try scratch(point, progress: progress, acceptUnauthenticated: acceptUnauthenticated)
    return try TableRestore(request, scratch, database: database, environment, progress: progress)
  }
}

/// What the live database holds now, as a private file that is read at leisure: the application waits no longer than the copy
/// takes, and its log is not kept from being reset.
struct LiveCopy {
  let connection: DatabaseConnection

  init(of database: String, in repository: Repository, _ environment: EngineEnvironment, _ progress: Progress) throws {
    let files = environment.files
    let folder = try repository.scratchFolder()
    let live = try onDatabase {
      try DatabaseConnection(path: database, access: .observer, busyTimeout: environment.busyTimeout)
    }
    defer { environment.close(live) }
    let snapshot = try onDatabase {
      try DatabaseSnapshot(
        live, scratchPath: "\(folder)/.tmp-copy", patience: Int(environment.busyTimeout))
    }
    defer { snapshot.end() }
    let source = SnapshotSource(snapshot: snapshot)
    try files.requireRoom(for: source.imageSize, toRead: database, in: folder)
    connection = try Leftovers.withFile("\(folder)/.tmp-copy", files, .createPrivate) { file in
      try source.copy(to: file, files, progress, as: .reading)
      return try onDatabase { try DatabaseConnection(unlinking: file.path, files) }
    }
  }
}
