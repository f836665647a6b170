import BackupEngine
import BackupPolicy

/// A decision to store a backup.
struct BackupOrder: Sendable {
  var trigger: BackupType
  var reason: String
  /// The chain that the backup ends, if it is a full that was not requested.
  var ends: PointID?

  /// Whether the backup is stored as a full, even if nothing has changed.
  var isFull: Bool { trigger.isAlwaysFull || ends != nil }
}

/// Work that keeps a repository small, beside the backups.
struct HousekeepingOrder: Sendable {
  /// The rules to remove by; nil: remove nothing now.
  var retention: RetentionPolicy?
  /// The policy of compaction; nil: compact nothing now.
  var compaction: CompactionPolicy?

  var isEmpty: Bool { retention == nil && compaction == nil }
}

/// The result of housekeeping.
struct HousekeepingResult: Sendable {
  /// Whether the compaction is complete; nil if it was not requested.
  var isFinished: Bool?
  /// Whether backups were removed or merged, as far as that is known.
  var hasChanged = false
  /// The reason to doubt the clock that housekeeping used.
  var clockDoubt: HoldfastError?
  /// Whether the newest chain should end.
  var advice: FullAdvice?
}

/// The result of a job. The slow poll compares the files with `files` from then on. They were
/// examined before the database was read, so that no later change counts as known.
enum JobResult: Sendable {
  case assessed(AssessmentReport)
  case backedUp(BackupReport)
  case probed(FollowUp.Probe, files: WatchedFiles)
  /// The shared connection is closed.
  case closed

  /// The files as they were before the job read the database; nil if it did not read it.
  var files: WatchedFiles? {
    switch self {
    case .assessed(let report): report.files
    case .backedUp(let report): report.files
    case .probed(_, let files): files
    case .closed: nil
    }
  }
}

/// The findings at a start.
enum Assessment: Sendable {
  case unchanged(PointID)
  case due(reason: String)
  case absent(HoldfastError)
}

/// The result of an assessment.
struct AssessmentReport: Sendable {
  var assessment: Result<Assessment, any Error>
  var files: WatchedFiles
  /// The reason to doubt the clock.
  var clockDoubt: HoldfastError?
  /// Why the free space is below the configured minimum; nil if it is not.
  var shortage: Result<HoldfastError?, any Error>
  var newest: NewestBackup?
  /// When the newest backup was made that passed a verification.
  var newestVerified: Timestamp?
  /// The time of the newest scheduled backup.
  var lastScheduled: Timestamp?
  /// Whether the newest chain should end.
  var advice: FullAdvice?
}

/// The ending of a backup that did not fail.
enum BackupEnding: Sendable {
  case stored(PointMetadata)
  /// This backup holds the current state of the database.
  case unchanged(PointID)
  /// There is nothing to back up: the file is missing or empty.
  case absent(HoldfastError)
}

/// The result of a backup.
struct BackupReport: Sendable {
  var ending: Result<BackupEnding, any Error>
  /// The files as they were before the database was read.
  var files: WatchedFiles
  /// Another agent holds the repository's lock, so the backup could not begin.
  var isLockedOut = false
  /// The result of a full's audit of the tracker.
  var audit: AuditOutcome?
  /// The free space was below the configured minimum.
  var shortage: HoldfastError?
  /// How the changed pages were found; nil if nothing looked for them, as for a full.
  var how: ChangeKnowledge?
  /// The duration of a comparison of all pages, in milliseconds; 0 if there was no comparison.
  var comparing: Int64 = 0
  /// Whether the newest chain should end.
  var advice: FullAdvice?
  /// When the newest backup was made that passed a verification; nil if none is known.
  var newestVerified: Timestamp?

  var isSuccess: Bool { if case .success = ending { true } else { false } }

  /// The alarm for a failure with an error of this code.
  func alarm(_ code: HoldfastError.Code) -> Alarm { isLockedOut ? .otherAgent : Alarm(code) }

  /// The backup, if one was stored.
  var stored: PointMetadata? {
    if case .success(.stored(let point)) = ending { point } else { nil }
  }
}

extension BackupReport {
  /// The agent's lock could not be acquired.
  init(unlocked error: any Error, files: WatchedFiles) {
    self.init(ending: .failure(error), files: files)
    isLockedOut = HoldfastError(wrapping: error).code == .busy
  }
}

extension ChainWeight {
  /// The size of the newest chain in the database's own history, from the metadata alone; nil if
  /// there is no chain.
  ///
  /// - Parameter points: the backups, newest first.
  init?(_ points: [StoredPoint]) {
    let own = points.map(\.metadata).filter { BackupType.triggers.contains($0.backupType) }
    guard let newest = own.first else { return nil }
    let chain = newest.chainID ?? newest.id
    guard let full = own.first(where: { $0.id == chain && $0.kind == .full }) else { return nil }
    let links = own.filter { $0.chainID == chain && $0.kind == .incremental }
    self.init(
      full: chain, fullBytes: full.compressedSize, incrementals: links.count,
      incrementalBytes: links.reduce(0) { $0.addingClamped($1.compressedSize) })
  }
}

/// The newest backup of a repository, as the loop knows it.
struct NewestBackup: Hashable, Sendable {
  let id: PointID
  let created: Timestamp
  let sequence: UInt64?
  /// The path of its archive.
  let archive: String

  init(_ point: PointMetadata, in folder: String) {
    (id, created, sequence) = (point.id, point.created, point.sequence)
    archive = "\(folder)/\(point.filename)"
  }

  /// Whether the archive was removed. A folder that is away as a whole may come back with it.
  func isGone(_ files: any FileOperations) -> Bool {
    files.isAbsent(archive) && !files.isAbsent(archive.parentPath)
  }
}

extension FileOperations {
  /// Whether there is no file of this path. A failure is not an absence.
  func isAbsent(_ path: String) -> Bool {
    do { return try status(path) == nil } catch { return false }
  }
}
