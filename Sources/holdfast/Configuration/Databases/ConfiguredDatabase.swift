import BackupEngine
import BackupPolicy

/// A database with the settings that hold for it.
struct ConfiguredDatabase: Sendable {
  let name: String
  let path: String
  let backupDir: String
  let settings: Settings
  /// Where it is named.
  let origin: Origin
  /// Where its name comes from.
  var nameOrigin: Origin
}

extension Configuration {
  /// What a flag, the environment or `.env` names counts alone; else the file's tables, or its `database`.
  private var single: Given? { settings().given(.database) }

  private var tables: [SettingsFile.Database] { file?.databases ?? [] }

  /// All databases that are to be guarded; `enabled` is not looked at.
  ///
  /// - Throws: `usage` for the first thing that is wrong with the list.
  func databases() throws -> [ConfiguredDatabase] {
    let (databases, problems) = databaseList()
    if let problem = problems.first(where: { $0.severity == .error }) { throw problem.error }
    return databases
  }

  /// The one that a command is about; nil where none is named at all.
  ///
  /// - Throws: `usage` where there are several.
  func database() throws -> ConfiguredDatabase? {
    let databases = try databases()
    guard databases.count > 1 else { return databases.first }
    let names = databases.map(\.name).joined(separator: ", ").shortened
    throw HoldfastError(
      .usage, "\(databases.count) databases are configured, and this command is about one",
      hint: "add --database with one of the names: \(names)")
  }

  /// The databases, and what is wrong with them.
  func databaseList() -> ([ConfiguredDatabase], [ConfigurationProblem]) {
    var list = DatabaseList(configuration: self)
    list.read(single: single, tables: tables)
    return (list.databases, list.problems)
  }

  /// The folder of backups where no database is named.
  func backupDirAlone() throws -> String { try settings().path(.backupDir) ?? "backups" }
}
