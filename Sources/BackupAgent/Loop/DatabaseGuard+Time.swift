import BackupEngine
import BackupPolicy

extension DatabaseGuard {
  /// When something is due by a clock.
  var deadline: Deadline {
    var deadline = machine.deadline?.until ?? Deadline()
    let others = [release.deadline] + (isStopping ? [] : [nextLook, job == nil ? nextPoll : nil, nextRelease])
    let drill = isStopping || !drills.isReady ? Deadline() : drills.machine.deadline
    deadline.monotonic = (others + [deadline.monotonic, drill.monotonic]).compactMap { $0 }.min()
    deadline.wall = [deadline.wall, drill.wall].compactMap { $0 }.min()
    return deadline
  }

  /// A look would say nothing new while a backup is owed, and nobody waits for it where changes start none.
  private var nextLook: Int64? {
    job == nil && !isChangeOwed && settings.mode != .schedule ? followUp.deadline : nil
  }

  private var nextRelease: Int64? { job == nil ? hold.deadline : nil }

  /// Does what is due.
  func handleTime() {
    let moment = clock.moment
    if unheard != nil, deadline.isReached(at: moment) { noteUnheard(at: moment) }
    if let until = machine.deadline?.until, until.isReached(at: moment) { act(machine.receive(.tick, at: moment)) }
    if let deadline = release.deadline, deadline <= moment.monotonic { makeWay() }
    guard !isStopping else { return }
    handleDrillTime(moment)
    if job == nil, nextPoll <= moment.monotonic { poll(at: moment.monotonic) }
    if let deadline = nextLook, deadline <= moment.monotonic { run(.looking) { $0.look($1) } }
    if let deadline = nextRelease, deadline <= moment.monotonic { run(.releasing) { $0.release($1) } }
    if mayStopHearing { stopHearing() }
  }

  /// The wall clock was set: what is due by it may have changed.
  func handleClockSet() {
    checkClock()
    act(machine.receive(.tick, at: clock.moment))
    handleDrillTime(clock.moment, clockSet: true)
  }

  /// At multiples of the interval, so that the polls of all databases share their wake-ups.
  func schedulePoll() {
    let interval = max(100, settings.pollInterval)
    nextPoll = (clock.monotonic / interval + 1) * interval
  }
}
