import BackupEngine
import BackupPolicy
import Logging
import Names
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
      return try service.newestReadable()
    } catch let error as HoldfastError where error.code == .pointNotFound {
      return nil
    }
  }
}

/// Whether the last point holds the database as it is.
extension ChangeBackup {
  /// How the database stands to the last point.
  enum Standing {
    case unchanged(PointID)
    case changed(DatabaseState)
    case absent(HoldfastError)
  }

  /// Compares the database with what is remembered and, where that says nothing for certain, its pages with those of a point.
  mutating func standing(_ progress: Progress = Progress(), _ point: StoredPoint? = nil) throws -> Standing {
    let (memory, lastState) = (memory, lastState)
    let sighting = try sight { state, snapshot in
      if let memory, covers(memory, state) { return nil }
      guard let point, !(lastState.map { state.isCommitAfter($0) } ?? false) else { return nil }
      return try service.holds(point, contentOf: snapshot, progress: progress)
    }
    guard case .state(let state) = sighting else { return .absent(try absence(sighting)) }
    if let memory, covers(memory, state) {
      self.lastState = state
      return .unchanged(memory.point)
    }
    guard state.matchesPoint, let point else { return .changed(state) }
    remember(point.id, point.name.text, state)
    return .unchanged(point.id)
  }

  /// What to say where there is nothing to back up.
  func absence(_ sighting: Sighting) throws -> HoldfastError {
    let database = try service.requireDatabase()
    return sighting.isMissing ? Self.missing(database, service.folder) : Self.empty(database, service.folder)
  }

  func sight(_ comparison: DatabaseState.Comparison = { _, _ in nil }) throws -> Sighting {
    try DatabaseState.read(
      service.requireDatabase(), scratchPath: service.repository().scratchCopyPath(), held, comparison: comparison)
  }

  /// The same state, in a point that is still there.
  func covers(_ memory: AgentMemory, _ state: DatabaseState) -> Bool {
    guard let fingerprint = state.fingerprint,
      memory.fingerprint == fingerprint, memory.database.isExactly(state.path)
    else { return false }
    return isStored(memory)
  }

  /// A state of which the stamps prove nothing, and which is still what the last backup saw. To compare its pages again and again
  /// would never end; each event that is heard has them compared once.
  func isUnmoved(_ memory: AgentMemory, _ state: DatabaseState) -> Bool {
    guard state.fingerprint == nil, let lastState, memory.database.isExactly(state.path), state.looksLike(lastState)
    else { return false }
    return isStored(memory)
  }

  private func isStored(_ memory: AgentMemory) -> Bool {
    (try? environment.files.status("\(service.folder)/\(memory.filename)")) != nil
  }

  mutating func remember(_ point: PointID, _ filename: String, _ state: DatabaseState) {
    // Without a fingerprint, too: what the database was like says whether the next state is an alarm.
    memory = AgentMemory(
      database: state.path, fingerprint: state.fingerprint, point: point, filename: filename,
      content: state.content, followed: changes.savedPosition(of: point))
    lastState = state
    isUnsaved = true
    let isRecent = savedMemory.map { environment.monotonic() - $0 < Self.savingInterval } ?? false
    if !isRecent { saveMemory() }
  }

  /// Writes down what is remembered, where that has not been done. Changes that come in quick succession do not, each for
  /// itself: a process that is killed before costs its successor a comparison.
  mutating func saveMemory() {
    guard isUnsaved, let memory else { return }
    (isUnsaved, savedMemory) = (false, environment.monotonic())
    do {
      try memory.save(try service.repository())
    } catch {
      logger.warning("the agent's memory was not stored, so its next start may take one backup too many: \(error)")
    }
  }

  /// Says what no point tells: that a file was replaced. Returns the reason where the database must not be backed up.
  mutating func raiseAlarms(_ state: DatabaseState) -> HoldfastError? {
    if let lost = lostCommits(state) {
      // What comes after them is stored: the application goes on from there.
      guard state.position.wal?.maxFrame != 0 else { return lost }
      logger.error("\(lost)")
    }
    guard let (before, point) = contentBefore(state), let database = service.database else { return nil }
    for alarm in ContentAlarm.decide(before: before, now: state.content) {
      let error = alarm.error(database: database, lastGood: point)
      if alarm.forbidsBackup { return error }
      // The others show in the point that is stored next. A restore of ours may replace the file.
      if alarm == .replaced, (try? service.wasJustRestored()) != true { reportReplacement(error) }
    }
    return nil
  }

