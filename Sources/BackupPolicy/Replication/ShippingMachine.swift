/// An event for a ``ShippingMachine``.
package enum ShippingEvent: Hashable, Sendable {
  /// A backup was stored, at this time.
  case stored(PointID, Timestamp)
  /// Backups were removed or merged in the repository.
  case changed
  /// A person or new settings ask for a run, so no pause counts any longer.
  case requested
  /// A person asks for the copies now: also if the interval of the target is not over.
  case sync
  case finished(ShippingResult)
  /// The deadline has passed, or the wall clock was set.
  case tick
  /// The last backup is stored: send what is missing, then end.
  case shutdown
}

/// The result of a run, as far as it decides when the next one begins.
package enum ShippingResult: Hashable, Sendable {
  /// - Parameters:
  ///   - unsent: the backups that the target should have and does not; nil if it has all.
  ///   - next: when to run again although nothing new is stored; nil: never.
  case done(unsent: UnsentBackups?, next: Timestamp?)
  /// There is no repository, or its folder is away.
  case noRepository
  /// No request is sent for a pause in milliseconds, whatever happens.
  ///
  /// - Parameters:
  ///   - unsent: nil if the run did not find out.
  ///   - madeProgress: whether the store kept something before the run failed.
  case failed(pause: Int64, unsent: UnsentBackups?, madeProgress: Bool = false)
}

/// The next action for one target. After each, ``ShippingMachine/deadline`` says when to send the
/// next `.tick`.
package enum ShippingAction: Hashable, Sendable {
  /// Make a plan and execute it now, then send `.finished`.
  ///
  /// - Parameter atOnce: also if the interval of the target is not over.
  case run(atOnce: Bool)
  case wait
  /// Nothing will be sent any more.
  case end
}

