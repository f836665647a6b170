import BackupPolicy
import Names
import SQLitePages

/// The differences between the rows of a table.
package typealias TableDifference = SQLitePages.TableDifference
/// The differences between two databases.
package typealias DatabaseDifference = SQLitePages.DatabaseDifference
/// One row that differs.
package typealias RowDifference = SQLitePages.RowDifference
/// One object of the schema that differs.
package typealias SchemaChange = SQLitePages.SchemaChange

/// One side of a comparison.
package enum DifferenceSide: Sendable {
  case point(StoredPoint)
  /// The database itself, as it is now.
  case live

  package var words: String {
    switch self {
    case .point(let point): point.id.text
    case .live: "the live database"
    }
  }
}

/// The scope of a comparison.
package struct DifferenceRequest: Sendable {
  /// Only these tables' rows; empty for all tables.
  package var tables: [Identifier] = []
  /// The number of rows to list for each table; all are counted.
  package var limit = 100
  package var acceptUnauthenticated = false
  /// Reads only the pages that differ, if they are known. False compares everything, with the same
  /// result.
  package var readsLittle = true
  package init() {}
}

extension Engine {
  /// The differences between two backups, or between a backup and the live database.
  ///
  /// - Throws: `HoldfastError`: the errors of ``ScratchPoint``; `usage` if neither side has one of
  ///   the tables; `interrupted`.
  package func difference(
    _ left: DifferenceSide, _ right: DifferenceSide, _ request: DifferenceRequest, progress: Progress = Progress()
  ) throws -> DatabaseDifference {
    if request.readsLittle, case .point(let first) = left, case .point(let second) = right,
      let difference = try quickDifference(first, second, request, progress)
    {
      return difference
    }
    let before = try opened(left, request, progress)
    defer { before.close() }
    let after = try opened(right, request, progress)
    defer { after.close() }
    do {
      return try Self.compare(before, after, request, nil, progress)
    } catch let error as DatabaseError {
      switch error.path {
      case before.path: throw unreadable(left, error)
      case after.path: throw unreadable(right, error)
      default: throw HoldfastError(error)
      }
    }
  }

  static func compare(
    _ before: DatabaseConnection, _ after: DatabaseConnection, _ request: DifferenceRequest, _ ranges: RangesByTable?,
    _ progress: Progress
  ) throws -> DatabaseDifference {
    let comparison = DatabaseComparison(before, after, only: request.tables, limit: request.limit) {
      try progress.check()
    }
    let names = try comparison.tableNames()
    if let unknown = request.tables.first(where: { !names.contains($0) }) {
      throw HoldfastError(
        .usage, "neither side has a table \(unknown)",
        hint: "holdfast show --schema ID lists the tables; without --table all are compared")
    }
    return try comparison.run(ranges)
  }

  /// Compares by the pages that differ between two backups of one chain. Returns nil if that is
  /// impossible or fails: reading both completely then shows the problem.
  package func quickDifference(
    _ left: StoredPoint, _ right: StoredPoint, _ request: DifferenceRequest, _ progress: Progress = Progress()
  ) throws -> DatabaseDifference? {
    do {
      guard let points = try LazyPoints(left, right, in: repository(), progress) else { return nil }
      let before = try DatabaseConnection(pages: points.before, name: left.id.text)
      defer { before.close() }
      let after = try DatabaseConnection(pages: points.after, name: right.id.text)
      defer { after.close() }
      let ranges = try RangesByTable.find((before, points.before), (after, points.after), changed: points.changed)
      guard let ranges else { return nil }
      return try Self.compare(before, after, request, ranges, progress)
    } catch let error as HoldfastError where [.interrupted, .usage, .wrongKey, .keyMissing].contains(error.code) {
      throw error
    } catch {
      environment.logger.debug("\(left.id) and \(right.id) are compared completely: \(error)")
      return nil
    }
  }

  private func opened(
    _ side: DifferenceSide, _ request: DifferenceRequest, _ progress: Progress
  ) throws -> DatabaseConnection {
    do {
      switch side {
      case .point(let point):
        return try scratch(point, progress: progress, acceptUnauthenticated: request.acceptUnauthenticated).connection
      case .live: return try LiveCopy(of: requireDatabase(), in: repository(), environment, progress).connection
      }
    } catch let error as HoldfastError {
      throw (error.cause as? DatabaseError).map { unreadable(side, $0) } ?? error
    }
  }

  /// Names the side of a comparison that SQLite cannot read, instead of its copy in scratch space.
  private func unreadable(_ side: DifferenceSide, _ error: DatabaseError) -> HoldfastError {
    let plain = HoldfastError(error)
    guard [.databaseCorrupt, .notADatabase].contains(plain.code) else { return plain }
    let (name, hint): (String, String?) =
      switch side {
      case .point(let point): (point.id.text, "holdfast verify \(point.id) shows the findings of SQLite's checks")
      case .live: (database ?? side.words, restoreAdvice ?? plain.hint)
      }
    return HoldfastError(plain.code, "cannot compare \(name): \(error.reason)", hint: hint, cause: error)
  }

  /// Nil if no backup is usable.
  private var restoreAdvice: String? {
    (try? repository().points(warns: false).newestWhole()).flatMap { $0 }.map {
      "holdfast restore \($0.id) --dry-run shows how to restore it from a backup"
    }
  }
}
