import BackupEngine
import BackupPolicy
import Glibc
import Names

/// The whole configuration: flags > environment > `.env` > `holdfast.toml` > defaults.
struct Configuration: Sendable {
  let flags: Layer
  let environment: ProcessEnvironment
  let envFile: EnvironmentFile?
  let file: SettingsFile?
  /// Mistakes in the files and the variables, in their order. Values are checked when they are
  /// used.
  private(set) var problems: [ConfigurationProblem]

  var folders: StandardFolders { StandardFolders(environment: environment) }

  /// Reads the files.
  ///
  /// - Parameters:
  ///   - flags: the settings among the flags.
  ///   - file: `--config`.
  ///   - envFile: `--env-file`.
  /// - Throws: `usage` if a named file does not exist, and the error if a file cannot be read.
  init(
    flags: Layer = Layer(), file: String? = nil, envFile: String? = nil, environment: ProcessEnvironment,
    files: any FileOperations = SystemFileOperations()
  ) throws {
    let locations = ConfigurationFiles(environment: environment, files: files)
    self.flags = flags
    self.environment = environment
    self.envFile = try locations.envFile(envFile)
    self.file = try locations.settingsFile(file)
    problems =
      try locations.strangers(envFile, file) + environment.problems + (self.envFile?.problems ?? [])
      + (self.file?.problems ?? [])
  }

  /// The settings for one `[[databases]]` table, or outside of them.
  func settings(_ table: SettingsFile.Database? = nil) -> Settings {
    let layers = [flags, environment.layer, envFile?.layer, table?.layer, file?.top]
    return Settings(
      layers: layers.compactMap { $0 }, folders: folders,
      assertions: (file?.assertions ?? []) + (table?.assertions ?? []),
      targetTables: (file?.targets ?? []) + (table?.targets ?? []))
  }

  /// - Throws: the first error, and how many more there are.
  func requireSound() throws {
    let errors = problems.filter { $0.severity == .error }
    guard var error = errors.first?.error else { return }
    if errors.count > 1 {
      error.hint = "\(error.hint ?? ""); holdfast config check lists all mistakes"
    }
    throw error
  }
}

/// Finds the files and reads them.
private struct ConfigurationFiles {
  let environment: ProcessEnvironment
  let files: any FileOperations

  /// More than anyone writes by hand.
  private static let limit = 1 << 18

  /// Checks the files of the working directory that no flag names, because another user who can
  /// write there must not choose the backed up database or the backup folder.
  ///
  /// - Throws: `refused` for a file that every user can write, or that another user put into a
  ///   folder that is not theirs.
  func strangers(_ envFile: String?, _ file: String?) throws -> [ConfigurationProblem] {
    let isNamed = [envFile != nil, file != nil || environment[.configFile] != nil]
    return try zip([".env", "holdfast.toml"], isNamed).filter { !$1 }.compactMap { name, _ in try judge(name) }
  }

  private func judge(_ name: String) throws -> ConfigurationProblem? {
    guard let status = try status(name), status.kind == .regular else { return nil }
    let option = name == ".env" ? "--env-file" : "--config"
    if status.permissions & 0o002 != 0 {
      throw HoldfastError(
        .refused, "\(name) in this folder can be written by every user, so it is not read",
        hint: "chmod o-w \(name), or name it if you trust it: \(option) ./\(name)")
    }
    guard status.owner != geteuid(), status.owner != 0 else { return nil }
    guard status.owner == (try self.status("."))?.owner else {
      throw HoldfastError(
        .refused, "\(name) belongs to another user than this folder and you (\(status.owner)), so it is not read",
        hint: "name it if you trust it: \(option) ./\(name)")
    }
    return ConfigurationProblem(
      .warning, "\(name) belongs to user \(status.owner), who owns this folder, and its settings are used",
      hint: "name it if you trust it: \(option) ./\(name)")
  }

  /// `--env-file`, else `.env` if it exists.
  func envFile(_ flag: String?) throws -> EnvironmentFile? {
    let path = flag ?? ".env"
    guard var bytes = try read(path, isNamed: flag != nil, by: "--env-file") else { return nil }
    defer { bytes.wipe() }
    var file = EnvironmentFile(bytes, path: path)
    if file.layer.password != nil, let status = try files.status(path) { file.checkPermissions(status.permissions) }
    return file
  }

  /// `--config`, else `HOLDFAST_CONFIG`, else the first existing one of the configuration files.
  func settingsFile(_ flag: String?) throws -> SettingsFile? {
    if let flag { return try settingsFile(flag, by: "--config") }
    if let path = environment[.configFile] { return try settingsFile(path, by: "HOLDFAST_CONFIG") }
    for path in StandardFolders(environment: environment).configurationFiles {
      if let bytes = try read(path, isNamed: false, by: "") { return SettingsFile(bytes, path: path) }
    }
    return nil
  }

  private func settingsFile(_ path: String, by name: String) throws -> SettingsFile? {
    try read(path, isNamed: true, by: name).map { SettingsFile($0, path: path) }
  }

  private func read(_ path: String, isNamed: Bool, by name: String) throws -> [UInt8]? {
    // The usual spelling of "no file".
    if isNamed, path == "/dev/null" { return nil }
    guard !path.isEmpty else {
      throw HoldfastError(.usage, "\(name) is empty", hint: "name a file, or omit it")
    }
    let status = try status(path)
    // `.env` may also be the folder of a virtual environment.
    if let status, isNamed || status.kind == .regular { return try files.contents(path, limit: Self.limit) }
    guard isNamed else {
      try requireAbsence(path, status)
      return nil
    }
    throw HoldfastError(
      .usage, "there is no file \(path), which \(name) names",
      hint: name == "--env-file"
        ? "check the path" : "check the path; holdfast init --config \(path) creates one")
  }

  /// A file that exists but cannot be read is not absent: if it were skipped, other settings would
  /// apply.
  private func requireAbsence(_ path: String, _ status: FileStatus?) throws {
    if path == ".env", status?.kind == .folder { return }
    var entry = stat()
    guard status != nil || lstat(path.raw, &entry) == 0, !isNullDevice(path) else { return }
    let reason =
      switch status?.kind {
      case .folder: "it is a folder"
      case nil: "it is a link to a file that does not exist or cannot be reached"
      default: "it is not a regular file"
      }
    throw HoldfastError(
      .refused, "cannot read \(path): \(reason)",
      hint: "mount the disk that holds the file, or remove \(path) if you do not need its settings")
  }

  /// `/dev/null`, mounted over the file or linked in its place, is the usual way to hide the file.
  private func isNullDevice(_ path: String) -> Bool {
    var (file, null) = (stat(), stat())
    guard stat(path.raw, &file) == 0, stat("/dev/null", &null) == 0 else { return false }
    return file.st_mode & S_IFMT == S_IFCHR && file.st_rdev == null.st_rdev
  }

  /// A folder that this user may not search contains no configuration for this user.
  private func status(_ path: String) throws -> FileStatus? {
    do {
      return try files.status(path)
    } catch let error as HoldfastError where error.code == .permissionDenied {
      return nil
    }
  }
}

extension StandardFolders {
  /// The places of `holdfast.toml`, in the order of the search.
  var configurationFiles: [String] {
    ["holdfast.toml"] + (configurationFolder.map { ["\($0)/holdfast.toml"] } ?? []) + ["/etc/holdfast/holdfast.toml"]
  }
}
