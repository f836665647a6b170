import BackupEngine
import BackupPolicy
import Logging

/// Takes the agent's backups, one at a time, and knows which state of the database the last one holds. Blocks.
struct ChangeBackup {
  /// How a backup ended that did not fail.
  enum Ending: Sendable {
    case stored(PointMetadata)
    /// The database is as this point holds it.
    case unchanged(PointID)
    /// There is nothing to back up: no file, or nothing in it.
    case absent(HoldfastError)
  }

  /// What a start finds.
  enum Assessment: Sendable {
    case unchanged(PointID)
    case due(reason: String)
    case absent(HoldfastError)
  }

  let service: BackupService
  let settings: AgentSettings
  let logger: Logger
  private var memory: AgentMemory?

  init(_ service: BackupService, _ settings: AgentSettings, _ logger: Logger) {
    self.service = service
    self.settings = settings
    self.logger = logger
  }

  private var environment: EngineEnvironment { service.environment }

  /// Compares the database with the repository's newest point.
  mutating func assess() throws -> Assessment {
    memory = nil
    let state: DatabaseState
    switch try sight() {
    case .missing: return .absent(Self.missing(try service.requireDatabase()))
    case .empty: return .absent(Self.empty(try service.requireDatabase()))
    case .state(let found): state = found
    }
    guard let newest = try newestPoint() else { return .due(reason: "there is no backup yet") }
    guard let known = AgentMemory.load(try service.repository()), known.point == newest.id else {
      return .due(reason: "it is not known which state the newest backup holds")
    }
    guard covers(known, state) else { return .due(reason: "changed while the agent was not running") }
    memory = known
    return .unchanged(newest.id)
  }

  /// Whether the database is in another state than the last backup holds.
  func hasChanged() throws -> Bool {
    guard case .state(let state) = try sight() else { return false }
    return !(memory.map { covers($0, state) } ?? false)
  }

  /// Backs up, unless the last backup holds this very state.
  ///
  /// The state is read *before* the backup. A commit that comes between the two is in the point, yet not in the state that
  /// is remembered, so that the next comparison finds a difference: at worst one backup too many, never one too few.
  mutating func take(_ progress: Progress) throws -> Ending {
    let state: DatabaseState
    switch try sight() {
    case .missing: return .absent(Self.missing(try service.requireDatabase()))
    case .empty: return .absent(Self.empty(try service.requireDatabase()))
    case .state(let found): state = found
    }
    if let memory, covers(memory, state) { return .unchanged(memory.point) }
    let point = try service.create(settings.request, progress: progress)
    // Remembered first: a backup that fails its verification is an alarm, and no reason to store the same state again.
    remember(point, state)
    if settings.verifyAfterCreate { verify(point.id, progress) }
    return .stored(point)
  }

  /// Removes what retention says; a failure is logged and makes the backup no worse.
  func applyRetention(_ progress: Progress) {
    guard let policy = settings.retention else { return }
    do {
      let decision = try service.cleanup(policy, progress: progress)
      if let refused = decision.refused { logger.error("nothing was cleaned up: \(refused)") }
      for verdict in decision.remove where decision.refused == nil {
        logger.info("removed \(verdict.id): \(verdict.reasons.joined(separator: ", "))")
      }
    } catch {
      logger.warning("cleaning up failed: \(error)")
    }
  }

  private func verify(_ id: PointID, _ progress: Progress) {
    do {
      let verification = try service.verify(id.text, depth: .full, progress: progress)
      guard !verification.verified else { return }
      logger.error(
        "\(id) failed its verification: \(verification.errors.joined(separator: "; "))",
        metadata: ["hint": "holdfast verify \(id) shows all checks; check the disk and the memory of this machine"])
    } catch {
      logger.error("\(id) could not be verified: \(error)")
    }
  }

  private mutating func remember(_ point: PointMetadata, _ state: DatabaseState) {
    memory = nil
    guard let fingerprint = state.fingerprint, let database = service.database else { return }
    let memory = AgentMemory(
      database: WatchedPath(database).resolved, fingerprint: fingerprint, point: point.id, filename: point.filename)
    self.memory = memory
    do {
      try memory.save(try service.repository(), patience: environment.repositoryPatience)
    } catch {
      logger.warning("the agent's memory was not stored, so its next start may take one backup too many: \(error)")
    }
  }

  /// The same state, in a point that is still there.
  private func covers(_ memory: AgentMemory, _ state: DatabaseState) -> Bool {
    guard let fingerprint = state.fingerprint, let database = service.database,
      memory.fingerprint == fingerprint, memory.database == WatchedPath(database).resolved
    else { return false }
    return (try? environment.files.status("\(service.folder)/\(memory.filename)")) != nil
  }

  private func sight() throws -> Sighting {
    try DatabaseState.read(
      service.requireDatabase(), scratchPath: "\(service.folder)/.state/.tmp-look", busyTimeout: environment.busyTimeout
    )
  }

  private func newestPoint() throws -> StoredPoint? {
    do {
      return try service.point("latest")
    } catch let error as HoldfastError where error.code == .pointNotFound {
      return nil
    }
  }

  static func missing(_ database: String) -> HoldfastError {
    HoldfastError(
      .databaseMissing, "there is no database \(database)",
      hint: "check the path; if the file was lost, holdfast restore brings back the newest backup")
  }

  private static func empty(_ database: String) -> HoldfastError {
    HoldfastError(
      .refused, "the database \(database) is empty, and an empty backup is not taken",
      hint: "if it was not empty before, holdfast restore brings back the newest backup")
  }
}
