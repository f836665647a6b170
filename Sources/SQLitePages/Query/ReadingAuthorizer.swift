import CSQLite

/// Lets a statement read and nothing else (`sqlite3_set_authorizer`): what is not on its lists is refused while the statement is
/// compiled.
final class ReadingAuthorizer {
  /// What was refused last, in words.
  private(set) var refused: String?

  func forget() { refused = nil }

  /// Pragmas that only tell, whatever their argument is: it names a table or an index, or is a limit.
  private static let tellingPragmas: Set<String> = [
    "table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo", "foreign_key_list",
    "foreign_key_check", "integrity_check", "quick_check",
  ]

  /// Pragmas that tell without an argument and change something with one.
  private static let askedPragmas: Set<String> = [
    "user_version", "application_id", "schema_version", "page_size", "page_count", "freelist_count", "encoding",
    "auto_vacuum", "data_version", "collation_list", "function_list", "module_list", "pragma_list", "compile_options",
  ]

  /// All pragmas that may be asked.
  static var pragmas: Set<String> { tellingPragmas.union(askedPragmas) }

  /// Functions that do more than compute, by whatever name an extension or a shell brings them in.
  private static let actingFunctions: Set<String> = [
    "load_extension", "readfile", "writefile", "edit", "fts3_tokenizer", "fsdir", "eval",
  ]

  /// - Returns: `SQLITE_OK`, or `SQLITE_DENY`, which ends the compilation.
  func decide(_ action: Int32, _ first: String?, _ second: String?) -> Int32 {
    switch action {
    case SQLITE_SELECT, SQLITE_READ, SQLITE_RECURSIVE: return SQLITE_OK
    case SQLITE_FUNCTION:
      guard let name = second?.lowercased(), Self.actingFunctions.contains(name) else { return SQLITE_OK }
      return refuse("the function \(name)()")
    case SQLITE_PRAGMA:
      guard let name = first?.lowercased() else { return refuse("a pragma") }
      if Self.tellingPragmas.contains(name) || second == nil && Self.askedPragmas.contains(name) { return SQLITE_OK }
      return refuse("PRAGMA \(name)" + (second == nil ? "" : " with an argument"))
    default: return refuse(Self.names[action] ?? "anything but reading")
    }
  }

  private func refuse(_ what: String) -> Int32 {
    refused = refused ?? what
    return SQLITE_DENY
  }

  private static let names: [Int32: String] = [
    SQLITE_ATTACH: "ATTACH", SQLITE_DETACH: "DETACH", SQLITE_INSERT: "INSERT", SQLITE_UPDATE: "UPDATE",
    SQLITE_DELETE: "DELETE", SQLITE_TRANSACTION: "a transaction", SQLITE_SAVEPOINT: "SAVEPOINT",
    SQLITE_ANALYZE: "ANALYZE", SQLITE_REINDEX: "REINDEX", SQLITE_ALTER_TABLE: "ALTER TABLE",
    SQLITE_CREATE_TABLE: "CREATE TABLE", SQLITE_CREATE_INDEX: "CREATE INDEX", SQLITE_CREATE_VIEW: "CREATE VIEW",
    SQLITE_CREATE_TRIGGER: "CREATE TRIGGER", SQLITE_CREATE_VTABLE: "CREATE VIRTUAL TABLE",
    SQLITE_CREATE_TEMP_TABLE: "CREATE TEMP TABLE", SQLITE_CREATE_TEMP_INDEX: "CREATE INDEX",
    SQLITE_CREATE_TEMP_VIEW: "CREATE TEMP VIEW", SQLITE_CREATE_TEMP_TRIGGER: "CREATE TEMP TRIGGER",
    SQLITE_DROP_TABLE: "DROP TABLE", SQLITE_DROP_INDEX: "DROP INDEX", SQLITE_DROP_VIEW: "DROP VIEW",
    SQLITE_DROP_TRIGGER: "DROP TRIGGER", SQLITE_DROP_VTABLE: "DROP TABLE",
  ]
}
