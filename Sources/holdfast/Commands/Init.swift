import ArgumentParser
import BackupEngine
import BackupPolicy
import Wording

/// `holdfast init`
struct Init: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make the repository, a key file and a configuration file.",
    discussion: """
      Nothing is overwritten. The new holdfast.toml contains the given flags; every other setting is commented \
      out. Copy the key to another place: without it no backup can be read.

      Examples:
        holdfast init
        holdfast init --database app.db --backup-dir /var/backups/app
      """)

  @Flag(
    help:
      "Begin a new repository at a path where this host knows another one, such as a disk that is away. Makes nothing else."
  )
  var newRepository = false

  @OptionGroup(title: "Common options") var options: ServiceOptions

  /// A file, and whether this command made it.
  private struct Made {
    var path: String
    var isNew: Bool
  }

  func run() throws {
    let configuration = try options.initialConfiguration()
    Interruption.postpone()
    if newRepository { return try beginAnew(configuration) }
    let files = SystemFileOperations()
    let key = try makeKey(configuration, files)
    let settings = try makeSettings(configuration, files)
    let engines = try options.selections(in: configuration).map { try $0.engine(.optional) }
    let folders = try engines.map { try $0.repository(create: true).folder }
    let locked = key.isNew ? engines.reduce(0) { $0 + Self.encrypted($1) } : 0
    try options.console.show(
      .object([
        "backup_dir": .optional(folders.first), "backup_dirs": .array(folders.map { .string($0) }),
        "key_file": .string(key.path), "key_created": .bool(key.isNew),
        "config_file": .string(settings.path), "config_created": .bool(settings.isNew),
      ]), options.output.quiet ? [] : lines(folders, key, settings) + Self.warning(locked) + Self.next)
  }

  /// Begins with the settings of the former repository: no key and no file is made.
  private func beginAnew(_ configuration: Configuration) throws {
    let folders = try options.selections(in: configuration).map {
      try $0.engine(.optional).repository(create: true, beginsAnew: true).folder
    }
    var fields = FieldList()
    for folder in folders { fields.add("Backups", folder) }
    try options.console.show(
      .object(["backup_dir": .optional(folders.first), "backup_dirs": .array(folders.map { .string($0) })]),
      options.output.quiet ? [] : fields.lines(indent: 0))
  }

  private func lines(_ folders: [String], _ key: Made, _ settings: Made) -> [String] {
    func text(_ made: Made) -> String {
      made.isNew ? "\(made.path) (new)" : "\(made.path) (was there already and is kept as it is)"
    }
    var fields = FieldList()
    for folder in folders { fields.add("Backups", folder) }
    fields.add("Key file", text(key))
    fields.add("Settings", text(settings))
    return fields.lines(indent: 0) + [
      "", "Keep a copy of the key file somewhere else, not beside the backups: without it no backup can be read.",
    ]
  }

  /// The number of existing backups that a new key cannot open.
  private static func encrypted(_ engine: Engine) -> Int {
    ((try? engine.list()) ?? []).count { $0.name.encrypted }
  }

  private static func warning(_ locked: Int) -> [String] {
    guard locked > 0 else { return [] }
    return [
      "",
      "! The key is new, and \(locked.grouped) encrypted backup\(locked == 1 ? " is" : "s are") there already: the new key does not open "
        + "\(locked == 1 ? "it" : "them").",
      "  Put the old key in its place, or use another --backup-dir for new backups.",
    ]
  }

  private static let next = [
    "", "Next:",
    "  " + CallerOptions.applied(to: "holdfast doctor"), "    looks for problems that prevent backups",
    "  " + CallerOptions.applied(to: "holdfast agent"), "    backs up after each change, in the foreground",
  ]

  private func makeKey(_ configuration: Configuration, _ files: any FileOperations) throws -> Made {
    let databases = try configuration.databases()
    let settings = databases.count == 1 ? databases[0].settings : configuration.settings()
    guard let path = try settings.path(.keyFile) ?? configuration.folders.keyFile else {
      throw HoldfastError(.usage, "there is no home folder to put a key file in", hint: "name one with --key-file")
    }
    return Made(path: path, isNew: try KeyFile(path: path, files: files).createUnlessPresent())
  }

  /// The file is beside the default key, where every command finds it from any working directory.
  private func makeSettings(_ configuration: Configuration, _ files: any FileOperations) throws -> Made {
    if let file = configuration.file { return Made(path: file.path, isNew: false) }
    let named = options.files.config ?? configuration.environment[.configFile]
    guard let path = named ?? configuration.folders.configurationFolder.map({ "\($0)/holdfast.toml" }) else {
      throw HoldfastError(.usage, "there is no home folder to put holdfast.toml in", hint: "name a file with --config")
    }
    let file = NewSettingsFile(path: path, files: files)
    return Made(path: path, isNew: try file.createUnlessPresent(SettingsTemplate(active: try active(configuration))))
  }

  /// The values of the flags, with absolute paths.
  private func active(_ configuration: Configuration) throws -> [SettingKey: String] {
    var active: [SettingKey: String] = [:]
    for key in [SettingKey.backupDir, .keyFile, .passwordFile] where configuration.flags[key] != nil {
      active[key] = try configuration.settings().path(key).map(\.absolutePath)
    }
    if configuration.flags[.database] != nil {
      active[.database] = try configuration.databases().first.map { $0.path.absolutePath }
    }
    return active
  }
}

extension ServiceOptions {
  /// Like ``configuration(_:)``, but the file that `--config` or `HOLDFAST_CONFIG` names may still
  /// be missing.
  fileprivate func initialConfiguration() throws -> Configuration {
    let environment = ProcessEnvironment.current
    let named = files.config ?? environment[.configFile]
    let isMissing = try named.map { try !$0.isEmpty && SystemFileOperations().status($0) == nil } ?? false
    let configuration = try Configuration(
      flags: flags, file: isMissing ? "/dev/null" : files.config, envFile: files.envFile, environment: environment)
    try configuration.requireSound()
    if !output.quiet, !output.json { configuration.warn() }
    return configuration
  }
}
