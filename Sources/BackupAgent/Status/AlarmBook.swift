import BackupEngine
import BackupPolicy
import Logging

/// The alarms of one database and their lines in the log: an alarm is logged when it begins, each
/// hour while it lasts, and when it ends. Belongs to the loop's thread.
final class AlarmBook {
  /// The paths that the log lines name.
  struct Paths {
    /// The database as the user wrote it, and its folder.
    var database: String
    var folder: String
    var repository: String

    /// - Parameter folder: the database's folder, with links resolved; nil if it is not known yet.
    init(_ engine: Engine, folder: String? = nil) {
      database = engine.database ?? ""
      self.folder = folder ?? WatchedPath(database).folder
      repository = engine.folder
    }
  }

  private struct Key: Hashable {
    var alarm: Alarm
    /// The name of the target or channel; nil if the alarm is not about one.
    var target: String?

    /// As messages and files have it.
    ///
    /// - Parameter database: its name; nil in the file of one database.
    func open(of database: String? = nil) -> OpenAlarm.Key {
      OpenAlarm.Key(database: database, kind: alarm.rawValue, subject: target)
    }
  }

  private struct Entry {
    var since: Timestamp
    var message: String
    var hint: String?
    /// When the alarm is logged again if it lasts, in monotonic milliseconds.
    var nextLine: Int64

    func alarm(_ key: OpenAlarm.Key) -> OpenAlarm { OpenAlarm(key, since: since, message: message, hint: hint) }
  }

  /// An alarm that lasts is logged again after this, in milliseconds.
  private static let lineInterval: Int64 = 60 * 60_000

  var paths: Paths
  /// The number of fulls of this process that found pages that had changed without being tracked.
  private(set) var trackerMisses = 0
  private var entries: [Key: Entry] = [:]
  private var memory: AlarmMemory
  /// The alarms of targets that have ended, until that is logged: a target may fail again in between.
  private var ended: [Key: (since: Timestamp, due: Int64)] = [:]
  private let clock: LoopClock
  private let reporter: DatabaseReporter
  private let logger: Logger

  /// - Parameter file: has the alarms of the agent before this one.
  init(_ paths: Paths, _ file: AlarmFile, _ clock: LoopClock, _ reporter: DatabaseReporter, _ logger: Logger) {
    (self.paths, self.clock, self.reporter, self.logger) = (paths, clock, reporter, logger)
    memory = AlarmMemory(file, at: clock.moment, logger)
    for alarm in Alarm.outlastingAgents {
      let key = Key(alarm: alarm)
      guard let known = memory.take(key.open()) else { continue }
      entries[key] = Entry(
        since: min(known.since, clock.now), message: known.message, hint: known.hint, nextLine: clock.monotonic)
    }
  }

  /// Raises the alarm if there is an error; otherwise clears it.
  ///
  /// - Parameter target: the target that it is about.
  func update(_ alarm: Alarm, _ error: HoldfastError?, of target: String? = nil) {
    if let error { raise(alarm, error, of: target) } else { clear([alarm], of: target) }
  }

  func raise(_ alarm: Alarm, _ error: HoldfastError, of target: String? = nil) {
    let key = Key(alarm: alarm, target: target)
    let facts = Logger.Metadata.about(.alarm, target: target, alarm: alarm.rawValue, error)
    if record(key, error) { return logger.error("\(error)", metadata: facts) }
    // The shipping of a target logs its failures itself.
    guard target == nil, let entry = entries[key], entry.nextLine <= clock.monotonic else {
      return logger.debug("still: \(error)")
    }
    entries[key]?.nextLine = clock.monotonic.addingClamped(Self.lineInterval)
    logger.error("since \(entry.since.iso8601): \(error)", metadata: facts)
  }

  /// Raises the alarm for a database without anything to back up.
  func raise(absent error: HoldfastError) {
    switch error.code {
    case .databaseMissing: raise(.missing, error)
    case .logDeleted: raise(.logDeleted, error)
    default: raise(.empty, error)
    }
  }

  func clear(_ alarms: Set<Alarm>, of target: String? = nil) {
    for alarm in alarms.sorted(by: { $0.rawValue < $1.rawValue }) {
      let key = Key(alarm: alarm, target: target)
      memory.forget(key.open(), at: clock.monotonic)
      guard let entry = entries.removeValue(forKey: key) else { continue }
      let text = target.map { ending(of: alarm, $0) } ?? ending(of: alarm)
      if target == nil {
        logger.notice("\(text)", metadata: .about(.alarmOver, alarm: alarm.rawValue))
      } else {
        ended[key] = (entry.since, clock.monotonic.addingClamped(Self.quiet))
      }
      report(key, text, hint: nil, began: false)
    }
  }

  /// Milliseconds for which a target must work before the log says that it does again.
  static let quiet: Int64 = 60_000

