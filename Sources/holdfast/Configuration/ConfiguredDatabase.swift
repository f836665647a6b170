import BackupEngine
import BackupPolicy
import Replication

/// A database and its settings.
struct ConfiguredDatabase: Sendable {
  let name: String
  let path: String
  let backupDir: String
  let settings: Settings
  /// The origin of the path.
  let origin: Origin
  /// The origin of the name.
  var nameOrigin: Origin
  /// A pattern matched it.
  var isMatch = false
  /// Why commands do not touch it, although the others are in order; nil if nothing is in the way.
  var refusal: HoldfastError?

  /// The targets, in the order of the file.
  ///
  /// - Parameter rules: the rules in force for the database; nil if there are none.
  /// - Throws: `usage` for the first mistake in them.
  func targets(_ rules: RetentionPolicy?) throws -> [Target] {
    let list = TargetList(settings, name: name, backupDir: backupDir) { rules }
    if let problem = list.problems.first { throw problem.error }
    return list.targets.map(\.target)
  }

  /// - Throws: the refusal.
  func requireAcceptance() throws {
    if let refusal { throw refusal }
  }
}

extension Configuration {
  /// If a flag, the environment or `.env` names a database, only that counts; otherwise the file's
  /// tables, or its `database`. The URL of another program's database (`DATABASE_URL=postgres://…`)
  /// is ignored if another one is named.
  private var single: (given: Given?, strangers: [Given]) {
    let given = settings().layers.compactMap { $0[.database] }
    guard let index = given.firstIndex(where: { !$0.isForeignAddress }) else {
      return tables.isEmpty || given.first?.origin.isFlag == true ? (given.first, []) : (nil, given)
    }
    return (given[index], Array(given[..<index]))
  }

  private var tables: [SettingsFile.Database] { file?.databases ?? [] }

  /// All configured databases, whatever their `enabled` is.
  ///
  /// - Throws: `usage` for the first mistake in the list.
  func databases() throws -> [ConfiguredDatabase] {
    let (databases, problems) = databaseList()
    if let problem = problems.first(where: { $0.severity == .error }) { throw problem.error }
    return databases
  }

  /// The database of a command; nil if no database is named.
  ///
  /// - Throws: `usage` if there are several.
  func database() throws -> ConfiguredDatabase? {
    let databases = try databases()
    guard databases.count > 1 else { return databases.first }
    let names = databases.map(\.name).joined(separator: ", ").shortened
    throw HoldfastError(
      .usage, "\(databases.count) databases are configured, but this command needs one",
      hint: "add --database with one of the names: \(names); commands that work on all of them have --all")
  }

  /// The databases, and the mistakes in their list.
  func databaseList() -> ([ConfiguredDatabase], [ConfigurationProblem]) {
    var list = DatabaseList(configuration: self)
    let (given, strangers) = single
    list.read(single: given, tables: tables)
    return (list.databases, list.problems + strangers.map(notice))
  }

  /// Reports that another program's database is not backed up, without its URL, which may contain a
  /// password.
  private func notice(_ given: Given) -> ConfigurationProblem {
    ConfigurationProblem(
      .remark, at: given.origin,
      "is a \(DatabaseAddress.foreignScheme(given.raw.text.unquoted) ?? "") URL of another program: "
        + "the databases of \(file?.path ?? "the configuration") are backed up",
      hint: "no action is needed")
  }

  /// The patterns among the tables that are in use and enabled.
  func patterns() -> [PathPattern] {
    var list = DatabaseList(configuration: self)
    list.read(single: single.given, tables: tables)
    return list.patterns
  }

  /// The folder of backups if no database is named.
  func backupDirAlone() throws -> String { try settings().path(.backupDir) ?? "backups" }
}

extension Given {
  /// Whether a variable names a database that is not SQLite's: applications use `DATABASE_URL` for
  /// their own.
  var isForeignAddress: Bool {
    switch origin {
    case .variable, .envFile: DatabaseAddress.foreignScheme(raw.text.unquoted) != nil
    case .flag, .file, .standard: false
    }
  }
}

extension StandardFolders {
  /// What this host remembers of the repositories in which it stored backups, and the errors of states that cannot be read.
  /// Empty if no folder of states is known.
  func statesOfStoredBackups() -> (states: [HostState], errors: [HoldfastError]) {
    guard let store = hostStates else { return ([], []) }
    do {
      return try store.statesOfStoredBackups()
    } catch {
      return ([], [error as? HoldfastError ?? HoldfastError(.failed, "cannot read the folder of states: \(error)")])
    }
  }

  /// Empty if the folder cannot be read, which ``statesOfStoredBackups()`` reports.
  func namesOfStates() -> [String] { (try? hostStates?.names()) ?? [] }

  private var hostStates: HostStateStore? {
    (try? state()).map { HostStateStore(folder: $0, files: SystemFileOperations()) }
  }
}
