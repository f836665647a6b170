import BackupEngine
import BackupPolicy
import Logging
import Synchronization

/// What came of a job. `files` is what the slow poll compares from then on: seen before the database was read, so that no
/// later change is taken for known.
enum JobResult: Sendable {
  case assessed(
    Result<ChangeBackup.Assessment, any Error>, newest: Newest, files: WatchedFiles, clockDoubt: HoldfastError? = nil)
  case backedUp(BackupReport)
  case looked(FollowUp.Look, files: WatchedFiles)
  /// The connection that the jobs share is closed.
  case released

  /// The files as they were before the job read the database; nil if it did not.
  var files: WatchedFiles? {
    switch self {
    case .assessed(_, _, let files, _), .looked(_, let files): files
    case .backedUp(let report): report.files
    case .released: nil
    }
  }

  /// What the repository holds at the start.
  struct Newest: Sendable {
    var point: PointID?
    var created: Timestamp?
    /// When the newest scheduled point was made.
    var scheduled: Timestamp?
    /// Whether its chain should end.
    var advice: FullAdvice?
  }
}

/// What came of a backup.
struct BackupReport: Sendable {
  var ending: Result<ChangeBackup.Ending, any Error>
  /// As they were before the database was read.
  var files: WatchedFiles
  /// What a full found out about the tracker.
  var audit: AuditOutcome?
  /// There was less room than is to stay free.
  var shortage: HoldfastError?
  /// Milliseconds of a comparison of all pages; 0 without one.
  var comparing: Int64 = 0
  /// Whether the newest chain should end.
  var advice: FullAdvice?

  var isSuccess: Bool { if case .success = ending { true } else { false } }

  /// The point, if one was stored.
  var stored: PointMetadata? {
    if case .success(.stored(let point)) = ending { point } else { nil }
  }
}

/// What keeps a repository small, beside the backups.
struct HousekeepingOrder: Sendable {
  /// The rules to remove by; nil: nothing is removed now.
  var retention: RetentionPolicy?
  /// What merges old incrementals; nil: nothing is merged now.
  var thinning: ThinningPolicy?

  var isEmpty: Bool { retention == nil && thinning == nil }
}

/// What came of it.
struct HousekeepingResult: Sendable {
  /// Whether all was merged that there was to merge; nil if that was not wanted.
  var isFinished: Bool?
  /// Why the clock is not believed, by which it was done.
  var clockDoubt: HoldfastError?
  /// How the newest chain stands now.
  var advice: FullAdvice?
}

/// A backup that is to be taken.
struct BackupOrder: Sendable {
  var trigger: Trigger
  var reason: String
  /// The chain that it is to end, where it is a full that nobody asked for.
  var ends: PointID?
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
  func assess(_ terms: ConnectionTerms) -> JobResult {
    let files = files()
    let doubt = database.service.noteClock()
    let assessment = held.job(terms) { backup.withLock { backup in Result { try backup.assess() } } }
    return .assessed(assessment, newest: newest(), files: files, clockDoubt: doubt)
  }

  /// Takes a backup. One that a person or a schedule asks for, or that ends a chain, is stored whether something changed or
  /// not.
  func backUp(_ order: BackupOrder, _ progress: Progress, _ terms: ConnectionTerms) -> JobResult {
    let result = held.job(terms) { backUp(order, progress) }
    // Else the connection is released soon, and it is done then.
    if !held.isOpen { end() }
    return result
  }

  private func backUp(_ order: BackupOrder, _ progress: Progress) -> JobResult {
    let files = files()
    let shortage = backup.withLock { $0.makeRoom(progress) }
    let isFull = order.trigger != .change || order.ends != nil
    let ending = backup.withLock { backup in
      Result {
        try isFull ? backup.takeFull(for: order.trigger, ending: order.ends, progress) : backup.take(progress)
      }
    }
    if case .failure = ending { held.close() }
    if case .success(.stored(let point)) = ending {
      log(point, order.reason, logger)
    }
    let changes = backup.withLock { $0.changes }
    return .backedUp(
      BackupReport(
        ending: ending, files: files, audit: changes.takeAudit(), shortage: shortage, comparing: changes.comparing,
        advice: changes.advice))
  }

  /// Sees whether something was committed since the last backup.
  func look(_ terms: ConnectionTerms) -> JobResult {
    let files = files()
    let look = held.job(terms) { backup.withLock { $0.look() } }
    return .looked(look, files: files)
  }

  /// Lets the application have the database for itself.
  func release(_ terms: ConnectionTerms) -> JobResult {
    end()
    return held.job(terms) { .released }
  }

  /// Writes down what the next process wants to know.
  func end() {
    backup.withLock { $0.saveMemory() }
  }

  /// Removes what retention does not keep and merges old incrementals, while other jobs go on.
  func keepHouse(_ order: HousekeepingOrder, _ progress: Progress) -> HousekeepingResult {
    let service = database.service
    let doubt = service.noteClock()
    if let policy = order.retention { CleaningUp(service: service, policy: policy, logger: logger).run(progress) }
    let isFinished = order.thinning.map {
      Thinning(service: service, policy: $0, retention: database.settings.retention, logger: logger)
        .run(within: self, progress)
    }
    return HousekeepingResult(
      isFinished: isFinished, clockDoubt: doubt, advice: backup.withLock { $0.changes.advice })
  }

  private func files() -> WatchedFiles {
    WatchedFiles(WatchedPath(database.service.database ?? ""), database.service.environment.files)
  }

  private func newest() -> JobResult.Newest {
    let points = (try? database.service.list()) ?? []
    let scheduled = points.first { $0.metadata.backupType == .scheduled }
    return JobResult.Newest(
      point: points.first?.id, created: points.first?.metadata.created, scheduled: scheduled?.metadata.created,
      advice: ChainWeight(points).flatMap { ChainPolicy.adviseFull($0) })
  }
}

/// The session belongs to one thread at a time: a thinning that goes on beside the jobs waits for the one that has it.
extension DatabaseWork: CompactionHost {
  func maintain(touching points: Set<PointID>, _ body: () throws -> Void) throws {
    try backup.withLock { try $0.changes.maintain(touching: points, body) }
  }

  func lighten(_ chain: PointID, incrementals: Int, bytes: Int64) {
    backup.withLock { $0.changes.lighten(chain, incrementals: incrementals, bytes: bytes) }
  }
}

/// The line of a stored point.
func log(_ point: PointMetadata, _ reason: String, _ logger: Logger) {
  let took = point.durationMS.map { " in \($0) ms" } ?? ""
  logger.info("stored \(point.id): \(ByteCount(point.compressedSize))\(took) (\(reason))")
}
