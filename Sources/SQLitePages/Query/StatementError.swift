import CSQLite

/// Why a statement that somebody wrote was not run, or not to its end.
package struct StatementError: Error, Sendable {
  package enum Reason: Hashable, Sendable {
    /// It would do more than read.
    case refused
    /// A collation, function or virtual-table module that only the application has.
    case missingExtension
    case interrupted
    /// What the database holds cannot be read.
    case corrupt
    /// Everything else: SQLite's own words.
    case failed
  }

  package var reason: Reason
  /// Lower case, no full stop.
  package var message: String

  init(_ reason: Reason, _ message: String) {
    self.reason = reason
    self.message = message
  }
}

extension StatementError {
  /// What SQLite just said of a statement.
  init(_ connection: DatabaseConnection, _ result: Int32, in sql: String) {
    let error = connection.failure(result)
    let words = connection.handle.map { String(cString: sqlite3_errmsg($0)) } ?? error.message
    let reason: Reason =
      switch error.kind {
      case .interrupted: .interrupted
      case .missingExtension: .missingExtension
      case .corrupt, .notADatabase: .corrupt
      default: .failed
      }
    self.init(reason, words + Self.place(sqlite3_error_offset(connection.handle), in: sql))
  }

  /// Where in the statement: `, at character 8: "nme FROM users"`.
  private static func place(_ offset: Int32, in sql: String) -> String {
    let bytes = Array(sql.utf8)
    guard offset >= 0, Int(offset) < bytes.count else { return "" }
    let before = String(decoding: bytes[..<Int(offset)], as: UTF8.self).count
    let rest = String(decoding: bytes[Int(offset)...], as: UTF8.self)
    return ", at character \(before + 1): \"\(rest.prefix(30))\(rest.count > 30 ? "…" : "")\""
  }
}
