import ArgumentParser
import BackupEngine
import BackupPolicy
import Logging
import Names
import Replication

/// The database, the repository, and the key to it.
struct ServiceOptions: ParsableArguments {
  @Option(.database) var database: String?
  @Option(.backupDir) var backupDir: String?
  @Option(.keyFile) var keyFile: String?
  @Option(.passwordFile) var passwordFile: String?

  @OptionGroup var files: ConfigurationOptions
  @OptionGroup var output: OutputOptions
}

extension ServiceOptions {
  /// Whether a command fails without a usable password or key.
  enum KeyUse {
    /// The command reads or writes the content of archives.
    case needed
    /// The command also works without a key.
    case optional
  }

  var console: Console { output.console }

  /// The settings among the flags of this group.
  var flags: Layer {
    settingFlags.merging(.flags([.logLevel: output.logLevel?.rawValue]))
  }

  /// Reads the configuration and warns of possible mistakes in it.
  ///
  /// - Parameter flags: the settings among the flags of other groups.
  /// - Throws: `usage` for the first mistake.
  func configuration(_ flags: Layer = Layer()) throws -> Configuration {
    let configuration = try files.configuration(self.flags.merging(flags))
    try configuration.requireSound()
    if !output.quiet, !output.json { configuration.warn() }
    return configuration
  }

  /// The one database to which a command applies, with its settings.
  func selection(_ flags: Layer = Layer()) throws -> Selection {
    try Selection(configuration(flags), output)
  }
}

extension ServiceOptions {
  /// All configured databases, or a selection without a database.
  func selections(in configuration: Configuration) throws -> [Selection] {
    let databases = try configuration.databases()
    guard !databases.isEmpty else { return [try Selection(configuration, output)] }
    return databases.map { Selection($0, output) }
  }
}

/// The database to which a command applies, if any, and its settings.
struct Selection {
  let settings: Settings
  /// The name of the database; nil without one.
  let name: String?
  let databasePath: String?
  let backupDir: String
  /// Why the database is not backed up, although the others are in order; nil if nothing is in the way.
  var refusal: HoldfastError?
  private let output: OutputOptions

  init(_ configuration: Configuration, _ output: OutputOptions) throws {
    let database = try configuration.database()
    try database?.requireAcceptance()
    settings = database?.settings ?? configuration.settings()
    (name, databasePath) = (database?.name, database?.path)
    backupDir = try database?.backupDir ?? configuration.backupDirAlone()
    self.output = output
  }

  init(_ database: ConfiguredDatabase, _ output: OutputOptions) {
    (settings, name) = (database.settings, database.name)
    (databasePath, backupDir, refusal) = (database.path, database.backupDir, database.refusal)
    self.output = output
  }

  /// The zone in which times are shown. If the setting is wrong, a listing still works; commands
  /// that read a time use the settings.
  var zone: ZoneRules { (try? settings.zone()) ?? (try? TimeZones.local(TZ: nil)) ?? .utc }

  /// - Parameters:
  ///   - keyUse: whether wrong settings of password and key are errors.
  ///   - defaults: the form of safety backups.
  ///   - logLevel: applies unless one is configured.
  ///   - keepsOpen: opens the repository once for all calls; false for the agent, which runs for as
  ///     long as disks come and go.
  func engine(
    _ keyUse: ServiceOptions.KeyUse, defaults: ArchiveOptions = ArchiveOptions(), logLevel: Logger.Level = .warning,
    keepsOpen: Bool = true
  ) throws -> Engine {
    let logger = try logger(logLevel)
    let environment = EngineEnvironment.system(stateFolder: try settings.folders.state(), logger: logger)
    let credentials = CredentialSettings(settings: settings, files: environment.files)
    let engine = Engine(
      database: databasePath, folder: backupDir,
      credentials: try keyUse == .needed ? credentials.credentials() : credentials.credentialsIfUsable(logger),
      defaults: defaults, environment: environment)
    return keepsOpen ? engine.keepingOpen() : engine
  }

  /// The needs of the database's targets that a removal respects.
  ///
  /// - Throws: also for a mistake in the tables of targets: nothing is removed that one may need.
  func demands(_ engine: Engine) throws -> TargetDemands {
    TargetDemands(engine: engine, targets: name == nil ? [] : try targets())
  }

