import BackupPolicy
import Names
import SQLitePages

/// The facts that are recorded of a database's content beside its pages.
struct DatabaseContent: Sendable {
  var schemaVersion: String?
  /// Root pages of the tables whose rows are counted as the pages pass by; nil if they cannot be read.
  var tableRoots: [Identifier: UInt32]?
  /// Names of all tables, SQLite's own included; nil if they cannot be read.
  var tables: [Identifier]?
  /// Pages on the freelist.
  var freePages: UInt32?

  /// Reads through a connection that holds the state to be described.
  static func read(_ connection: DatabaseConnection) -> DatabaseContent {
    var content = shape(connection)
    content.schemaVersion = try? connection.schemaVersion()
    content.tableRoots = try? connection.tableRoots()
    return content
  }

  /// Reads the same, except for the facts that only a full records.
  static func shape(_ connection: DatabaseConnection) -> DatabaseContent {
    var content = DatabaseContent()
    content.tables = try? connection.tableNames()
    content.freePages = (try? connection.integer(.freePages)).flatMap { $0 }.flatMap { UInt32(exactly: $0) }
    return content
  }
}

extension [Identifier: Int64?] {
  /// Rows of all tables together; nil if one count is unknown.
  var total: Int64? {
    values.reduce(Int64?(0)) { sum, count in sum.flatMap { sum in count.map { sum &+ $0 } } }
  }

  var json: JSONValue { .object(JSONObject(map { (key: $0.bytes, value: .optional($1)) })) }

  /// Reads an object of counts and nulls; nil for anything else.
  init?(_ json: JSONValue) {
    guard case .object(let keys) = json else { return nil }
    self = [:]
    for (table, value) in keys.sorted.map({ (Identifier(bytes: $0.key), $0.value) }) {
      switch value {
      case .integer(let count): self[table] = .some(count)
      case .null: self[table] = .some(nil)
      default: return nil
      }
    }
  }
}
