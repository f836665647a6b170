import Names
import SQLitePages

/// How many rows a restored table has, as far as that can be counted here.
enum RowCount {
  case rows(Int64)
  /// What the table needs, which only the application has, or why SQLite cannot read it.
  case skipped(String)

  /// - Throws: ``DatabaseError`` if the table is there and damaged.
  init(of table: Identifier, on connection: DatabaseConnection) throws(DatabaseError) {
    let count: SQLText = "SELECT count(*) FROM main.\(table)"
    // SQLite counts by the smallest index; the table itself may need nothing.
    let withoutIndex: SQLText = "SELECT count(*) FROM main.\(table) NOT INDEXED"
    do {
      self = .rows(try connection.integer(count) ?? 0)
    } catch {
      guard let reason = Self.obstacle(error, connection) else { throw error }
      self = (try? connection.integer(withoutIndex)).flatMap { $0 }.map { .rows($0) } ?? .skipped(reason)
    }
  }

  private static func obstacle(_ error: DatabaseError, _ connection: DatabaseConnection) -> String? {
    switch error.kind {
    case .missingExtension: "needs \(error.missing)"
    case .other where connection.schemaProblem != nil, .corrupt where connection.schemaProblem != nil: error.reason
    default: nil
    }
  }
}
