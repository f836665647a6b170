import BackupPolicy
import SQLitePages

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