/// Decides when backups are copied to one target. If nothing is pending and no check is due, it has
/// no deadline.
///
/// - A stored backup, a removal, or a compaction starts a run.
/// - While an interval is not over, or a failed target pauses, events start nothing: the run
///   afterwards covers them all.
/// - At a shutdown, pending backups are sent at once, unless the last run failed.
package struct ShippingMachine: Sendable {
  /// The settings of the target that decide.
  package struct Settings: Hashable, Sendable {
    package var lag: LagPolicy
    /// Seconds between two lists of the target; 0: never.
    package var check: Int64

    package init(lag: LagPolicy = LagPolicy(), check: Int64 = 86400) {
      (self.lag, self.check) = (lag, check)
    }
  }

  private let settings: Settings
  /// The backups that the target should have and does not, as far as that is known.
  package private(set) var unsent: UnsentBackups?
  /// A run has found out what the target should have and does not.
  package private(set) var isKnown = false
  /// Failed runs since the last one that succeeded, or the last one that stored something and failed
  /// then, which is the first of them.
  package private(set) var failures = 0
  /// There is a reason for a run. The first one reads the target.
  private var isPending = true
  /// The start of the present run, monotonic; nil if there is no run.
  private var start: Int64?
  /// The backups that were stored during the present run.
  private var meanwhile: [(id: PointID, created: Timestamp)] = []
  private var pauseEnd: Int64?
  private var next: Timestamp?
  private var checkTime: Int64?
  private var isStopping = false
  private var wasLastRunBegun = false
  /// The next run sends the newest backup although the interval is not over.
  private var isUrgent = false

  package init(_ settings: Settings) { self.settings = settings }

  package var isRunning: Bool { start != nil }
  /// Nothing will be sent any more.
  package private(set) var isOver = false

  /// The number of the present failure, from 1: it decides how long the pause is. On a line that loses
  /// some of its exchanges most runs fail, but a run that stored something shows that the store can be
  /// reached.
  package func attempt(madeProgress: Bool) -> Int { madeProgress ? 1 : failures + 1 }

  /// Whether the target has the backups that it should have.
  package func lag(at now: Timestamp) -> TargetLag { settings.lag.decide(unsent, now: now) }

  /// When the next run begins after a failed one; nil without a failure, or if no run follows.
  package func nextTry(at moment: Moment) -> Timestamp? {
    guard let pauseEnd, !isRunning, !isStopping, !isOver else { return nil }
    let left = max(0, pauseEnd - moment.monotonic)
    return Timestamp(milliseconds: moment.wall.milliseconds.addingClamped(left))
  }

  /// When the next `.tick` is due.
  package func deadline(at now: Timestamp) -> Deadline {
    if isOver { return Deadline() }
    var deadline = Deadline(wall: lagTime(after: now))
    if isRunning || isStopping { return deadline }
    if let pauseEnd {
      deadline.monotonic = pauseEnd
    } else {
      deadline.monotonic = checkTime
      if let next { deadline = deadline.earlier(Deadline(wall: next)) }
    }
    return deadline
  }

  /// When the target begins to count as behind; nil if it does already, or if it will not.
  private func lagTime(after now: Timestamp) -> Timestamp? {
    guard let unsent, case .within = lag(at: now) else { return nil }
    return Timestamp(milliseconds: settings.lag.limit(of: unsent).addingClamped(1))
  }

  package mutating func receive(_ event: ShippingEvent, at moment: Moment) -> ShippingAction {
    switch event {
    case .stored(let id, let created):
      isPending = true
      if isRunning { meanwhile.append((id, created)) }
      add(id, created)
    case .changed: isPending = true
    case .requested: (isPending, pauseEnd, next) = (true, nil, nil)
    case .sync: (isPending, pauseEnd, next, isUrgent) = (true, nil, nil, true)
    case .finished(let result): finish(result, at: moment)
    case .tick: break
    case .shutdown: isStopping = true
    }
    return decide(at: moment)
  }

  private mutating func add(_ id: PointID, _ created: Timestamp) {
    if unsent == nil { unsent = UnsentBackups(count: 0, oldest: id, since: created) }
    unsent?.count += 1
  }

  private mutating func finish(_ result: ShippingResult, at moment: Moment) {
    guard let start else { return }
    self.start = nil
    switch result {
    case .done(let unsent, let next):
      (self.unsent, isKnown, self.next, failures, pauseEnd) = (unsent, true, next, 0, nil)
      for (id, created) in meanwhile { add(id, created) }
      planCheck(after: start)
    case .noRepository:
      (next, failures, pauseEnd) = (nil, 0, nil)
      planCheck(after: start)
    case .failed(let pause, let unsent, let madeProgress):
      failures = attempt(madeProgress: madeProgress)
      pauseEnd = moment.monotonic.addingClamped(max(1, pause))
      isPending = true
      self.unsent = unsent ?? self.unsent
      isKnown = isKnown || unsent != nil
    }
    meanwhile = []
  }

  /// A run lists the target if the last list is that old.
  ///
  /// - Parameter start: of a run that has not failed.
  private mutating func planCheck(after start: Int64) {
    guard settings.check > 0, checkTime.map({ $0 <= start }) ?? true else { return }
    checkTime = start.addingClamped(settings.check.multipliedClamped(by: 1000)).addingClamped(1000)
  }

  private mutating func decide(at moment: Moment) -> ShippingAction {
    if isOver { return .end }
    if isRunning { return .wait }
    if isStopping { return decideEnd(at: moment) }
    if let pauseEnd, pauseEnd > moment.monotonic { return .wait }
    pauseEnd = nil
    if checkTime.map({ $0 <= moment.monotonic }) ?? false { return run(at: moment) }
    if let next {
      // An interval that is far away means that the clock was set.
      if next > moment.wall, next <= latestNext(moment.wall) { return .wait }
      return run(at: moment)
    }
    return isPending ? run(at: moment) : .wait
  }

  private func latestNext(_ now: Timestamp) -> Timestamp {
    Timestamp(milliseconds: now.milliseconds.addingClamped(settings.lag.interval))
  }

  private mutating func decideEnd(at moment: Moment) -> ShippingAction {
    if !wasLastRunBegun, pauseEnd == nil, isPending || next != nil || unsent != nil {
      wasLastRunBegun = true
      return run(at: moment)
    }
    isOver = true
    return .end
  }

  private mutating func run(at moment: Moment) -> ShippingAction {
    let atOnce = isStopping || isUrgent
    (isPending, next, start, isUrgent) = (false, nil, moment.monotonic, false)
    return .run(atOnce: atOnce)
  }
}
