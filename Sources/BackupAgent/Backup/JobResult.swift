import BackupEngine
import BackupPolicy

/// A backup that is to be taken.
struct BackupOrder: Sendable {
  var trigger: Trigger
  var reason: String
  /// The chain that it is to end, if it is a full that nobody asked for.
  var ends: PointID?

  /// Whether it is stored as a full, also if nothing changed.
  var isFull: Bool { trigger.isAlwaysFull || ends != nil }
}

/// What keeps a repository small, beside the backups.
struct HousekeepingOrder: Sendable {
  /// The rules to remove by; nil: nothing is removed now.
  var retention: RetentionPolicy?
  /// What merges old incrementals; nil: nothing is merged now.
  var thinning: ThinningPolicy?

  var isEmpty: Bool { retention == nil && thinning == nil }
}

/// What came of housekeeping.
struct HousekeepingResult: Sendable {
  /// Whether all was merged that there was to merge; nil if that was not wanted.
  var isFinished: Bool?
  /// Why the clock is not believed, by which it was done.
  var clockDoubt: HoldfastError?
  /// Whether the newest chain should end.
  var advice: FullAdvice?
}

/// What came of a job. `files` is what the slow poll compares from then on: seen before the database was read, so that no
/// later change is taken for known.
enum JobResult: Sendable {
  case assessed(AssessmentReport)
  case backedUp(BackupReport)
  case probed(FollowUp.Probe, files: WatchedFiles)
  /// The connection that the jobs share is closed.
  case closed

  /// The files as they were before the job read the database; nil if it did not.
  var files: WatchedFiles? {
    switch self {
    case .assessed(let report): report.files
    case .backedUp(let report): report.files
    case .probed(_, let files): files
    case .closed: nil
    }
  }
}

/// What a start finds.
enum Assessment: Sendable {
  case unchanged(PointID)
  case due(reason: String)
  case absent(HoldfastError)
}

/// What came of an assessment.
struct AssessmentReport: Sendable {
  var assessment: Result<Assessment, any Error>
  var files: WatchedFiles
  /// Why the clock is not believed.
  var clockDoubt: HoldfastError?
  /// The newest backup, and when it was made.
  var newest: (id: PointID, created: Timestamp)?
  /// When the newest scheduled backup was made.
  var lastScheduled: Timestamp?
  /// Whether the newest chain should end.
  var advice: FullAdvice?
}

/// How a backup ended that did not fail.
enum BackupEnding: Sendable {
  case stored(PointMetadata)
  /// The database is as this backup holds it.
  case unchanged(PointID)
  /// There is nothing to back up: no file, or nothing in it.
  case absent(HoldfastError)
}

/// What came of a backup.
struct BackupReport: Sendable {
  var ending: Result<BackupEnding, any Error>
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

extension ChainWeight {
  /// Of the newest chain of the database's own history, by the metadata alone; nil if there is none.
  ///
  /// - Parameter points: the newest first.
  init?(_ points: [StoredPoint]) {
    let own = points.map(\.metadata).filter { Trigger(rawValue: $0.backupType.rawValue) != nil }
    guard let newest = own.first else { return nil }
    let chain = newest.chainID ?? newest.id
    guard let full = own.first(where: { $0.id == chain && $0.kind == .full }) else { return nil }
    let links = own.filter { $0.chainID == chain && $0.kind == .incremental }
    self.init(
      full: chain, fullBytes: full.compressedSize, incrementals: links.count,
      incrementalBytes: links.reduce(0) { $0.addingClamped($1.compressedSize) })
  }
}