  /// The targets of the database, in the order of the file.
  ///
  /// - Parameter name: of the only one to return; nil for all.
  /// - Throws: `usage` for the first mistake in them, or if there is none of that name.
  func targets(named name: String? = nil) throws -> [Target] {
    guard let database = self.name else {
      throw HoldfastError(
        .usage, "no database is named", hint: "use --database PATH, set DATABASE_URL, or write [[databases]] tables")
    }
    let list = TargetList(settings, name: database, backupDir: backupDir) { try settings.retention() }
    if let problem = list.problems.first { throw problem.error }
    let targets = list.targets.map(\.target)
    guard let name else { return targets }
    let chosen = targets.filter { $0.name.isExactly(name) }
    guard chosen.isEmpty else { return chosen }
    let names = targets.map(\.name)
    let near = NearestName.of(name, in: names).map { "did you mean \($0)?" }
    let known = names.isEmpty ? TargetOptions.advice : "the targets are: \(names.joined(separator: ", "))"
    throw HoldfastError(.usage, "there is no target \(name.shortened)", hint: near ?? known)
  }

  /// The targets of a command that needs one.
  ///
  /// - Parameter name: of the only one to return; nil for all.
  /// - Throws: `usage` if there is none.
  func configuredTargets(named name: String?) throws -> [Target] {
    let targets = try targets(named: name)
    guard !targets.isEmpty else {
      throw HoldfastError(.usage, "no target is configured", hint: TargetOptions.advice)
    }
    return targets
  }

  func logger(_ level: Logger.Level = .warning) throws -> Logger { try Self.logger(settings, output, level) }

  /// - Parameter level: applies unless one is configured.
  static func logger(_ settings: Settings, _ output: OutputOptions, _ level: Logger.Level) throws -> Logger {
    output.logger(try settings.choice(.logLevel) ?? level, try settings.choice(.logFormat) ?? .auto)
  }
}

/// The files to read.
struct ConfigurationOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      The configuration file (HOLDFAST_CONFIG; default: the first of holdfast.toml, ~/.config/holdfast/holdfast.toml and \
      /etc/holdfast/holdfast.toml).
      """, valueName: "path"), completion: .file())
  var config: String?

  @Option(
    help: ArgumentHelp("The file of environment variables (default: .env, if it exists).", valueName: "path"),
    completion: .file())
  var envFile: String?

  /// Reads the files.
  func configuration(_ flags: Layer) throws -> Configuration {
    try Configuration(flags: flags, file: config, envFile: envFile, environment: .current)
  }
}

/// The amount of output, and its form.
struct OutputOptions: ParsableArguments {
  @Flag(help: "Print one JSON document.")
  var json = false

  @Flag(help: "Print results and errors only.")
  var quiet = false

  @Option(
    help: ArgumentHelp(
      "The least level of log messages (BACKUP_LOG_LEVEL; default: warning, for the agent info).", valueName: "level"))
  var logLevel: Logger.Level?

  var console: Console { Console(json: json, quiet: quiet) }

  /// - Parameter level: applies unless `--log-level` names another.
  func logger(_ level: Logger.Level = .warning, _ format: LogFormat = .auto) -> Logger {
    var logger = Logger(label: "holdfast") { _ in format.handler() }
    logger.logLevel = logLevel ?? level
    return logger
  }

  /// Runs engine work that may take long: with a progress bar on a terminal, and stopped cleanly by
  /// signals.
  ///
  /// - Parameters:
  ///   - listen: makes signals stop the work.
  ///   - body: its second argument removes the bar, for work that prints results meanwhile.
  func working<Result>(
    listen: (Progress) -> Void = { Interruption.stops($0) }, _ body: (Progress, _ clear: () -> Void) throws -> Result
  ) throws -> Result {
    let bar = ProgressBar(console)
    let progress = bar.map { bar in Progress { bar.show($0, $1, of: $2) } } ?? Progress()
    listen(progress)
    defer { bar?.erase() }
    return try body(progress) { bar?.erase() }
  }
}

extension Logger.Level: @retroactive ExpressibleByArgument {}
