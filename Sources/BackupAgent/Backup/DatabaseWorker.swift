import BackupEngine
import BackupPolicy
import Logging
import Names
import Replication
import SQLitePages

/// Does the blocking work for one database, one job at a time. Housekeeping may run at the same
/// time.
///
/// `@unchecked Sendable`: the state belongs to the running job, and to the loop while no job runs.
/// ``housekeeping`` shares only the follower, which locks itself.
final class DatabaseWorker: @unchecked Sendable {
  private let engine: Engine
  private let settings: AgentSettings
  private let logger: Logger
  private let kept: KeptConnection
  private let follower: ChangeFollower
  /// Keeps the repository small, also while jobs run.
  let housekeeping: Housekeeping
  private var known: LastKnownState
  private var space: FreeSpaceKeeper
  private let findings: FindingsLog

  /// The result of a comparison with the last known state.
  private enum Comparison {
    case unchanged(PointID)
    case changed(DatabaseState)
    case absent(HoldfastError)
  }

  /// One attempt to store a backup.
  struct Attempt {
    var ending: Result<BackupEnding, any Error>
    /// How the changed pages were found; nil if nothing looked for them.
    var how: ChangeKnowledge?
    /// The duration of a comparison of all pages, in milliseconds; 0 if there was no comparison.
    var comparing: Int64 = 0
    var audit: AuditOutcome?

    init(_ body: () throws -> BackupEnding) { ending = Result(catching: body) }
  }

  /// - Parameters:
  ///   - kept: the connection to read through; the worker leaves it open.
  ///   - targets: the places that get copies.
  ///   - follower: nil for a new one.
  ///   - isGuarded: the caller holds the agent's lock during each job.
  init(
    _ engine: Engine, _ settings: AgentSettings, _ logger: Logger, _ kept: KeptConnection, targets: [Target] = [],
    follower: ChangeFollower? = nil, isGuarded: Bool = true
  ) {
    (self.engine, self.settings, self.logger, self.kept) = (engine, settings, logger, kept)
    self.follower = follower ?? ChangeFollower(engine)
    known = LastKnownState(engine, isGuarded: isGuarded, logger)
    findings = FindingsLog(engine, logger)
    housekeeping = Housekeeping(
      engine: engine, retention: settings.retention, demands: TargetDemands(engine: engine, targets: targets),
      follower: self.follower, logger: logger)
    space = FreeSpaceKeeper(housekeeping)
  }

  convenience init(_ database: AgentDatabase, _ kept: KeptConnection, _ logger: Logger) {
    self.init(database.engine, database.settings, logger, kept, targets: database.targets)
  }

  /// Advises a full that ends the newest chain, as far as this worker knows the chain.
  var advice: FullAdvice? { follower.advice }

  // MARK: Jobs

  /// Compares the database with the newest backup.
  func runAssessment(_ terms: ConnectionTerms) -> JobResult {
    let files = files()
    let doubt = engine.recordClock()
    let assessment = kept.job(terms) { Result { try assess() } }
    let points = (try? engine.list()) ?? []
    findings.find(in: points)
    return .assessed(
      AssessmentReport(
        assessment: assessment, files: files, clockDoubt: doubt, shortage: Result { try space.shortage() },
        newest: points.first { $0.obstacle == nil }.map { NewestBackup($0.metadata, in: engine.folder) },
        newestVerified: findings.newestVerified,
        lastScheduled: points.first { $0.metadata.backupType == .scheduled }?.metadata.created,
        advice: ChainWeight(points).flatMap { ChainPolicy.adviseFull($0) }))
  }

  /// Stores a backup.
  ///
  /// - Parameter lock: the lock to acquire for it; nil if the caller holds the agent's lock.
  func runBackup(
    _ order: BackupOrder, _ progress: Progress, _ terms: ConnectionTerms, under lock: BriefLock? = nil
  ) -> BackupReport {
    let held: AgentLock?
    do {
      held = try lock?.acquire()
    } catch {
      return kept.job(terms) { BackupReport(unlocked: error, files: files()) }
    }
    defer { held?.release() }
    return backUp(order, progress, terms)
  }

