import BackupPolicy
import SQLitePages

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

  /// A backup as a private database for reading; see ``ScratchPoint``.
  package func scratch(
    _ point: StoredPoint, progress: Progress = Progress(), acceptUnauthenticated: Bool = false
  ) throws -> ScratchPoint {
    try requireKey(to: point)
    do {
      return try ScratchPoint(
        point, in: repository(), progress: progress, acceptUnauthenticated: acceptUnauthenticated)
    } catch let error as HoldfastError
      where ![.interrupted, .refused, .unauthenticated, .pointNotFound].contains(error.code)
    {
      throw error.during("read \(point.id)")
    }
  }
}
