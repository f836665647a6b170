import BackupEngine
import BackupPolicy
import Logging
import ServiceLifecycle
import UnixSignals

/// The agent's two ways to run.
package enum AgentRunner {
  /// Watches the database and backs it up until SIGTERM or SIGINT; a backup that is running then is finished first.
  ///
  /// - Throws: what keeps the agent from working at all: no database named, no key. Everything else is logged, and tried
  ///   again.
  package static func run(
    _ configuration: AgentConfiguration, reload: (@Sendable () throws -> AgentConfiguration)?, logger: Logger
  ) async throws {
    for database in configuration.databases { try require(database.service, database.settings) }
    let agent = AgentService(configuration, control: try AgentControl(), reload: reload, logger: logger)
    let group = ServiceGroup(
      configuration: ServiceGroupConfiguration(
        services: [.init(service: agent)], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
    try await group.run()
  }

  /// Backs up if something changed since the newest point. Blocks.
  ///
  /// - Returns: the new point, or nil where the newest one holds this state already.
  /// - Throws: `HoldfastError`; `databaseMissing` where there is none, `refused` where it is empty.
  package static func runOnce(
    service: BackupService, settings: AgentSettings, logger: Logger
  ) throws -> PointMetadata? {
    try require(service, settings)
    var backup = ChangeBackup(service, settings, logger)
    let reason: String
    switch try backup.assess() {
    case .absent(let error): throw error
    case .due(let why): reason = why
    case .unchanged(let point):
      logger.info("nothing has changed since \(point)")
      return nil
    }
    let progress = Progress()
    switch try backup.take(progress) {
    case .absent(let error): throw error
    case .unchanged: return nil
    case .stored(let point):
      log(point, reason, logger)
      backup.applyRetention(progress)
      return point
    }
  }

  private static func require(_ service: BackupService, _ settings: AgentSettings) throws {
    _ = try service.requireDatabase()
    guard settings.request.encrypt, service.credentials.isEmpty else { return }
    throw HoldfastError(
      .keyMissing, "backups are encrypted, and neither a password nor a key is given",
      hint: "holdfast init makes a key file, BACKUP_ENCRYPTION_PASSWORD gives a password, --no-encrypt does without")
  }
}
