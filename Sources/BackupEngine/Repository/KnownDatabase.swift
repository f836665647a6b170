import BackupPolicy

/// Which database a repository's backups are of, found without opening the repository: for databases that are gone.
package enum KnownDatabase {
  /// The path, symbolic links resolved; nil if the folder says none.
  ///
  /// What it says is not authenticated: it serves to show people where backups are.
  package static func path(of folder: String, _ files: any FileOperations) -> String? {
    text("database", at: "\(folder)/.state/agent.json", files) ?? newestMetadata(folder, files)
  }

  private static func newestMetadata(_ folder: String, _ files: any FileOperations) -> String? {
    let names = (try? files.list("\(folder)/.metadata")) ?? []
    let backups = names.filter { $0.hasPrefix("backup_") && $0.hasSuffix(".json") }
    return backups.max().flatMap { text("database_path", at: "\(folder)/.metadata/\($0)", files) }
  }

  private static func text(_ key: String, at path: String, _ files: any FileOperations) -> String? {
    guard let bytes = try? files.contents(path, limit: 1 << 20), case .object(let keys)? = JSONValue(parsing: bytes),
      case .string(let text)? = keys[key]
    else { return nil }
    return text
  }
}
