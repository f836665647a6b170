import BackupEngine
import BackupPolicy
import Logging

/// The work that runs beside the jobs of one database, one thing at a time: drills, retention and
/// compaction. Belongs to the loop's thread.
final class Housekeeper {
  private enum State {
    case idle
    case housekeeping(Progress)
    case drill(Progress)

    var progress: Progress? {
      switch self {
      case .idle: nil
      case .housekeeping(let progress), .drill(let progress): progress
      }
    }
  }

  let drills: DrillRunner
  private var state = State.idle
  private var compactionRhythm = HousekeepingRhythm()
  private var cleaningRhythm = HousekeepingRhythm()
  private let id: DatabaseID
  private let shared: LoopContext
  private let alarms: AlarmBook
  private let logger: Logger

  init(_ id: DatabaseID, _ drills: DrillSettings, _ shared: LoopContext, _ alarms: AlarmBook, _ logger: Logger) {
    (self.id, self.shared, self.alarms, self.logger) = (id, shared, alarms, logger)
    self.drills = DrillRunner(drills, alarms, shared.clock, logger)
  }

  var isIdle: Bool { state.progress == nil }

  /// A backup has ended, so housekeeping may be due.
  ///
  /// - Parameter point: nil if no backup was stored.
  func recordBackup(_ point: PointMetadata?) {
    guard let point else { return }
    compactionRhythm.recordBackup()
    guard point.backupType.isFollowedByCleanup else { return }
    cleaningRhythm.recordBackup(atOnce: point.kind == .full)
  }

  /// Detects drills that were run by hand; called with each poll.
  ///
  /// - Returns: whether there is work to begin.
  func detectDrills(of database: AgentDatabase, hasBackup: Bool) -> Bool {
    if case .drill = state { return false }
    return drills.detectHistory(of: database, hasBackup: hasBackup)
  }

  /// Begins the work that is due, if nothing is running.
  func runNext(of database: AgentDatabase, _ housekeeping: Housekeeping) {
    guard isIdle else { return }
    if let step = drills.beginStep(for: database) { return begin(step, of: database) }
    let (settings, time) = (database.settings, shared.clock.monotonic)
    var order = HousekeepingOrder()
    if settings.retention != nil, cleaningRhythm.begin(at: time) { order.retention = settings.retention }
    if settings.compaction != nil, compactionRhythm.begin(at: time) { order.compaction = settings.compaction }
    guard !order.isEmpty else { return }
    let progress = Progress()
    state = .housekeeping(progress)
    shared.housekeeping.submit(id) { [id, order] in .keptHouse(id, housekeeping.run(order, progress)) }
  }

  private func begin(_ step: DrillRunner.Step, of database: AgentDatabase) {
    let progress = Progress()
    state = .drill(progress)
    let work = DrillWork(engine: database.engine, assertions: database.settings.assertions, logger: logger)
    switch step {
    case .readHistory: shared.housekeeping.submit(id) { [id] in .drilled(id, work.readHistory()) }
    case .drill(let reason):
      logger.info("drilling \(database.name): \(reason)")
      shared.housekeeping.submit(id) { [id] in .drilled(id, work.drill(progress)) }
    }
  }

  /// - Returns: false if the work was withdrawn before.
  func finish(_ result: HousekeepingResult) -> Bool {
    guard end() else { return false }
    if let isFinished = result.isFinished { compactionRhythm.end(isFinished: isFinished) }
    alarms.update(.clock, result.clockDoubt)
    return true
  }

  /// - Returns: false if the work was withdrawn before.
  func finish(_ result: DrillResult) -> Bool {
    guard end() else { return false }
    drills.finish(result)
    return true
  }

  /// Stops the running work for good.
  func stop() {
    state.progress?.stop()
    if shared.housekeeping.withdraw(id) { state = .idle }
    drills.stop()
  }

  private func end() -> Bool {
    defer { state = .idle }
    return !isIdle
  }
}
