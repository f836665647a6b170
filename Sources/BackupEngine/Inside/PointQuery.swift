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
