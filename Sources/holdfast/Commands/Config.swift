import ArgumentParser
import BackupEngine
import BackupPolicy

/// `holdfast config`
struct Config: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show or check the configuration.",
    discussion: """
      Flags win over environment variables, those over .env, that over holdfast.toml, and that over the defaults. \
      A [[databases]] table wins over the top of the file.

      Examples:
        holdfast config show
        holdfast config check
      """,
    subcommands: [ConfigCheck.self, ConfigShow.self])
}

/// The flags of settings that `config check` and `config show` take into account.
struct AllSettingOptions: ParsableArguments {
  @OptionGroup(title: "Settings") var agent: AgentOptions
  @OptionGroup(title: "Settings") var verification: VerificationOptions
  @OptionGroup(title: "Settings") var creation: CreationOptions
  @OptionGroup(title: "Common options") var service: ServiceOptions

  /// Reads the configuration, even if it has mistakes.
  func configuration() throws -> Configuration {
    let flags = agent.flags.merging(creation.flags).merging(service.flags).merging(verification.flags)
    return try service.files.configuration(flags)
  }
}

/// `holdfast config check`
struct ConfigCheck: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "List every mistake in the configuration.",
    discussion: """
      If there is a mistake, the exit code is 64. A warning is not a mistake.

      Examples:
        holdfast config check
        holdfast config check --config /etc/holdfast/holdfast.toml
      """)

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
    commandName: "show",
    abstract: "Show every setting, its value, and the origin of the value.",
    discussion: """
      Secrets are shown as (set). If several databases are configured, their differences follow.

      Examples:
        holdfast config show
        holdfast config show --json
      """)

  @OptionGroup var options: AllSettingOptions

  func run() throws {
    let configuration = try options.configuration()
    try configuration.requireSound()
    let listing = try SettingListing(configuration)
    try options.service.console.show(listing.json, listing.lines)
  }
}
