import BackupPolicy
import SQLitePages

/// What is recorded of a database's content beside its pages.
struct DatabaseContent: Sendable {
  var schemaVersion: String?
  /// Nil where counting ran out of time.
  var tableCounts: [String: Int64]?

  /// Reads through a connection that holds the state to be described.
  static func read(_ connection: DatabaseConnection, budget milliseconds: Int) -> DatabaseContent {
    DatabaseContent(
      schemaVersion: connection.schemaVersion(), tableCounts: connection.tableCounts(within: milliseconds))
  }
}