  /// An error if the last backup holds commits that the database does not have any more, because its log was deleted.
  private func lostCommits(_ state: DatabaseState) -> HoldfastError? {
    let followed = memory?.followed.flatMap { $0.run.boot == MachineRun.current()?.boot ? $0.position.snapshot : nil }
    guard let memory, let before = lastState?.position ?? followed, state.position.hasLostCommits(since: before) else {
      return nil
    }
    return HoldfastError(
      .logDeleted,
      "\(state.path) has lost commits that \(memory.point) holds: they were in \(state.path)-wal, which was deleted",
      hint: "restart the application if it still runs, and compare with holdfast diff \(memory.point); "
        + "holdfast restore \(memory.point) brings them back")
  }

  /// What is odd about the new content shows in its point; the replacement itself is ordinary for some programs.
  private mutating func reportReplacement(_ error: HoldfastError) {
    let level: Logger.Level = hasReportedReplacement ? .debug : .notice
    hasReportedReplacement = true
    logger.log(
      level: level, "\(error.message), and its backup goes on; this is said once",
      metadata: ["hint": "\(error.hint ?? "")"])
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

  /// - Parameter folder: of its backups.
  static func missing(_ database: String, _ folder: String) -> HoldfastError {
    HoldfastError(
      .databaseMissing, "there is no database \(database)",
      hint:
        "check the path; if the file was lost, holdfast restore latest --database \(database) --backup-dir \(folder) brings it back"
    )
  }

  static func empty(_ database: String, _ folder: String) -> HoldfastError {
    HoldfastError(
      .refused, "the database \(database) is empty, and an empty backup is not taken",
      hint:
        "if it was not empty before, holdfast restore latest --database \(database) --backup-dir \(folder) brings it back"
    )
  }
}

/// What is found out about a point that was stored: it goes to the log, and the point stays.
extension ChangeBackup {
  func note(_ audit: AuditOutcome, of full: PointID) {
    switch audit {
    case .missed(let miss): logger.error("\(miss.error.message)", metadata: ["hint": "\(miss.error.hint ?? "")"])
    case .passed(let parent): logger.debug("\(full): audited: all that changed since \(parent) was followed")
    case .notAudited(let reason): logger.debug("\(full): not audited: \(reason)")
    }
  }

  func announceAnomaly(_ point: PointMetadata) {
    guard !point.openAnomalies.isEmpty else { return }
    logger.error(
      "\(point.id) of \(service.database ?? "") is anomalous: it \(point.openAnomalies.joined(separator: ", and "))",
      metadata: [
        "hint":
          "what was before it is held; if it was meant, holdfast accept \(point.id) ends that, if not, holdfast list shows what to restore"
      ])
  }

  /// Once, for as long as it stays the same.
  private func announceFlaw(_ id: PointID, _ findings: [String]) {
    guard changes.isNews(findings) else { return }
    guard !findings.isEmpty else { return logger.info("\(id): SQLite's checks find no flaw in the database any more") }
    logger.error(
      "SQLite's checks found a flaw in the database in \(id): \(findings.joined(separator: "; "))",
      metadata: ["hint": "it is backed up as it is; PRAGMA integrity_check in the application tells more"])
  }

  /// What this SQLite cannot read of the database, once.
  func announceSchemaProblem() {
    guard let problem = held.schemaNews else { return }
    logger.warning(
      "SQLite cannot read the schema of \(service.database ?? ""): \(problem.words)",
      metadata: ["hint": "it is backed up by its pages all the same; SQLite's checks are skipped"])
  }

  func verify(_ id: PointID, _ progress: Progress) {
    do {
      let verification = try service.verify(id.text, depth: .full, progress: progress)
      guard !verification.verified else { return announceFlaw(id, verification.findings) }
      logger.error(
        "\(id) failed its verification: \(verification.errors.joined(separator: "; "))",
        metadata: ["hint": "holdfast verify \(id) shows all checks; check the disk and the memory of this machine"])
    } catch {
      logger.error("\(id) could not be verified: \(error)")
    }
  }
}

/// What keeps the repository small: after a backup, or before one that would find no room. Nothing here fails a backup.
extension ChangeBackup {
  private static let cleaningInterval: Int64 = 60_000

  /// Removes what retention says, at once; what the agent does beside its backups is ``DatabaseWork/keepHouse(_:_:)``.
  func applyRetention(_ progress: Progress) {
    guard let policy = settings.retention else { return }
    CleaningUp(service: service, policy: policy, logger: logger).run(progress)
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
      applyRetention(progress)
    }
    return HoldfastError(
      .noSpace, "\(service.folder): \(shortage), so all but the newest verified backup may be removed",
      hint: "free some space, or keep fewer backups; holdfast cleanup --dry-run shows what goes")
  }
}
