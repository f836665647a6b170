import ArgumentParser
import BackupAgent
import BackupEngine
import BackupPolicy
import Logging

/// `holdfast agent`
struct Agent: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Watch the database, and back it up after each burst of changes, in the foreground until SIGTERM.")

  @Option(help: ArgumentHelp("The quiet time after a change before its backup, such as 500ms.", valueName: "time"))
  var debounce: TimeSpan?

  @Option(help: ArgumentHelp("The longest time from a change to its backup, such as 5s.", valueName: "time"))
  var maxDelay: TimeSpan?

  @Option(help: ArgumentHelp("The shortest time between two backups, such as 1s.", valueName: "time"))
  var minInterval: TimeSpan?

  @Option(help: ArgumentHelp("How often to look for changes that raise no event, such as 30s.", valueName: "time"))
  var pollInterval: TimeSpan?

  @Flag(help: "Take one backup if something changed since the last one, and end.")
  var once = false

  @Flag(inversion: .prefixedNo, help: "Read each backup back in full (BACKUP_VERIFY_AFTER_CREATE; default: no).")
  var verify: Bool?

  @OptionGroup var creation: CreationOptions
  @OptionGroup var retention: RetentionOptions
  @OptionGroup var options: ServiceOptions

  func run() async throws {
    let database = GuardedDatabase(name: "database", service: try service(), settings: try settings())
    try await AgentRunner.run(AgentConfiguration(databases: [database]), reload: nil, logger: logger)
  }

  /// `--once`. It blocks, so it must not run where ``run()`` does, on Swift's cooperative pool.
  func runOnce() throws {
    let metadata = try AgentRunner.runOnce(service: service(), settings: settings(), logger: logger)
    try options.console.show(
      metadata?.json ?? .null,
      metadata.map { options.output.quiet ? ["\($0.id)"] : ["Created \($0.id)"] + PointListing.fields($0) }
        ?? (options.output.quiet ? [] : ["Nothing has changed since the last backup"]))
  }

  private var logger: Logger { options.output.logger(.info) }

  private func service() throws -> BackupService {
    let request = try creation.request(options.environment)
    return try options.service(request.encrypt ? .needed : .optional, defaults: request, logLevel: .info)
  }

  private func settings() throws -> AgentSettings {
    let environment = options.environment
    guard try environment.flag(.enabled) ?? true else {
      throw HoldfastError(
        .refused, "BACKUP_ENABLED is false, so the agent does not start", hint: "set it to true, or unset it")
    }
    if environment[.schedule] != nil {
      logger.warning("BACKUP_SCHEDULE is set, and schedules are not there yet: backups follow changes only")
    }
    var settings = AgentSettings()
    settings.debounce = debounce?.milliseconds ?? settings.debounce
    settings.maxDelay = maxDelay?.milliseconds ?? settings.maxDelay
    settings.minInterval = minInterval?.milliseconds ?? settings.minInterval
    settings.pollInterval = pollInterval?.milliseconds ?? settings.pollInterval
    settings.retention = try retention.policy(environment)
    settings.verifyAfterCreate = try verify ?? environment.flag(.verifyAfterCreate) ?? false
    let trigger = settings.request.backupType
    settings.request = try creation.request(environment)
    settings.request.backupType = trigger
    return settings
  }
}
