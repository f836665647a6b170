import BackupEngine
import BackupPolicy
import Logging

/// What the loop knows of one database's drills.
struct GuardedDrills {
  var machine: DrillMachine
  /// Why a drill is to begin as soon as the housekeeping is free.
  var reason: String?
  /// The history is to be read.
  var owesLook = true
  /// The one that goes on, or the look at the history.
  var running: Progress?
  /// The last that is known of the history.
  var figures: DrillFigures?
  /// The history's folder when it was read.
  var seen: FileStatus?
  /// The first look has ended.
  var isReady = false

  init(_ settings: DrillSettings) {
    machine = DrillMachine(settings: settings)
  }
}

extension DatabaseGuard {
  /// Begins what is to be done, beside the jobs; whoever calls sees to it that no thinning is going on.
  func beginDrill() {
    guard drills.running == nil, !isStopping, drills.owesLook || drills.reason != nil else { return }
    guard drills.isReady || settings.drills.isActive || DrillWork.folder(of: service) != nil else {
      // Nobody drills here: no thread is worth it.
      (drills.isReady, drills.owesLook) = (true, false)
      return tell(.startup(DrillStanding()))
    }
    let progress = Progress()
    drills.running = progress
    let work = DrillWork(service: service, assertions: settings.assertions, logger: logger)
    // The first look tells what is due, so it comes first.
    if let reason = drills.reason, drills.isReady {
      drills.reason = nil
      logger.info("drilling \(database.name): \(reason)")
      shared.housekeeping.submit(id) { [id] in .drilled(id, work.drill(progress)) }
    } else {
      shared.housekeeping.submit(id) { [id] in .drilled(id, work.look()) }
    }
    drills.owesLook = false
  }

  /// Takes what was drilled, or read in the history.
  func finish(_ result: DrillResult) {
    guard drills.running != nil else { return }
    drills.running = nil
    drills.seen = result.seen
    drills.figures = result.figures ?? drills.figures
    let standing = drills.figures?.standing ?? drills.machine.standing
    if let ending = result.ending {
      let failedBefore = alarms.contains(.drillFailed)
      tell(.finished(ending, standing))
      if case .done = ending, failedBefore { repeatFailure() }
    } else if drills.isReady {
      tell(.learned(standing))
    } else {
      drills.isReady = true
      tell(.startup(standing))
    }
    pump()
  }

  /// Tells the machine, and does what it says.
  func tell(_ event: DrillMachine.Event) {
    switch drills.machine.receive(event, at: clock.moment) {
    case .start(let reason):
      drills.reason = reason
      pump()
    case .skip(let reason): logger.info("skipped: \(reason)")
    case .wait: break
    }
    noteConcerns()
  }

  /// The machine's deadline has come, or the wall clock was set.
  func handleDrillTime(_ moment: Moment, clockSet: Bool = false) {
    guard drills.isReady, clockSet || drills.machine.deadline.isReached(at: moment) else { return }
    tell(.tick)
  }

  /// Somebody may have drilled by hand, or the first backup been made, whose age counts where there never was a drill.
  func lookForDrills() {
    guard drills.isReady, drills.running == nil else { return }
    let isFirst = newest != nil && settings.drills.isActive && drills.machine.standing.oldestPoint == nil
    guard isFirst || DrillWork.folder(of: service)?.modified != drills.seen?.modified else { return }
    drills.owesLook = true
    pump()
  }

  private func noteConcerns() {
    var found: Set<Alarm> = []
    for concern in drills.machine.concerns {
      let alarm = Alarm(concern)
      found.insert(alarm)
      raise(alarm, concern.error)
    }
    clearAlarms(Alarm.ofDrills.subtracting(found))
  }

  /// An alarm is told once, and each drill that fails is something new.
  private func repeatFailure() {
    for case .failed(let words) in drills.machine.concerns { logger.error("\(DrillConcern.failed(words).error)") }
  }
}

extension DrillConcern {
  fileprivate var error: HoldfastError {
    HoldfastError(.verificationFailed, words, hint: "holdfast drill tells more")
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
