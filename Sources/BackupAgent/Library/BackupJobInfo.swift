import BackupEngine
import BackupPolicy

/// How a running ``BackupScheduler`` stands.
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
  /// The newest point that it knows of.
  public package(set) var lastBackup: PointID?
  /// When that point was made.
  public package(set) var lastBackupCreated: Timestamp?
  /// Whether changes are seen as they happen; otherwise the files are looked at from time to time.
  public package(set) var isWatching: Bool
  /// What keeps backups from being made at the moment, the oldest first.
  public package(set) var alarms: [AlarmStatus]

  init(_ plan: SchedulerPlan, _ status: DatabaseStatus, now: Timestamp) {
    schedule = plan.schedule?.text
    scheduleInWords = plan.schedule?.words
    timeZone = plan.zone.name
    mode = plan.configuration.mode
    nextRunTime = plan.nextRun(after: now)
    lastBackup = status.lastPoint
    lastBackupCreated = status.lastPointCreated
    isWatching = status.isWatching
    alarms = status.alarms
  }
}
