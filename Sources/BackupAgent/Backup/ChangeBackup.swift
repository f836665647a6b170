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

  /// How the database stands to the last point.
  private enum Standing {
    case unchanged(PointID)
    case changed(DatabaseState)
    case absent(HoldfastError)
  }

  let service: BackupService
  let settings: AgentSettings
  let logger: Logger
  let held: HeldConnection
  private var memory: AgentMemory?
  /// What the memory's fingerprint is of, where this process saw it.
  private var lastState: DatabaseState?
  let changes: ChangeSession
  /// Monotonic milliseconds of the last cleaning up.
  private var cleanedUp: Int64?
  /// Monotonic milliseconds of the last making of room.
  private var madeRoom: Int64?
  private static let cleaningInterval: Int64 = 60_000

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

  private var environment: EngineEnvironment { service.environment }

  /// Compares the database with the repository's newest point.
  mutating func assess() throws -> Assessment {
    (memory, lastState) = (nil, nil)
    guard let newest = try newestPoint() else {
      if case .absent(let error) = try standing(Progress()) { return .absent(error) }
      return .due(reason: "there is no backup yet")
    }
    if let known = AgentMemory.load(try service.repository()), known.point == newest.id { memory = known }
    let isKnown = memory != nil
    switch try standing(Progress(), newest) {
    case .absent(let error): return .absent(error)
    case .unchanged(let point): return .unchanged(point)
    case .changed:
      return .due(
        reason: isKnown
          ? "changed while the agent was not running" : "the database is not as the newest backup holds it")
    }
  }

  /// Whether the database may be in another state than the last backup holds. Cheap, so it may err on the side of yes.
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
    switch try standing() {
    case .absent(let error): return .absent(error)
    case .unchanged(let point): return .unchanged(point)
    case .changed(let found): state = found
    }
    if let refused = raiseAlarms(state) { return .absent(refused) }
    guard settings.request.backupType == Trigger.change.rawValue else { return try takeFull(state, progress) }
    switch try changes.store(settings.request, progress) {
    case .stored(let stored):
      logger.debug("\(stored.point): \(stored.how)")
      remember(stored.point, stored.filename, stored.state)
      guard let metadata = stored.metadata else { return .unchanged(stored.point) }
      announceAnomaly(metadata)
      if settings.verifyAfterCreate { verify(metadata.id, progress) }
      return .stored(metadata)
    case .fullNeeded(let reason):
      logger.info("a full: \(reason)")
      return try takeFullUnlessHeld(state, progress)
    }
  }

  /// Where nothing can be built on the newest point, it may still hold this very content.
  private mutating func takeFullUnlessHeld(_ state: DatabaseState, _ progress: Progress) throws -> Ending {
    let remembered = memory.flatMap { try? service.point($0.point.text) }
    if let point = try remembered ?? newestPoint(), case .unchanged(let id) = try standing(progress, point) {
      return .unchanged(id)
    }
    return try takeFull(state, progress)
  }

  private mutating func takeFull(_ state: DatabaseState, _ progress: Progress) throws -> Ending {
    let (point, audit) = try changes.storeFull(settings.request, progress)
    note(audit, of: point.id)
    // Remembered first: a backup that fails its verification is an alarm, and no reason to store the same state again.
    remember(point.id, point.filename, state)
    announceAnomaly(point)
    if settings.verifyAfterCreate { verify(point.id, progress) }
    return .stored(point)
  }

  private func note(_ audit: AuditOutcome, of full: PointID) {
    switch audit {
    case .missed(let miss): logger.error("\(miss.error.message)", metadata: ["hint": "\(miss.error.hint ?? "")"])
    case .passed(let parent): logger.debug("\(full): audited: all that changed since \(parent) was followed")
    case .notAudited(let reason): logger.debug("\(full): not audited: \(reason)")
    }
  }

  /// Removes what retention says; a failure is logged and makes the backup no worse.
  ///
  /// - Parameter atOnce: after a full; else not more than once a minute, for it lists the repository, and a change that costs
  ///   little must not wait for that.
  mutating func applyRetention(_ progress: Progress, atOnce: Bool) {
    guard let policy = settings.retention else { return }
    let now = environment.monotonic()
    guard atOnce || cleanedUp.map({ now - $0 >= Self.cleaningInterval }) ?? true else { return }
    cleanedUp = now
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

  /// Merges what ``AgentSettings/thinning`` says; a failure is logged, and the next thinning tries again.
  ///
  /// - Returns: whether nothing is left to do for now.
  func thin(_ control: ThinningControl) -> Bool {
    guard let policy = settings.thinning else { return true }
    do {
      let outcome = try changes.thin(policy, control)
      for (step, bytes) in outcome.done { logger.info("\(Self.words(step, bytes))") }
      for (step, error) in outcome.skipped where error.code != .factsChanged {
        logger.error("\(step.removed[0]) and what follows it cannot be merged: \(error)")
      }
      return control.goesOn
    } catch let error as HoldfastError where error.code == .interrupted || error.code == .busy {
      return false
    } catch {
      logger.warning("thinning failed: \(error)")
      return true
    }
  }

  private static func words(_ step: CompactionStep, _ bytes: Int64) -> String {
    let points = "\(step.removed.count) point\(step.removed.count == 1 ? "" : "s")"
    let what = step.survivor.map { "merged \(points) into \($0)" } ?? "removed \(points) from \(step.removed[0]) on"
    return
      "\(what): \(ByteCount(step.bytesBefore)) became \(ByteCount(bytes)) (\(step.reasons.joined(separator: "; ")))"
  }

  /// Before a backup: lets retention make room where less is free than is to stay so.
  ///
  /// - Returns: what was missing before, for an alarm; nil where there was enough.
  mutating func makeRoom(_ progress: Progress) -> HoldfastError? {
    guard let wanted = settings.retention?.minFreeSpace, let space = try? service.space(),
      let shortage = wanted.shortage(space)
    else { return nil }
    let now = environment.monotonic()
    if madeRoom.map({ now - $0 >= Self.cleaningInterval }) ?? true {
      madeRoom = now
      applyRetention(progress, atOnce: true)
    }
    return HoldfastError(
      .noSpace, "\(service.folder): \(shortage), so all but the newest verified backup may be removed",
      hint: "free some space, or keep fewer backups; holdfast cleanup --dry-run shows what goes")
  }

  private func announceAnomaly(_ point: PointMetadata) {
    guard !point.openAnomalies.isEmpty else { return }
    logger.error(
      "\(point.id) of \(service.database ?? "") is anomalous: it \(point.openAnomalies.joined(separator: ", and "))",
      metadata: [
        "hint":
          "what was before it is held; if it was meant, holdfast accept \(point.id) ends that, if not, holdfast list shows what to restore"
      ])
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

  private func newestPoint() throws -> StoredPoint? {
    guard try environment.files.status(service.folder) != nil else { return nil }
    do {
      return try service.point("latest")
    } catch let error as HoldfastError where error.code == .pointNotFound {
      return nil
    }
  }
}

extension ChangeBackup {
  /// Compares the database with what is remembered and, where that says nothing for certain, its pages with those of a point.
  private mutating func standing(_ progress: Progress = Progress(), _ point: StoredPoint? = nil) throws -> Standing {
    let database = try service.requireDatabase()
    let (memory, lastState) = (memory, lastState)
    let sighting = try sight { state, snapshot in
      if let memory, covers(memory, state) { return nil }
      guard let point, !(lastState.map { state.isCommitAfter($0) } ?? false) else { return nil }
      return try service.holds(point, contentOf: snapshot, progress: progress)
    }
    guard case .state(let state) = sighting else {
      return .absent(sighting.isMissing ? Self.missing(database) : Self.empty(database))
    }
    if let memory, covers(memory, state) {
      self.lastState = state
      return .unchanged(memory.point)
    }
    guard state.matchesPoint, let point else { return .changed(state) }
    remember(point.id, point.name.text, state)
    return .unchanged(point.id)
  }

  private func sight(_ comparison: DatabaseState.Comparison = { _, _ in nil }) throws -> Sighting {
    try DatabaseState.read(
      service.requireDatabase(), scratchPath: "\(service.folder)/.state/.tmp-look", held, comparison: comparison)
  }

  /// The same state, in a point that is still there.
  private func covers(_ memory: AgentMemory, _ state: DatabaseState) -> Bool {
    guard let fingerprint = state.fingerprint, let database = service.database,
      memory.fingerprint == fingerprint, memory.database == WatchedPath(database).resolved
    else { return false }
    return (try? environment.files.status("\(service.folder)/\(memory.filename)")) != nil
  }

  private mutating func remember(_ point: PointID, _ filename: String, _ state: DatabaseState) {
    (memory, lastState) = (nil, nil)
    guard let fingerprint = state.fingerprint, let database = service.database else { return }
    let memory = AgentMemory(
      database: WatchedPath(database).resolved, fingerprint: fingerprint, point: point, filename: filename,
      content: state.content)
    (self.memory, lastState) = (memory, state)
    do {
      try memory.save(try service.repository())
    } catch {
      logger.warning("the agent's memory was not stored, so its next start may take one backup too many: \(error)")
    }
  }

  /// Says what no point tells: that a file was replaced. Returns the reason where the database must not be backed up.
  private func raiseAlarms(_ state: DatabaseState) -> HoldfastError? {
    guard let (before, point) = contentBefore(state), let database = service.database else { return nil }
    for alarm in ContentAlarm.decide(before: before, now: state.content) {
      let error = alarm.error(database: database, lastGood: point)
      if alarm.forbidsBackup { return error }
      // The others show in the point that is stored next. A restore of ours may replace the file.
      if alarm == .replaced, (try? service.wasJustRestored()) != true { logger.error("\(error)") }
    }
    return nil
  }

  /// As the last backup found the database; where this host does not remember, its newest point at least knows the tables.
  private func contentBefore(_ state: DatabaseState) -> (ContentFacts, PointID)? {
    if let memory, let content = memory.content { return (content, memory.point) }
    guard state.content.tables == 0, let newest = try? newestPoint(), let tables = newest.metadata.tableCounts else {
      return nil
    }
    var content = state.content
    content.tables = Int64(tables.count)
    return (content, newest.id)
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
