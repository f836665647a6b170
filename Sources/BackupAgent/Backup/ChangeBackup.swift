import BackupEngine
import BackupPolicy
import Logging
import SQLitePages

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
  let held: HeldConnection
  var memory: AgentMemory?
  /// What the memory's fingerprint is of, where this process saw it.
  var lastState: DatabaseState?
  let changes: ChangeSession
  /// What is remembered was not written down yet.
  var isUnsaved = false
  /// Monotonic milliseconds of the last time that it was.
  var savedMemory: Int64?
  static let savingInterval: Int64 = 1000
  /// That another file took the database's place was said: a program that saves by rename does it each time.
  var hasReportedReplacement = false
  /// Monotonic milliseconds of the last making of room.
  var madeRoom: Int64?

  /// - Parameters:
  ///   - held: the connection that it reads through, and leaves open.
  ///   - changes: where another of its kind for the same database has followed it so far.
  init(
    _ service: BackupService, _ settings: AgentSettings, _ logger: Logger, _ held: HeldConnection,
    changes: ChangeSession? = nil
  ) {
    self.service = service
    self.held = held
    self.changes = changes ?? ChangeSession(service, held)
    self.settings = settings
    self.logger = logger
  }

  var environment: EngineEnvironment { service.environment }

  /// Compares the database with the repository's newest point.
  mutating func assess() throws -> Assessment {
    (memory, lastState) = (nil, nil)
    guard let newest = try newestPoint() else {
      if case .absent(let error) = try standing(Progress()) { return .absent(error) }
      return .due(reason: "there is no backup yet")
    }
    if let known = AgentMemory.load(try service.repository()), known.point == newest.id { memory = known }
    let isKnown = memory != nil
    let resumes = memory?.followed.map { changes.resume($0, at: newest) } ?? false
    // Where the tracker goes on, the backup finds out at a lower price than we whether anything has changed.
    switch try standing(Progress(), resumes ? nil : newest) {
    case .absent(let error): return .absent(error)
    case .unchanged(let point): return .unchanged(point)
    case .changed:
      return .due(
        reason: isKnown
          ? "changed while the agent was not running" : "the database is not as the newest backup holds it")
    }
  }

  /// Whether the database is in another state than the last backup holds, or about to be. Cheap, so it may err on the side of
  /// yes. Asked only while no event was heard since that backup began.
  func look() -> FollowUp.Look {
    // What cannot be read may have changed: the backup will say what is wrong.
    guard let sighting = try? sight() else { return .changed }
    guard case .state(let state) = sighting else { return .unchanged }
    guard let memory, covers(memory, state) || isUnmoved(memory, state) else { return .changed }
    return state.hasUnpublishedCommit ? .pending : .unchanged
  }

  /// Stores what changed, unless the last backup holds this very state.
  ///
  /// The state is read *before* the backup. A commit that comes between the two is in the point, yet not in the state that
  /// is remembered, so that the next comparison finds a difference: at worst one backup too many, never one too few.
  mutating func take(_ progress: Progress) throws -> Ending {
    if let ending = try takeChange(progress) { return ending }
    let state: DatabaseState
    switch try standing() {
    case .absent(let error): return .absent(error)
    case .unchanged(let point): return .unchanged(point)
    case .changed(let found): state = found
    }
    if let refused = raiseAlarms(state) { return .absent(refused) }
    return try takeFullUnlessHeld(state, progress)
  }

  /// An incremental; nil where only a full will do.
  private mutating func takeChange(_ progress: Progress) throws -> Ending? {
    let outcome = try changes.store(settings.request, progress) { state in
      if let memory, covers(memory, state) { return .isKnown(memory.point) }
      return raiseAlarms(state).map { .refuse($0) } ?? .store
    }
    switch outcome {
    case .absent(let error): return .absent(error)
    case .fullNeeded(let reason):
      logger.info("a full: \(reason)")
      return nil
    case .stored(let stored):
      logger.debug("\(stored.point): \(stored.how)")
      remember(stored.point, stored.filename, stored.state)
      guard let metadata = stored.metadata else { return .unchanged(stored.point) }
      announceAnomaly(metadata)
      announceSchemaProblem()
      if settings.verifyAfterCreate { verify(metadata.id, progress) }
      return .stored(metadata)
    }
  }

  /// Stores a full, whether something has changed or not: one that a person or a schedule asks for, or that ends a chain.
  ///
  /// - Parameter chain: the chain that it is to end; where that is not the newest any more, there is nothing to be done.
  mutating func takeFull(for trigger: Trigger, ending chain: PointID? = nil, _ progress: Progress) throws -> Ending {
    if let chain, let newest = try newestPoint(), newest.metadata.chainID ?? newest.id != chain {
      changes.forgetChain()
      return .unchanged(newest.id)
    }
    if trigger == .scheduled, settings.skipUnchanged, let newest = try newestPoint(),
      case .unchanged(let point) = try standing(progress, newest)
    {
      return .unchanged(point)
    }
    let sighting = try sight()
    guard case .state(let state) = sighting else { return .absent(try absence(sighting)) }
    if let refused = raiseAlarms(state) { return .absent(refused) }
    return try takeFull(state, trigger, progress)
  }

  /// Where nothing can be built on the newest point, it may still hold this very content.
  private mutating func takeFullUnlessHeld(_ state: DatabaseState, _ progress: Progress) throws -> Ending {
    let remembered = memory.flatMap { try? service.point($0.point.text) }
    if let point = try remembered ?? newestPoint(), case .unchanged(let id) = try standing(progress, point) {
      return .unchanged(id)
    }
    return try takeFull(state, .change, progress)
  }

  private mutating func takeFull(_ state: DatabaseState, _ trigger: Trigger, _ progress: Progress) throws -> Ending {
    var request = settings.request
    request.backupType = BackupType(rawValue: trigger.rawValue)
    let (point, audit) = try changes.storeFull(request, progress)
    note(audit, of: point.id)
    // Remembered first: a backup that fails its verification is an alarm, and no reason to store the same state again.
    remember(point.id, point.filename, state)
    announceAnomaly(point)
    announceSchemaProblem()
    if settings.verifyAfterCreate || trigger == .scheduled { verify(point.id, progress) }
    return .stored(point)
  }

  func newestPoint() throws -> StoredPoint? {
    guard try environment.files.status(service.folder) != nil else { return nil }
    do {
      return try service.point("latest")
    } catch let error as HoldfastError where error.code == .pointNotFound {
      return nil
    }
  }
}
