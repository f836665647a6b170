/// Decides when a backup starts, from events and times alone.
///
/// At most one backup is running and at most one is owed. A change is owed until a backup that started after it has
/// succeeded; when it may start is the latest of a list of constraints (quiet, floor, backoff), each with its reason. A
/// request of a person waits only for a backup that is running; where it fails the person is told, and only a change that it
/// would have covered is tried again.
package struct TriggerMachine: Sendable {
  package let settings: TriggerSettings

  /// A change that no backup covers yet.
  private struct Owed {
    /// Monotonic milliseconds of the first and the latest change.
    var first: Int64
    var last: Int64
    /// Whether it need not wait for quiet: it happened before the agent started, or was tried already.
    var quiet = false
    var reason: String?
  }

  private struct Running {
    /// What it covers, and what is owed again where it fails.
    var covers: Owed?
  }

  private var owed: Owed?
  private var requested = false
  private var running: Running?
  private var lastStart: Int64?
  private var lastFailure: Int64?
  private var failures = 0
  private var stopping = false
  private var clock = Int64.min

  package init(settings: TriggerSettings = TriggerSettings()) {
    self.settings = settings
  }

  /// Takes one event and says what to do next.
  package mutating func receive(_ event: TriggerEvent, at moment: Moment) -> TriggerAction {
    // A monotonic clock does not go back; a caller that mixes two readings up must not make us wait for ever.
    clock = max(clock, moment.monotonic)
    switch event {
    case .change: noteChange()
    case .startup(let changed): if changed { noteChange(quiet: true, "changed while the agent was not running") }
    case .requested:
      if requested, !stopping { return .skip(reason: "a backup that was asked for is waiting already") }
      requested = !stopping
    case .finished(let outcome): finish(outcome)
    case .shutdown: stopping = true
    case .tick: break
    }
    return next()
  }

  /// When the next `.tick` is due, in monotonic milliseconds, and what is waited for; nil where only an event can change
  /// anything.
  package var deadline: (until: Int64, reason: String)? {
    guard running == nil, !stopping, let owed else { return nil }
    let last = lastConstraint(owed)
    return (last.notBefore, last.reason)
  }

  private mutating func noteChange(quiet: Bool = false, _ reason: String? = nil) {
    var change = owed ?? Owed(first: clock, last: clock)
    change.last = clock
    if quiet { (change.quiet, change.reason) = (true, reason) }
    owed = change
  }

  private mutating func finish(_ outcome: Outcome) {
    guard let ended = running else { return }
    running = nil
    guard case .failed = outcome else {
      failures = 0
      lastFailure = nil
      return
    }
    failures += 1
    lastFailure = clock
    // What it should have covered is owed again; a change since then has nothing to wait for but the backoff.
    guard var again = ended.covers else { return }
    again.last = owed?.last ?? again.last
    again.quiet = true
    again.reason = "trying again after \(failures == 1 ? "a failure" : "\(failures) failures")"
    owed = again
  }

  private mutating func next() -> TriggerAction {
    guard running == nil else { return .wait(until: nil) }
    if stopping { return .stop }
    if requested { return start(.manual, "asked for") }
    guard let owed else { return .wait(until: nil) }
    let due = lastConstraint(owed).notBefore
    return due <= clock ? start(.change, reason(owed)) : .wait(until: due)
  }

  private mutating func start(_ trigger: Trigger, _ reason: String) -> TriggerAction {
    running = Running(covers: owed)
    lastStart = clock
    owed = nil
    requested = false
    return .start(trigger, reason: reason)
  }
}

extension TriggerMachine {
  /// Something that a backup waits for.
  private struct Constraint {
    /// Monotonic milliseconds.
    var notBefore: Int64
    var reason: String
  }

  /// The one that is met last; a backup may start when all of them are.
  private func lastConstraint(_ owed: Owed) -> Constraint {
    floors.reduce(quiet(owed)) { $1.notBefore > $0.notBefore ? $1 : $0 }
  }

  /// Quiet after the last change, at the latest `maxDelay` after the first.
  private func quiet(_ owed: Owed) -> Constraint {
    if owed.quiet { return Constraint(notBefore: owed.first, reason: "nothing") }
    let calm = owed.last.addingClamped(settings.debounce)
    let ceiling = owed.first.addingClamped(settings.maxDelay)
    return calm <= ceiling
      ? Constraint(notBefore: calm, reason: "quiet after a change")
      : Constraint(notBefore: ceiling, reason: "the longest delay after a change")
  }

  /// What a backup of this change is taken for.
  private func reason(_ owed: Owed) -> String {
    if let reason = owed.reason { return reason }
    let quietSince = clock.addingClamped(-settings.debounce)
    return owed.last <= quietSince
      ? "changed, then quiet for \(Words.duration(milliseconds: settings.debounce))"
      : "changing for \(Words.duration(milliseconds: settings.maxDelay)) without a pause"
  }

  /// What holds every automatic backup back.
  private var floors: [Constraint] {
    var floors: [Constraint] = []
    if let lastStart {
      floors.append(
        Constraint(notBefore: lastStart.addingClamped(settings.minInterval), reason: "the interval between two backups")
      )
    }
    if let lastFailure {
      floors.append(Constraint(notBefore: lastFailure.addingClamped(backoff), reason: "the pause after a failure"))
    }
    return floors
  }

  /// Doubling with each failure in a row, up to the longest.
  private var backoff: Int64 {
    var pause = settings.firstBackoff
    for _ in 1..<max(1, min(failures, 63)) { pause = pause.addingClamped(pause) }
    return min(pause, settings.maxBackoff)
  }
}
