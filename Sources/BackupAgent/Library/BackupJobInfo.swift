import BackupEngine
import BackupPolicy

/// The status of a running ``BackupScheduler``.
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
  /// The time zone of the schedule.
  public package(set) var timeZone: String
  /// The events that start backups automatically.
  public package(set) var mode: TriggerMode
  /// The time when the schedule next starts a backup; nil if it never does.
  public package(set) var nextRunTime: Timestamp?
  /// The present activity.
  public package(set) var state: State
  /// The reason for the running backup, or the event for which the next one waits.
  public package(set) var reason: String?
  /// The number of consecutive failed backups; 0 after one that was stored.
  public package(set) var failures: Int
  /// The newest backup that the scheduler knows.
  public package(set) var lastBackup: PointID?
  /// When that backup was made.
  public package(set) var lastBackupCreated: Timestamp?
  /// Whether changes are seen immediately. If false, the files are checked at intervals.
  public package(set) var isWatching: Bool
  /// The present obstacles to backups, the oldest first.
  public package(set) var alarms: [AlarmStatus]

  /// The activity of a scheduler.
  public enum State: String, Hashable, Sendable {
    /// Every known change is in a backup.
    case idle
    /// A backup is pending and may not start yet.
    case waiting
    /// A backup is being made.
    case running
    /// The scheduler is stopping; the running work ends first.
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
