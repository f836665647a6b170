import BackupPolicy
import Glibc
import Logging

extension BackupService {
  /// A service with a password, or without encryption.
  ///
  /// Nothing is opened or made yet. Relative paths are taken from the working folder of this moment.
  ///
  /// - Parameters:
  ///   - databaseURL: the database: a path, `sqlite:///relative.db` or `sqlite:////absolute.db`.
  ///   - backupDirectory: the folder of backups, made by the first one; nil for `backups` beside the database.
  ///   - encryptionPassword: what opens the archives. Its bytes are copied into memory that is wiped with the service; a
  ///     `String` itself cannot be wiped, so where that matters use ``Credentials`` from bytes or a file. Nil where points
  ///     are plain: then ``BackupServiceOptions/encrypt`` must be false.
  ///   - options: how archives are made.
  ///   - logger: what happens that no result tells, such as leftovers that were removed.
  /// - Throws: `usage` for the URL of another database, or where no state folder can be found; `keyMissing` for an empty
  ///   password.
  public convenience init(
    databaseURL: String, backupDirectory: String? = nil, encryptionPassword: String? = nil,
    options: BackupServiceOptions = BackupServiceOptions(), logger: Logger = Logger(label: "holdfast")
  ) throws {
    let credentials = try encryptionPassword.map { try Credentials(password: Array($0.utf8)) }
    try self.init(
      databaseURL: databaseURL, backupDirectory: backupDirectory, credentials: credentials ?? Credentials(),
      options: options, logger: logger)
  }

  /// A service with a key file, or with a password in bytes.
  ///
  /// - Parameters:
  ///   - databaseURL: the database: a path, `sqlite:///relative.db` or `sqlite:////absolute.db`.
  ///   - backupDirectory: the folder of backups, made by the first one; nil for `backups` beside the database.
  ///   - credentials: what opens the archives.
  ///   - options: how archives are made.
  ///   - logger: what happens that no result tells.
  /// - Throws: `usage` for the URL of another database, or where no state folder can be found.
  public convenience init(
    databaseURL: String, backupDirectory: String? = nil, credentials: Credentials,
    options: BackupServiceOptions = BackupServiceOptions(), logger: Logger = Logger(label: "holdfast")
  ) throws {
    let database = try Self.absolute(DatabaseAddress.path(databaseURL, from: "the database URL"), "the database's path")
    let folder = try backupDirectory.map { try Self.absolute($0, "the backup folder's path") }
    let state = try options.stateFolder ?? StandardFolders.ofThisProcess.state()
    var environment = EngineEnvironment.system(
      stateFolder: try Self.absolute(state, "the state folder"), logger: logger)
    environment.busyTimeout = max(0, options.busyTimeout)
    self.init(
      database: database, folder: folder ?? Self.defaultFolder(of: database), credentials: credentials,
      defaults: options.archive, environment: environment)
  }

  /// The folder of backups unless one is named: `backups` beside the database.
  package static func defaultFolder(of database: String) -> String {
    database.parentPath == "/" ? "/backups" : "\(database.parentPath)/backups"
  }

  private static func absolute(_ path: String, _ what: String) throws -> String {
    guard !path.isEmpty else { throw HoldfastError(.usage, "\(what) is empty", hint: "name one") }
    guard !path.hasPrefix("/") else { return path }
    guard let folder = getcwd(nil, 0) else { throw HoldfastError(errno: errno, "find", "the working folder") }
    defer { free(folder) }
    return "\(String(cString: folder))/\(path)"
  }
}
