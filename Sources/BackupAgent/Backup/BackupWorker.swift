import BackupEngine
import BackupPolicy
import Logging

/// What the worker is asked to do.
enum BackupJob: Sendable {
  /// Compare the database with the newest point.
  case assess
  case backUp(reason: String, Progress)
  /// See whether something was committed since the last backup.
  case check
  case quit
}

/// What came of a job. `files` is what the slow poll compares from then on: seen before the database was read, so that no
/// later change is taken for known.
enum JobResult: Sendable {
  case assessed(Result<ChangeBackup.Assessment, any Error>, files: WatchedFiles)
  case backedUp(Result<ChangeBackup.Ending, any Error>, files: WatchedFiles)
  case checked(changed: Bool, files: WatchedFiles)
}

/// The thread that the engine's blocking work runs on: parked while there is none.
struct BackupWorker: Sendable {
  private let jobs: Mailbox<BackupJob>
  private let thread: AgentThread

  /// - Parameter report: called on the worker's thread.
  init(
    _ service: BackupService, _ settings: AgentSettings, _ logger: Logger,
    report: @escaping @Sendable (JobResult) -> Void
  ) throws {
    let jobs = try Mailbox<BackupJob>(blocking: true)
    self.jobs = jobs
    thread = try AgentThread("holdfast-backup") {
      var work = BackupWork(backup: ChangeBackup(service, settings, logger), logger: logger)
      while let result = work.perform(jobs.next()) { report(result) }
    }
  }

  func submit(_ job: BackupJob) {
    jobs.post(job)
  }

  /// Lets the jobs that were submitted end, and the thread with them.
  func stop() {
    jobs.post(.quit)
    thread.join()
  }
}

/// The worker's side of the jobs.
private struct BackupWork {
  var backup: ChangeBackup
  let logger: Logger

  mutating func perform(_ job: BackupJob) -> JobResult? {
    let files = WatchedFiles(WatchedPath(backup.service.database ?? ""), backup.service.environment.files)
    switch job {
    case .assess: return .assessed(Result { try backup.assess() }, files: files)
    case .backUp(let reason, let progress): return .backedUp(Result { try take(reason, progress) }, files: files)
    // What cannot be read may have changed: the backup will say what is wrong.
    case .check: return .checked(changed: (try? backup.hasChanged()) ?? true, files: files)
    case .quit: return nil
    }
  }

  private mutating func take(_ reason: String, _ progress: Progress) throws -> ChangeBackup.Ending {
    let ending = try backup.take(progress)
    if case .stored(let point) = ending {
      log(point, reason, logger)
      backup.applyRetention(progress)
    }
    return ending
  }
}

/// The line of a stored point.
func log(_ point: PointMetadata, _ reason: String, _ logger: Logger) {
  let took = point.durationMS.map { " in \($0) ms" } ?? ""
  logger.info("stored \(point.id): \(ByteCount(point.compressedSize))\(took) (\(reason))")
}