  /// When something is due, monotonic; nil if nothing is.
  var deadline: Int64? { (ended.values.map { $0.due } + [memory.deadline].compactMap(\.self)).min() }

  /// Logs the ends that are due, and writes the file if it is.
  func handleTime(at time: Int64) {
    logEnds(at: time)
    memory.handleTime(at: time) { openOfDatabase }
  }

  /// The agent ends.
  func end() { memory.save(openOfDatabase) }

  /// Logs the alarms that ended some time ago.
  func logEnds(at time: Int64) {
    let over = ended.filter { $0.value.due <= time }.keys
    for key in over.sorted(by: { ($0.target ?? "", $0.alarm.rawValue) < ($1.target ?? "", $1.alarm.rawValue) }) {
      ended[key] = nil
      guard let target = key.target else { continue }
      let facts = Logger.Metadata.about(.alarmOver, target: target, alarm: key.alarm.rawValue)
      logger.notice("\(ending(of: key.alarm, target))", metadata: facts)
    }
  }

  /// Forgets the alarms of a target that is no longer configured.
  func forget(target: String) {
    ended = ended.filter { $0.key.target != target }
    entries = entries.filter { $0.key.target != target || $0.key.alarm == .notificationFailed }
    memory.forget(target: target, at: clock.monotonic)
    reporter.recordAlarmChange()
  }

  /// Messages by a channel are not accepted, or accepted again. The caller logs it, because all
  /// databases have the alarm.
  func record(channel: String, _ error: HoldfastError?) {
    record(Key(alarm: .notificationFailed, target: channel), error, end: "messages by \(channel) are accepted again")
  }

  /// The signs of life are not accepted, or accepted again. The caller logs it.
  func record(heartbeat error: HoldfastError?) {
    record(Key(alarm: .heartbeatFailed), error, end: "the signs of life are accepted again")
  }

  private func record(_ key: Key, _ error: HoldfastError?, end: String) {
    if let error {
      _ = record(key, error)
    } else if entries.removeValue(forKey: key) != nil {
      report(key, end, hint: nil, began: false)
    }
  }

  /// An alarm has begun or ended.
  private func report(_ key: Key, _ message: String, hint: String?, began: Bool) {
    memory.recordChange(at: clock.monotonic)
    reporter.recordAlarm(key.alarm.rawValue, message, hint: hint, began: began)
  }

  func contains(_ alarm: Alarm, of target: String? = nil) -> Bool { entries[Key(alarm: alarm, target: target)] != nil }

  var count: Int { entries.count }

  var status: [AlarmStatus] {
    entries.sorted { ($0.value.since, $0.key.alarm.rawValue) < ($1.value.since, $1.key.alarm.rawValue) }.map {
      AlarmStatus(kind: $0.key.alarm.rawValue, since: $0.value.since, message: $0.value.message, hint: $0.value.hint)
    }
  }

  /// The alarms as messages have them. One about a channel or the signs of life is about the agent.
  ///
  /// - Parameter database: its name.
  func open(of database: String) -> [OpenAlarm] {
    entries.map { key, entry in
      entry.alarm(key.open(of: Alarm.ofAgent.contains(key.alarm) ? nil : database))
    }
  }

  /// The alarms as the file of the database has them. Those about the agent are in no file.
  private var openOfDatabase: [OpenAlarm] {
    entries.filter { !Alarm.ofAgent.contains($0.key.alarm) }.map { $0.value.alarm($0.key.open()) }
  }

  /// The alarm about a channel.
  static func key(ofChannel name: String) -> OpenAlarm.Key {
    OpenAlarm.Key(database: nil, kind: Alarm.notificationFailed.rawValue, subject: name)
  }

  /// The alarm about the signs of life.
  static let heartbeatKey = OpenAlarm.Key(database: nil, kind: Alarm.heartbeatFailed.rawValue, subject: nil)

  // MARK: Results of jobs

  /// - Returns: the reason why a backup is due; nil if no backup is due.
  func record(_ assessment: Result<Assessment, any Error>) -> String? {
    switch assessment {
    case .success(.unchanged(let point)):
      logger.info("nothing has changed since \(point)")
      return nil
    case .success(.due(let reason)): return reason
    case .success(.absent(let error)):
      raise(absent: error)
      return nil
    case .failure(let error):
      // Either the backup fails in the same way and is retried, or it succeeds.
      logger.warning("the newest backup could not be compared with the database: \(error)")
      return "the content of the newest backup is not known"
    }
  }