  /// Stores a backup under the agent's lock.
  private func backUp(_ order: BackupOrder, _ progress: Progress, _ terms: ConnectionTerms) -> BackupReport {
    kept.begin(terms)
    defer {
      kept.end(terms)
      // If the connection stays open, it is closed soon, and the state is saved then.
      if !kept.isOpen { rest(terms) }
    }
    let files = files()
    let shortage = space.makeRoom(progress)
    let attempt =
      order.isFull ? storeFull(for: order.trigger, ending: order.ends, progress) : storeChange(progress)
    if case .failure = attempt.ending { kept.close() }
    let report = BackupReport(
      ending: attempt.ending, files: files, audit: attempt.audit, shortage: shortage, how: attempt.how,
      comparing: attempt.comparing, advice: follower.advice, newestVerified: findings.newestVerified)
    if let point = report.stored {
      let took = point.durationMS.map { " in \($0) ms" } ?? ""
      logger.info(
        "stored \(point.id): \(ByteCount(point.compressedSize))\(took) (\(order.reason))",
        metadata: .about(.stored, backup: point.id))
    }
    return report
  }

  /// Checks whether anything was committed since the last backup.
  func runProbe(_ terms: ConnectionTerms) -> JobResult {
    let files = files()
    return .probed(kept.job(terms) { probe() }, files: files)
  }

  /// Closes the connection, so that the application has the database for itself.
  func runClosing(_ terms: ConnectionTerms) -> JobResult {
    rest(terms)
    return kept.job(terms) { .closed }
  }

  /// No connection stays open until the next job.
  private func rest(_ terms: ConnectionTerms) {
    saveState()
    if terms.isScarce { follower.closeTable() }
  }

  /// Saves the state that the next process needs.
  func saveState() { known.save() }

  private func files() -> WatchedFiles {
    WatchedFiles(WatchedPath(engine.database ?? ""), engine.environment.files)
  }

  // MARK: Comparing

  /// Compares the database with the repository's newest backup.
  func assess(_ progress: Progress = Progress()) throws -> Assessment {
    let newest = try newestPoint()
    try known.load(newest: newest)
    guard let newest else {
      if case .absent(let error) = try compare() { return .absent(error) }
      return .due(reason: "there is no backup yet")
    }
    let isKnown = known.stored != nil
    let resumes = known.stored?.followed.map { follower.resume($0, at: newest) } ?? false
    // If the tracker can resume, the backup itself detects changes at a lower cost than a
    // comparison here.
    switch try compare(with: resumes ? nil : newest, progress) {
    case .absent(let error): return .absent(error)
    case .unchanged(let point): return .unchanged(point)
    case .changed:
      return .due(
        reason: isKnown ? "changed since the newest backup" : "the database differs from the newest backup")
    }
  }

  /// Whether the state of the database differs from the last backup's, or is about to. The check is
  /// cheap, so it may report a change that is not there. It is made only if no event was received
  /// since that backup began.
  func probe() -> FollowUp.Probe {
    // A database that cannot be read may have changed; the backup will report the problem.
    guard let probe = try? probeState() else { return .changed }
    guard case .state(let state) = probe else { return .unchanged }
    guard known.point(holding: state) != nil || known.isUnmoved(state) else { return .changed }
    return state.hasUnpublishedCommit ? .pending : .unchanged
  }

  /// Compares the database with the last known state. If that is not conclusive, compares the pages
  /// with those of a backup.
  private func compare(with point: StoredPoint? = nil, _ progress: Progress = Progress()) throws -> Comparison {
    let known = known
    let probe = try probeState { state, snapshot in
      if known.point(holding: state) != nil { return nil }
      guard let point, !known.isCommitCertain(before: state) else { return nil }
      return try engine.holds(point, contentOf: snapshot, progress: progress)
    }
    guard case .state(let state) = probe else { return .absent(try absence(probe)) }
    if let id = known.point(holding: state) {
      self.known.confirm(state)
      return .unchanged(id)
    }
    guard state.matchesPoint, let point else { return .changed(state) }
    record(state, in: point.id, point.name.text)
    return .unchanged(point.id)
  }

