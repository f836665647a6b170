import ArgumentParser
import BackupAgent
import BackupEngine
import BackupPolicy
import Glibc
import Logging
import Wording

/// `holdfast agent`
struct Agent: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Watch databases and back them up, after changes and by the clock.",
    discussion: """
      It runs in the foreground until SIGTERM. Without settings it backs up each change half a second after it, at \
      the latest after 5 seconds. SIGHUP makes it read the configuration again, SIGUSR1 makes it back up now.

      Examples:
        holdfast agent --database app.db
        holdfast agent --database app.db --schedule '0 2 * * *' --keep-daily 7
        holdfast agent --once        for cron: back up the changes of every database
      """)

  @OptionGroup var agent: AgentOptions

  @Flag(help: "Make one backup of each database that changed since its newest one, and end.")
  var once = false

  @Flag(.verifyAfterCreate) var verify: Bool?

  @OptionGroup(title: "New backups") var creation: CreationOptions
  @OptionGroup(title: "What to keep") var retention: RetentionOptions
  @OptionGroup(title: "Common options") var options: ServiceOptions

  /// Runs on the main actor, and from there on an executor of its own: one job on Swift's pool
  /// would start a timer that never ends (see ``ThreadExecutor``).
  @MainActor func run() async throws {
    // If the reader of the log ends, the agent must continue.
    signal(SIGPIPE, SIG_IGN)
    try ThreadSupply.require()
    let configuration = try options.configuration(flags)
    let setup = AgentSetup(retention: retention, output: options.output)
    let logger = try Selection.logger(configuration.settings(), options.output, .info)
    let agent = try setup.agent(configuration)
    for notice in configuration.databaseList().1 where notice.severity == .remark { logger.notice("\(notice.message)") }
    let (options, flags) = (options, flags)
    try await Task(executorPreference: try ThreadExecutor()) {
      try await AgentRunner.run(
        agent, reload: { try setup.agent(options.configuration(flags)) }, logger: logger)
    }.value
  }

  /// Runs `--once`. It blocks, so it must not run on Swift's cooperative pool like ``run()``.
  func runOnce() throws {
    // If the reader of the log ends, the backups must continue.
    signal(SIGPIPE, SIG_IGN)
    let configuration = try options.configuration(flags)
    let setup = AgentSetup(retention: retention, output: options.output)
    let logger = try Selection.logger(
      configuration.settings(), options.output, options.output.quiet ? .warning : .info)
    let agent = try setup.agent(configuration)
    try EveryDatabase(options: options, all: configuration.databases().count > 1).run(in: configuration) { selection in
      guard let database = agent.databases.first(where: { $0.name == selection.name }) else {
        let reason = selection.name == nil ? "No file matches the patterns" : "It is not enabled"
        return try options.console.show(.null, options.output.quiet ? [] : [reason])
      }
      try runOnce(database, selection.zone, logger)
    }
  }

  private func runOnce(_ database: AgentDatabase, _ zone: ZoneRules, _ logger: Logger) throws {
    let progress = Progress()
    Interruption.stops(progress)
    let metadata = try AgentRunner.runOnce(
      engine: database.engine, settings: database.settings, targets: database.targets, progress: progress,
      logger: logger)
    try options.console.show(
      metadata?.json ?? .null,
      metadata.map {
        options.output.quiet ? ["\($0.id)"] : ["Created \($0.id)"] + PointListing.fields($0, zone: zone)
      }
        ?? (options.output.quiet ? [] : ["Nothing has changed since the last backup"]))
  }

  private var flags: Layer {
    agent.flags.merging(creation.flags).merging(retention.flags).merging(
      .flags([.verifyAfterCreate: verify.map { "\($0)" }]))
  }
}