  /// - Parameter hasYielded: the backup was given up for the application.
  func record(_ report: BackupReport, hasYielded: Bool) -> Outcome {
    record(report.audit)
    update(.lowSpace, report.shortage)
    switch report.ending {
    case .success(.stored):
      clear(Alarm.ofBackups)
      return .stored
    case .success(.unchanged(let point)):
      clear(Alarm.ofBackups)
      logger.info("skipped: nothing was committed since \(point)")
      return .unchanged
    case .success(.absent(let error)):
      raise(absent: error)
      return .absent
    case .failure(let error as HoldfastError) where error.code == .interrupted:
      if hasYielded { return .yielded }
      logger.warning("the backup was abandoned")
      return .failed(.interrupted)
    case .failure(let error):
      let error = HoldfastError(wrapping: error)
      raise(report.alarm(error.code), error)
      return .failed(error.code, cause: error.message)
    }
  }

  /// The agent stops while a change is in no backup.
  ///
  /// - Parameter hasFailed: its backup failed; otherwise there was no time for it.
  func reportPendingChange(since: Timestamp, hasFailed: Bool) {
    let failure = hasFailed ? entries.first { Alarm.ofBackups.contains($0.key.alarm) }?.value.message : nil
    let reason = failure.map { ": \($0)" } ?? ""
    logger.log(
      level: hasFailed ? .error : .warning,
      "stopped while a change of \(paths.database), pending since \(since.iso8601), is in no backup\(reason)",
      metadata: ["hint": "the next start backs it up; holdfast agent --once does so now"])
  }

  /// Records the result of a full's audit of the tracker. The worker that found a miss has already
  /// logged it.
  private func record(_ audit: AuditOutcome?) {
    switch audit {
    case .missed(let miss):
      trackerMisses += 1
      _ = record(Key(alarm: .trackerMiss), miss.error)
    case .passed: clear([.trackerMiss])
    case .notAudited, nil: break
    }
  }

  /// - Returns: whether the alarm is new to a reader of the log.
  private func record(_ key: Key, _ error: HoldfastError) -> Bool {
    let (known, again) = (entries[key], ended.removeValue(forKey: key)?.since)
    let before = known == nil ? memory.take(key.open()).map { min($0.since, clock.now) } : nil
    entries[key] = Entry(
      since: known?.since ?? again ?? before ?? clock.now, message: error.message, hint: error.hint,
      nextLine: known?.nextLine ?? clock.monotonic.addingClamped(Self.lineInterval))
    if known == nil { report(key, error.message, hint: error.hint, began: true) }
    return known == nil && again == nil
  }

  /// The log line for the end of an alarm.
  private func ending(of alarm: Alarm) -> String {
    let (database, repository) = (paths.database, paths.repository)
    return switch alarm {
    case .folder: "the folder \(paths.folder) exists now"
    case .unwatched: "the folder \(paths.folder) is watched again"
    case .missing: "the database \(database) exists now"
    case .empty: "the database \(database) is no longer empty"
    case .locked: "the database \(database) can be read again"
    case .logDeleted: "no application writes to a deleted log of \(database) any longer"
    case .corrupt: "the database \(database) is readable as a database again"
    case .permission: "access to \(database) and \(repository) is permitted again"
    case .diskFull: "\(repository) has free space again"
    case .key: "the key is available again"
    case .keyFile: "the key file holds the key of the backups again"
    case .otherAgent: "no other agent uses \(repository) any longer"
    case .trackerMiss: "every change of \(database) since the last full backup was detected"
    case .lowSpace: "\(repository) has the configured free space again"
    case .drillFailed: "a drill of \(database) has passed"
    case .drillTooOld: "the drills of \(database) are recent enough again"
    case .clock: "the clock is trusted again"
    case .failing: "backups of \(database) work again"
    case .targetBehind, .targetDenied, .targetFull, .clockWrong, .targetIncomplete, .targetForeign, .targetTakenOver,
      .targetRetention, .targetMissing, .notificationFailed, .heartbeatFailed:
      ending(of: alarm, "of \(database)")
    }
  }

  /// The log line for the end of an alarm of a target.
  private func ending(of alarm: Alarm, _ target: String) -> String {
    switch alarm {
    case .targetBehind: "target \(target): it has the recent backups again"
    case .targetDenied: "target \(target): it accepts requests again"
    case .targetFull: "target \(target): it has space again"
    case .clockWrong: "target \(target): this machine's clock agrees with the store's again"
    case .targetIncomplete: "target \(target): each backup in it can be restored again"
    case .targetForeign: "target \(target): it holds no backups of another repository any longer"
    case .targetTakenOver: "target \(target): no other machine writes to it any longer"
    case .targetMissing: "target \(target): its folder is there again"
    case .key: "target \(target): the key opens the backups again"
    case .targetRetention: "target \(target): archives can be removed again"
    default: "target \(target): \(alarm.rawValue) is over"
    }
  }
}

extension HoldfastError {
  init(wrapping error: any Error) {
    self = error as? HoldfastError ?? HoldfastError(.failed, "\(error)")
  }
}
