import ArgumentParser
import BackupEngine
import BackupPolicy

/// `holdfast config`
struct Config: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show or check the configuration.",
    discussion: """
      Settings come from flags, then the environment, then .env, then holdfast.toml, then defaults. A [[databases]] table \
      overrides the top of the file for its database.
      """, subcommands: [ConfigCheck.self, ConfigShow.self])
}

/// The flags of settings that `config check` and `config show` take into account.
struct AllSettingOptions: ParsableArguments {
  @OptionGroup var agent: AgentOptions
  @Flag(.verifyAfterCreate) var verify: Bool?
  @OptionGroup var creation: CreationOptions
  @OptionGroup var service: ServiceOptions

  /// Reads the configuration, sound or not.
  func configuration() throws -> Configuration {
    let flags = agent.flags.merging(creation.flags).merging(service.flags)
      .merging(.flags([.verifyAfterCreate: verify.map { "\($0)" }]))
    return try service.files.configuration(flags)
  }
}

/// `holdfast config check`
struct ConfigCheck: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "List every mistake in the configuration.",
    discussion: "Exits with 64 where there is one. Warnings are no mistakes.")

  @OptionGroup var options: AllSettingOptions

  func run() throws {
    let configuration = try options.configuration()
    let problems = ConfigurationCheck(configuration, files: SystemFileOperations()).problems()
    let report = ConfigurationReport(configuration: configuration)
    let console = options.service.console
    if !console.json { Console.tell(ConfigurationReport.lines(problems, quiet: console.quiet)) }
    let errors = problems.count { $0.severity == .error }
    try console.show(
      report.json(problems), console.quiet || errors > 0 ? [] : report.soundLines(problems.count))
    if errors > 0 { throw ExitCode(HoldfastError.Code.usage.exitCode) }
  }
}

/// `holdfast config show`
struct ConfigShow: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show every setting, its value, and where that comes from.",
    discussion: "Secrets are shown as (set). With several databases: what differs for each of them follows.")

  @OptionGroup var options: AllSettingOptions

  func run() throws {
    let configuration = try options.configuration()
    try configuration.requireSound()
    let listing = try SettingListing(configuration)
    try options.service.console.show(listing.json, listing.lines)
  }
}
