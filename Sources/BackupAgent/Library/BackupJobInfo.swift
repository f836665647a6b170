import BackupEngine
import BackupPolicy

/// How a running ``BackupScheduler`` stands.
///
/// ```swift
/// if let job = await scheduler.jobInfo() {
///   print(job.state, job.nextRunTime?.iso8601 ?? "no schedule", job.failures)
/// }
/// ```
public struct BackupJobInfo: Hashable, Sendable {
  /// The schedule as it was written; nil without one.
  public package(set) var schedule: String?
  /// The schedule in words; nil without one.
  public package(set) var scheduleInWords: String?
  /// The zone that the schedule goes by.
  public package(set) var timeZone: String
  /// What makes backups start by themselves.
  public package(set) var mode: TriggerMode
  /// When the schedule next starts a backup; nil where it never does.
  public package(set) var nextRunTime: Timestamp?
  /// What it does at the moment.
  public package(set) var state: State
  /// Why the backup that is running was started, or what the next one waits for.
  public package(set) var reason: String?
  /// Backups in a row that failed; 0 after one that was stored.
  public package(set) var failures: Int
  /// The newest point that it knows of.
  public package(set) var lastBackup: PointID?
  /// When that point was made.
  public package(set) var lastBackupCreated: Timestamp?
  /// Whether changes are seen as they happen; otherwise the files are looked at from time to time.
  public package(set) var isWatching: Bool
  /// What keeps backups from being made at the moment, the oldest first.
  public package(set) var alarms: [AlarmStatus]

  /// What a scheduler is about.
  public enum State: String, Hashable, Sendable {
    /// Nothing has changed that no point covers.
    case idle
    /// A backup is pending and may not start yet.
    case waiting
    /// A backup is being made.
    case running
    /// It was told to stop; what is running ends first.
    case stopping
  }

  init(_ plan: SchedulerPlan, _ status: DatabaseStatus) {
    schedule = plan.schedule?.text
    scheduleInWords = plan.schedule?.words
    timeZone = plan.zone.name
    mode = plan.configuration.mode
    nextRunTime = status.trigger.nextRun
    state = State(status.trigger.state)
    reason = status.trigger.running?.reason ?? status.trigger.waitingFor
    failures = status.trigger.failures
    lastBackup = status.lastPoint
    lastBackupCreated = status.lastPointCreated
    isWatching = status.isWatching
    alarms = status.alarms
  }
}

extension BackupJobInfo.State {
  fileprivate init(_ state: TriggerStatus.State) {
    self =
      switch state {
      case .idle: .idle
      case .waiting: .waiting
      case .running: .running
      case .stopping: .stopping
      }
  }
}
