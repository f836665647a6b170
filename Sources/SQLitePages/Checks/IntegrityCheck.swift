import CSQLite

/// SQLite's own checks, run on a private file.
package enum IntegrityCheck {
  package enum Kind: String, Hashable, Sendable, CaseIterable {
    case full = "integrity_check"
    case quick = "quick_check"
    case foreignKeys = "foreign_key_check"
  }

  package enum Outcome: Hashable, Sendable {
    case passed
    /// The first ten of SQLite's messages.
    case failed([String])
    /// The check cannot run here: it needs a collation, function or module that only the application has.
    case skipped(needs: String)
  }

  private static let messageLimit = 10

  /// Opens the private file at `path` and checks it; one that does not open as a database has failed.
  package static func run(_ kind: Kind, path: String) throws -> Outcome {
    try outcome { try messages(kind, DatabaseConnection(path: path, access: .readOnly)) }
  }

  /// - Throws: ``DatabaseError`` for what says nothing of the content: I/O, locks, an interrupt.
  package static func run(_ kind: Kind, on connection: DatabaseConnection) throws -> Outcome {
    try outcome { try messages(kind, connection) }
  }

  private static func outcome(_ body: () throws -> [String]) throws -> Outcome {
    do {
      let messages = try body()
      return messages.isEmpty ? .passed : .failed(messages)
    } catch let error as DatabaseError {
      switch error.kind {
      case .missingExtension: return .skipped(needs: need(error))
      case .corrupt, .notADatabase: return .failed([error.message])
      case .other where error.resultCode & 0xff == SQLITE_ERROR: return .failed([error.message])
      default: throw error
      }
    }
  }

  private static func messages(_ kind: Kind, _ connection: DatabaseConnection) throws -> [String] {
    // Cells are checked as pages are read: a corrupt page is then reported instead of misread.
    try connection.execute("PRAGMA cell_size_check = ON")
    return kind == .foreignKeys ? try foreignKeys(connection) : try integrity(kind, connection)
  }

  private static func integrity(_ kind: Kind, _ connection: DatabaseConnection) throws -> [String] {
    try connection.rows("PRAGMA \(kind.rawValue)(\(messageLimit))").compactMap { row in
      guard case .text(let message)? = row.first, message != "ok" else { return nil }
      return message
    }
  }

  private static func foreignKeys(_ connection: DatabaseConnection) throws -> [String] {
    try connection.rows("PRAGMA foreign_key_check", limit: messageLimit).map { row in
      guard row.count >= 3, case .text(let table) = row[0], case .text(let parent) = row[2] else {
        return "a row refers to one that does not exist"
      }
      guard case .integer(let id) = row[1] else { return "a row of \(table) refers to a missing row of \(parent)" }
      return "row \(id) of \(table) refers to a missing row of \(parent)"
    }
  }

  /// SQLite's words without the path in front.
  private static func need(_ error: DatabaseError) -> String {
    let marker = "needs what only the application has: "
    guard let range = error.message.firstRange(of: marker) else { return error.message }
    return String(error.message[range.upperBound...])
  }
}
