import BackupEngine
import BackupPolicy
import Logging
import Synchronization

/// What came of a job. `files` is what the slow poll compares from then on: seen before the database was read, so that no
/// later change is taken for known.
enum JobResult: Sendable {
  case assessed(Result<ChangeBackup.Assessment, any Error>, newest: Newest, files: WatchedFiles)
  /// `comparing`: milliseconds of a comparison of all pages. `shortage`: there was less room than is to stay free.
  case backedUp(
    Result<ChangeBackup.Ending, any Error>, files: WatchedFiles, audit: AuditOutcome? = nil,
    shortage: HoldfastError? = nil, comparing: Int64 = 0)
  /// A backup could not begin, for the repository is not ours to write.
  case prevented(HoldfastError)
  case looked(FollowUp.Look, files: WatchedFiles)
  /// Old incrementals were merged, all that there were to merge or as many as there was time for.
  case thinned(isFinished: Bool)
  /// The connection that the jobs share is closed.
  case released

  /// What the repository holds at the start.
  struct Newest: Sendable {
    var point: PointID?
    var created: Timestamp?
    /// When the newest scheduled point was made.
    var scheduled: Timestamp?
  }
}

/// The blocking side of one database: what the workers do for it, one job at a time.
final class DatabaseWork: Sendable {
  private let database: GuardedDatabase
  private let logger: Logger
  private let backup: Mutex<ChangeBackup>
  private let held: HeldConnection

  init(_ database: GuardedDatabase, _ held: HeldConnection, _ logger: Logger) {
    self.database = database
    self.held = held
    self.logger = logger
    backup = Mutex(ChangeBackup(database.service, database.settings, logger, held))
  }

  /// Compares the database with the newest point.
  func assess(_ terms: HoldTerms) -> JobResult {
    let files = files()
    let assessment = held.job(terms) { backup.withLock { backup in Result { try backup.assess() } } }
    return .assessed(assessment, newest: newest(), files: files)
  }

  /// Takes a backup. One that a person or a schedule asks for is stored whether something changed or not.
  func backUp(_ trigger: Trigger, _ reason: String, _ progress: Progress, _ terms: HoldTerms) -> JobResult {
    let result = held.job(terms) { backUp(trigger, reason, progress) }
    // Else the connection is released soon, and it is done then.
    if !held.isOpen { end() }
    return result
  }

  private func backUp(_ trigger: Trigger, _ reason: String, _ progress: Progress) -> JobResult {
    let files = files()
    let shortage = backup.withLock { $0.makeRoom(progress) }
    let ending = backup.withLock { backup in
      Result { try trigger == .change ? backup.take(progress) : takeAnyway(trigger, progress, &backup) }
    }
    if case .failure = ending { held.close() }
    if case .success(.stored(let point)) = ending {
      log(point, reason, logger)
      if trigger != .manual { backup.withLock { $0.applyRetention(progress, atOnce: point.kind == "full") } }
    }
    let audit = backup.withLock { $0.changes.takeAudit() }
    let comparing = trigger == .change ? backup.withLock { $0.changes.comparing } : 0
    return .backedUp(ending, files: files, audit: audit, shortage: shortage, comparing: comparing)
  }

  /// Sees whether something was committed since the last backup.
  func look(_ terms: HoldTerms) -> JobResult {
    let files = files()
    let look = held.job(terms) { backup.withLock { $0.look() } }
    return .looked(look, files: files)
  }

  /// Lets the application have the database for itself.
  func release(_ terms: HoldTerms) -> JobResult {
    end()
    return held.job(terms) { .released }
  }

  /// Writes down what the next process wants to know.
  func end() {
    backup.withLock { $0.saveMemory() }
  }

  /// Merges old incrementals, until there are none left or a backup is due.
  func thin(_ control: ThinningControl, _ terms: HoldTerms) -> JobResult {
    .thinned(isFinished: held.job(terms) { backup.withLock { $0.thin(control) } })
  }

  private func files() -> WatchedFiles {
    WatchedFiles(WatchedPath(database.service.database ?? ""), database.service.environment.files)
  }

  private func newest() -> JobResult.Newest {
    let points = (try? database.service.list()) ?? []
    let scheduled = points.first { $0.metadata.backupType == Trigger.scheduled.rawValue }
    return JobResult.Newest(
      point: points.first?.id, created: points.first?.metadata.created, scheduled: scheduled?.metadata.created)
  }

  /// Without the memory of the last backup nothing is known to be covered.
  private func takeAnyway(
    _ trigger: Trigger, _ progress: Progress, _ backup: inout ChangeBackup
  ) throws -> ChangeBackup.Ending {
    var settings = database.settings
    settings.request.backupType = trigger.rawValue
    if trigger == .scheduled { settings.verifyAfterCreate = true }
    backup.saveMemory()
    let before = memory()
    var once = ChangeBackup(database.service, settings, logger, held, changes: backup.changes)
    if trigger == .scheduled, settings.skipUnchanged { _ = try once.assess() }
    let ending = try once.take(progress)
    if let before { compare(before) }
    // What it remembers is in the repository.
    _ = try? backup.assess()
    return ending
  }

  private func memory() -> AgentMemory? {
    (try? database.service.repository()).flatMap { AgentMemory.load($0) }
  }

  /// The alarm that a backup without a memory cannot raise.
  private func compare(_ before: AgentMemory) {
    guard let content = before.content, let now = memory()?.content, let path = database.service.database else {
      return
    }
    for alarm in ContentAlarm.decide(before: content, now: now) where alarm == .replaced {
      logger.error("\(alarm.error(database: path, lastGood: before.point))")
    }
  }
}

/// The line of a stored point.
func log(_ point: PointMetadata, _ reason: String, _ logger: Logger) {
  let took = point.durationMS.map { " in \($0) ms" } ?? ""
  logger.info("stored \(point.id): \(ByteCount(point.compressedSize))\(took) (\(reason))")
}
