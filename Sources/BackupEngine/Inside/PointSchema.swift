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
    let scratch = try scratch(point, progress: progress, acceptUnauthenticated: acceptUnauthenticated)
    defer { scratch.close() }
    return try onDatabase { try scratch.connection.schema() }.filter { !$0.isInternal }
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
