import CSQLite
import Glibc

/// What a query of somebody else's may do on a private file: read its tables, call functions that compute, and ask for what the
/// database says of itself. It is a list of what is allowed, so that what a newer SQLite learns is not.
///
/// The connection is read-only, `DEFENSIVE` and without a trusted schema besides.
enum QueryPermit {
  static func restrict(_ connection: DatabaseConnection) {
    sqlite3_set_authorizer(
      connection.handle, { _, action, first, second, _, _ in QueryPermit.verdict(action, first, second) }, nil)
  }

  static func lift(_ connection: DatabaseConnection) {
    sqlite3_set_authorizer(connection.handle, nil, nil)
  }

  private static func verdict(
    _ action: Int32, _ first: UnsafePointer<CChar>?, _ second: UnsafePointer<CChar>?
  ) -> Int32 {
    switch action {
    case SQLITE_SELECT, SQLITE_READ, SQLITE_RECURSIVE: return SQLITE_OK
    // What a virtual table declares is parsed as if it were to be written into the schema; the connection is read-only, and what
    // writes is refused once more when it is compiled.
    case SQLITE_UPDATE: return contains(["sqlite_master"], first) ? SQLITE_OK : SQLITE_DENY
    case SQLITE_FUNCTION: return contains(forbiddenFunctions, second) ? SQLITE_DENY : SQLITE_OK
    case SQLITE_PRAGMA:
      if contains(questions, first) { return SQLITE_OK }
      return second == nil && contains(figures, first) ? SQLITE_OK : SQLITE_DENY
    default: return SQLITE_DENY
    }
  }

  private static func contains(_ names: [StaticString], _ name: UnsafePointer<CChar>?) -> Bool {
    guard let name else { return false }
    return names.contains { strcasecmp(name, UnsafeRawPointer($0.utf8Start).assumingMemoryBound(to: CChar.self)) == 0 }
  }

  /// Those of SQLite and its shell that reach outside of the database, or into the process.
  private static let forbiddenFunctions: [StaticString] = [
    "load_extension", "readfile", "writefile", "edit", "fts3_tokenizer", "lsdir", "fsdir",
  ]
  /// Pragmas that only answer, with or without an argument.
  private static let questions: [StaticString] = [
    "table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo", "foreign_key_list",
    "foreign_key_check", "integrity_check", "quick_check", "collation_list", "function_list", "compile_options",
  ]
  /// Pragmas that would change something if they had an argument.
  private static let figures: [StaticString] = [
    "application_id", "user_version", "schema_version", "encoding", "page_size", "page_count", "freelist_count",
    "auto_vacuum", "journal_mode", "data_version",
  ]
}
