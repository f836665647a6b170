import BackupEngine
import BackupPolicy
import Logging

/// Decides when one database's drills run, and holds their figures. Belongs to the loop's thread.
final class DrillRunner {
  /// Work for the housekeeping thread.
  enum Step {
    case readHistory
    case drill(reason: String)
  }

  private var machine: DrillMachine
  /// The reason for a drill that begins as soon as housekeeping is free.
  private var dueReason: String?
  private var needsHistory = true
  /// The first reading of the history has ended.
  private var isReady = false
  /// The history was read, or drills are not used.
  private var isKnown = false
  private var figures: DrillFigures?
  /// The status of the history's folder when it was read.
  private var seen: FileStatus?
  private let alarms: AlarmBook
  private let clock: LoopClock
  private let logger: Logger

  init(_ settings: DrillSettings, _ alarms: AlarmBook, _ clock: LoopClock, _ logger: Logger) {
    machine = DrillMachine(settings: settings)
    (self.alarms, self.clock, self.logger) = (alarms, clock, logger)
  }

  var deadline: Deadline { isReady ? machine.deadline : Deadline() }

  var isRunning: Bool { machine.isRunning }

  var status: DrillStatus {
    let summary = machine.summary
    return DrillStatus(
      newestProven: figures?.newestProven, last: summary.last, lastPassed: summary.lastPassed,
      failure: summary.failure?.words, recovery: figures?.lastRecovery?.restore, next: machine.upcoming,
      isRunning: machine.isRunning)
  }

  /// The next step, if there is one; the caller must run it. The history comes first because it
  /// decides when a drill is due.
  func beginStep(for database: AgentDatabase) -> Step? {
    guard needsHistory || dueReason != nil else { return nil }
    guard isReady || database.settings.drills.isActive || DrillWork.folder(of: database.engine) != nil else {
      // Drills are not used here, so no thread is started for them.
      (isReady, needsHistory) = (true, false)
      isKnown = DrillWork.hasRepository(database.engine)
      receive(.startup(DrillSummary()))
      return nil
    }
    needsHistory = false
    guard isReady, let reason = dueReason else { return .readHistory }
    dueReason = nil
    return .drill(reason: reason)
  }

  /// A step has ended.
  func finish(_ result: DrillResult) {
    seen = result.seen
    figures = result.figures ?? figures
    isKnown = isKnown || figures != nil
    let summary = figures?.summary ?? machine.summary
    if let ending = result.ending {
      let failedBefore = alarms.contains(.drillFailed)
      receive(.finished(ending, summary))
      if case .done = ending, failedBefore { repeatFailure() }
    } else if isReady {
      receive(.learned(summary))
    } else {
      isReady = true
      receive(.startup(summary, wasTooOld: alarms.contains(.drillTooOld)))
    }
  }

  /// Detects a drill that was run by hand, or the first backup. If there never was a drill, the age
  /// of the first backup counts.
  ///
  /// - Returns: whether to read the history.
  func detectHistory(of database: AgentDatabase, hasBackup: Bool) -> Bool {
    guard isReady else { return false }
    let isFirst = hasBackup && database.settings.drills.isActive && machine.summary.oldestPoint == nil
    if isFirst || DrillWork.folder(of: database.engine)?.modified != seen?.modified { needsHistory = true }
    return needsHistory
  }

  /// The wall clock was set.
  ///
  /// - Returns: whether to begin a drill now.
  func tick() -> Bool {
    if isReady { receive(.tick) }
    return dueReason != nil
  }

  /// - Returns: whether to begin a drill now.
  func tick(at moment: Moment) -> Bool { deadline.isReached(at: moment) && tick() }
  func reload(_ settings: DrillSettings) { receive(.reload(settings)) }
  func stop() { receive(.shutdown) }

  private func receive(_ event: DrillMachine.Event) {
    switch machine.receive(event, at: clock.moment) {
    case .start(let reason): dueReason = reason
    case .skip(let reason): logger.info("skipped: \(reason)")
    case .wait: break
    }
    reportConcerns()
  }

  private func reportConcerns() {
    // Until then the alarms of the agent before this one are all that is known.
    guard isReady, isKnown else { return }
    var found: Set<Alarm> = []
    for concern in machine.concerns {
      let alarm = Alarm(concern)
      found.insert(alarm)
      alarms.raise(alarm, concern.error)
    }
    alarms.clear(Alarm.ofDrills.subtracting(found))
  }

  /// An alarm is logged only once, but each failed drill is news.
  private func repeatFailure() {
    for case .failed(let words) in machine.concerns { logger.error("\(DrillConcern.failed(words).error)") }
  }
}

extension DrillConcern {
  fileprivate var error: HoldfastError {
    HoldfastError(.verificationFailed, words, hint: "run holdfast drill for details")
  }
}

extension Alarm {
  fileprivate init(_ concern: DrillConcern) {
    switch concern {
    case .failed: self = .drillFailed
    case .tooOld: self = .drillTooOld
    }
  }
}