  private func probeState(_ comparison: DatabaseState.Comparison = { _, _ in nil }) throws -> DatabaseProbe {
    try DatabaseState.read(
      engine.requireDatabase(), scratchPath: engine.repository().scratch().path(.copy), kept, comparison: comparison)
  }

  /// The reason why there is nothing to back up.
  private func absence(_ probe: DatabaseProbe) throws -> HoldfastError {
    let database = try engine.requireDatabase()
    return probe.isMissing ? .missing(database, engine.folder) : .empty(database, engine.folder)
  }

  private func record(_ state: DatabaseState, in point: PointID, _ filename: String) {
    known.record(state, in: point, filename, followed: follower.savedPosition(of: point))
  }

  private func newestPoint() throws -> StoredPoint? {
    guard try engine.environment.files.status(engine.folder) != nil else { return nil }
    do {
      return try engine.newestReadable()
    } catch let error as HoldfastError where error.code == .pointNotFound {
      return nil
    }
  }

  // MARK: Storing changes

  /// The result of a visit to the repository.
  private enum Visited: Sendable {
    case stored(ChangeReport, DatabaseState)
    case fullNeeded(reason: String)
    case absent(HoldfastError)
  }

  /// Stores the changed pages, unless the last backup holds this very state.
  ///
  /// The state is read *before* the backup. If a commit comes between the two, it is in the backup
  /// but not in the recorded state, so the next comparison finds a difference: at worst one backup
  /// too many, never one too few.
  func storeChange(_ progress: Progress) -> Attempt {
    var change: (how: ChangeKnowledge, comparing: Int64)?
    var attempt = Attempt {
      switch try visitRepository(progress) {
      case .absent(let error): return .absent(error)
      case .fullNeeded(let reason): return try storeFullInstead(reason, progress)
      case .stored(let report, let state):
        change = (report.how, report.comparing)
        return try finish(report, state, progress)
      }
    }
    (attempt.how, attempt.comparing) = (change?.how, change?.comparing ?? 0)
    return attempt
  }

  /// Reads the database's state under the repository's lock, decides, and stores.
  private func visitRepository(_ progress: Progress) throws -> Visited {
    let database = try engine.requireDatabase()
    guard try engine.environment.files.status(engine.folder) != nil else {
      return .fullNeeded(reason: ChainPolicy.noParent)
    }
    do {
      let request = CreateRequest(settings.archive, for: BackupReason(.change))
      let visit = try follower.beginVisit(request, kind: .automatic, progress: progress)
      defer { visit.end() }
      if case .fullNeeded(let reason) = visit.base { return .fullNeeded(reason: reason) }
      let snapshot = try visit.snapshot(of: kept.opened(database), awaitsFlush: true)
      defer { snapshot.end() }
      kept.record(snapshot)
      guard snapshot.geometry.pageCount > 0 else { return .absent(.empty(database, engine.folder)) }
      let state = try onDatabase { try DatabaseState(snapshot) }
      if let point = known.point(holding: state) {
        return .stored(visit.store(snapshot, .none(since: point), progress: progress), state)
      }
      if let refused = reportContent(of: state) { return .absent(refused) }
      return .stored(visit.store(snapshot, progress: progress), state)
    } catch let error as HoldfastError where error.code == .databaseMissing {
      return .absent(.missing(database, engine.folder))
    }
  }

  private func finish(_ report: ChangeReport, _ state: DatabaseState, _ progress: Progress) throws -> BackupEnding {
    switch try report.outcome.get() {
    case .fullNeeded(let reason): return try storeFullInstead(reason, progress)
    case .unchanged(let parent, _):
      logger.debug("\(parent.id): \(report.how)")
      record(state, in: parent.id, parent.filename)
      return .unchanged(parent.id)
    case .stored(let point, _):
      logger.debug("\(point.id): \(report.how)")
      record(state, in: point.id, point.filename)
      findings.reportFindings(in: point, schema: kept.schemaNews)
      if settings.verifyAfterCreate { findings.verify(point, progress) }
      return .stored(point)
    }
  }

