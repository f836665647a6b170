import ArgumentParser
import BackupEngine
import BackupPolicy
import Logging

/// Which database, which repository, and what opens it.
struct ServiceOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The database: a path, sqlite:///relative.db or sqlite:////absolute.db (DATABASE_URL).", valueName: "path-or-url")
  )
  var database: String?

  @Option(
    help: ArgumentHelp("The folder of backups (BACKUP_DIR; default: backups beside the database).", valueName: "folder")
  )
  var backupDir: String?

  @Option(
    help: ArgumentHelp(
      "A file with a 256-bit key (BACKUP_ENCRYPTION_KEY_FILE; default: what init made).", valueName: "path"))
  var keyFile: String?

  @Option(
    help: ArgumentHelp(
      "A file whose first line is the password (BACKUP_ENCRYPTION_PASSWORD_FILE).", valueName: "path"))
  var passwordFile: String?

  @OptionGroup var output: OutputOptions
}

extension ServiceOptions {
  /// Whether a command fails without a usable password or key.
  enum KeyUse {
    /// It reads or writes archives' content.
    case needed
    /// It can do without.
    case optional
  }

  var environment: ProcessEnvironment { .current }
  var console: Console { output.console }

  /// - Parameters:
  ///   - keyUse: how wrong settings of password and key are taken.
  ///   - defaults: how safety backups are made.
  func service(_ keyUse: KeyUse, defaults: CreateRequest = CreateRequest(), logLevel: Logger.Level = .warning) throws
    -> BackupService
  {
    let logger = output.logger(logLevel)
    let engine = EngineEnvironment.system(
      stateFolder: try StandardFolders(environment: environment).state(), logger: logger)
    let settings = CredentialSettings(
      keyFile: keyFile, passwordFile: passwordFile, environment: environment, files: engine.files)
    let credentials = keyUse == .needed ? try settings.credentials() : try settings.credentialsIfUsable(logger)
    return BackupService(
      database: try databasePath(), folder: try backupFolder(), credentials: credentials, defaults: defaults,
      environment: engine)
  }

  /// Nil where no database is named.
  func databasePath() throws -> String? {
    if let database {
      guard !database.isEmpty else { throw HoldfastError(.usage, "--database is empty", hint: "name a database file") }
      return try DatabaseAddress.path(database, from: "--database")
    }
    return try environment[.databaseURL].map { try DatabaseAddress.path($0, from: "DATABASE_URL") }
  }

  func backupFolder() throws -> String {
    if let backupDir {
      guard !backupDir.isEmpty else { throw HoldfastError(.usage, "--backup-dir is empty", hint: "name a folder") }
      return backupDir
    }
    if let folder = environment[.backupDir] { return folder }
    guard let database = try databasePath() else { return "backups" }
    return BackupService.defaultFolder(of: database)
  }
}