  /// Stores a full because no incremental is possible, unless the newest backup already holds this
  /// very content.
  private func storeFullInstead(_ reason: String, _ progress: Progress) throws -> BackupEnding {
    logger.info("storing a full backup: \(reason)")
    let state: DatabaseState
    switch try compare() {
    case .absent(let error): return .absent(error)
    case .unchanged(let point): return .unchanged(point)
    case .changed(let found): state = found
    }
    if let refused = reportContent(of: state) { return .absent(refused) }
    let remembered = known.stored.flatMap { try? engine.point($0.point.text) }
    if let point = try remembered ?? newestPoint(), case .unchanged(let id) = try compare(with: point, progress) {
      return .unchanged(id)
    }
    return try storeFull(state, .change, progress).ending
  }

  // MARK: Storing fulls

  /// Stores a full that a person or a schedule asks for, or that ends a chain, even if nothing has
  /// changed.
  ///
  /// - Parameter chain: the chain that the full ends. If it is no longer the newest chain, nothing
  ///   is stored.
  func storeFull(for trigger: BackupType, ending chain: PointID? = nil, _ progress: Progress) -> Attempt {
    var audit: AuditOutcome?
    var attempt = Attempt {
      if let chain, let newest = try newestPoint(), newest.metadata.chainID ?? newest.id != chain {
        follower.forgetChain()
        return .unchanged(newest.id)
      }
      if trigger.skipsUnchanged(settings.triggers), let newest = try newestPoint(),
        case .unchanged(let point) = try compare(with: newest, progress)
      {
        return .unchanged(point)
      }
      let probe = try probeState()
      guard case .state(let state) = probe else { return .absent(try absence(probe)) }
      if let refused = reportContent(of: state) { return .absent(refused) }
      let (ending, found) = try storeFull(state, trigger, progress)
      audit = found
      return ending
    }
    attempt.audit = audit
    return attempt
  }

  private func storeFull(
    _ state: DatabaseState, _ trigger: BackupType, _ progress: Progress
  ) throws -> (ending: BackupEnding, audit: AuditOutcome) {
    let request = CreateRequest(settings.archive, for: BackupReason(trigger))
    let connection = try onDatabase { try kept.opened(engine.requireDatabase()) }
    let full = try follower.storeFull(request, on: connection, progress: progress)
    let (point, audit) = (full.metadata, full.audit)
    kept.record(connection, at: full.position)
    findings.report(audit, of: point.id)
    // Recorded before the verification: a backup that fails it raises an alarm, but is no reason to
    // store the same state again.
    record(state, in: point.id, point.filename)
    findings.reportFindings(in: point, schema: kept.schemaNews)
    if settings.verifyAfterCreate || trigger.isVerified { findings.verify(point, progress) }
    return (.stored(point), audit)
  }
}

// MARK: - Reports

extension DatabaseWorker {
  /// Reports findings that no backup shows: a file that was replaced, or that has lost its content
  /// or its log.
  ///
  /// - Returns: the reason why the database must not be backed up; nil if it may be.
  private func reportContent(of state: DatabaseState) -> HoldfastError? {
    if let lost = known.lostCommits(in: state) {
      // If there are later commits, they are stored, because the application goes on from there.
      guard state.position.wal?.maxFrame != 0 else { return lost }
      logger.error("\(lost)")
    }
    guard let (before, point) = contentBefore(state), let database = engine.database else { return nil }
    for alarm in ContentAlarm.decide(before: before, now: state.content) {
      let error = alarm.error(database: database, lastGood: point)
      if alarm.forbidsBackup { return error }
      // The other alarms show in the backup that is stored next. A restore of ours may replace the
      // file.
      if alarm == .replaced, (try? engine.wasJustRestored()) != true { findings.reportReplacement(error) }
    }
    return nil
  }

  /// The content as the last backup found it. If this host has no record of it, the newest backup
  /// at least gives the number of tables.
  private func contentBefore(_ state: DatabaseState) -> (ContentFacts, PointID)? {
    if let stored = known.stored, let content = stored.content { return (content, stored.point) }
    guard state.content.tables == 0, let newest = try? newestPoint(), let tables = newest.metadata.tableCounts else {
      return nil
    }
    var content = state.content
    content.tables = Int64(tables.count)
    return (content, newest.id)
  }
}
