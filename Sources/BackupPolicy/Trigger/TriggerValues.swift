/// A reading of both clocks.
package struct Moment: Hashable, Sendable {
  /// For calendars.
  package var wall: Timestamp
  /// Milliseconds of a clock that cannot be set and that also counts while the machine sleeps, from
  /// any start; for pauses and ceilings.
  package var monotonic: Int64

  package init(wall: Timestamp, monotonic: Int64) {
    self.wall = wall
    self.monotonic = monotonic
  }
}

/// How a backup ended.
package enum Outcome: Hashable, Sendable {
  /// A point was stored.
  case stored
  /// Nothing had been committed since the last point.
  case unchanged
  /// There was no database, or it was empty. A change is then no longer pending, because the return
  /// of a database is a change; a scheduled run stays pending until then.
  case absent
  ///
  /// - Parameter cause: the error's message, for the recorded decision.
  case failed(HoldfastError.Code, cause: String? = nil)
  /// It was given up because the application closed the database, and our connection had to close
  /// first. It is pending again.
  case yielded
}

/// The agent's messages to the machine.
package enum TriggerEvent: Hashable, Sendable {
  /// The watcher saw an event that may have been a commit.
  case change
  /// The agent has started, and knows the newest points; schedules begin with it.
  ///
  /// `changedWhileDown` if the database differs from that in the last point; `lastScheduled` is the
  /// time of the newest scheduled point, nil if there never was one and so nothing to make up;
  /// `reason` describes the change.
  case startup(
    changedWhileDown: Bool, lastScheduled: Timestamp?, reason: String = "changed since the newest backup")
  case finished(Outcome)
  /// The backup that is about to finish could not determine the changed pages, and took this many
  /// milliseconds to compare all of them.
  case compared(milliseconds: Int64)
  /// The advice about the newest chain after a backup or a compaction; nil if the chain may
  /// continue. Sent before `.finished`.
  case advised(FullAdvice?)
  /// A backup was requested now: SIGUSR1, or a command.
  case requested
  /// A person wants no backup to start by itself for this many milliseconds.
  case pause(milliseconds: Int64)
  /// The pause ends now.
  case resume
  /// The deadline of the last `.wait` has passed, the wall clock was set, or the machine woke from
  /// sleep.
  case tick
  case shutdown
  /// The last backup at the shutdown failed and is tried again now; see
  /// ``TriggerMachine/hasLastBackupFailed``.
  case lastBackupAgain
  /// The settings change from now on. Pending work and the history stay.
  case reload(TriggerSettings)
}

/// When to wake up: at the first of the two times.
package struct Deadline: Hashable, Sendable {
  /// Milliseconds of ``Moment/monotonic``.
  package var monotonic: Int64?
  /// For schedules and quiet hours; it moves if the clock is set.
  package var wall: Timestamp?

  package init(monotonic: Int64? = nil, wall: Timestamp? = nil) {
    self.monotonic = monotonic
    self.wall = wall
  }

  /// Whether it has passed.
  package func isReached(at moment: Moment) -> Bool {
    monotonic.map { $0 <= moment.monotonic } ?? false || wall.map { $0 <= moment.wall } ?? false
  }

  /// The first of the two times, by the wall clock.
  func wallTime(from now: Moment) -> Timestamp? {
    let rest = monotonic.map { now.wall.milliseconds.addingClamped($0.addingClamped(-max(now.monotonic, -.max))) }
    return [wall, rest.map { Timestamp(milliseconds: $0).writable }].compactMap { $0 }.min()
  }

  /// The earlier time of each clock.
  package func earlier(_ other: Deadline) -> Deadline {
    Deadline(
      monotonic: [monotonic, other.monotonic].compactMap { $0 }.min(), wall: [wall, other.wall].compactMap { $0 }.min())
  }
}

/// The agent's next action. After each, ``TriggerMachine/deadline`` says when to send the next
/// `.tick`.
package enum TriggerAction: Hashable, Sendable {
  /// Sleep until this deadline, then send `.tick`; nil: sleep until an event.
  case wait(until: Deadline?)
  /// Start a backup now, and send `.finished` when it has ended.
  case start(BackupType, reason: String)
  /// Start a full now that ends the newest chain, whether or not anything has changed, and send
  /// `.finished` when it has ended. It counts as a backup for changes.
  case renew(FullAdvice, reason: String)
  /// A possible action is omitted, and nothing starts.
  case skip(reason: String)
  /// Leave: nothing is running any more.
  case stop
}

/// The machine's state and its reasons, as a value that a status page can print.
package struct TriggerStatus: Hashable, Sendable {
  package enum State: String, Hashable, Sendable {
    /// Nothing is pending.
    case idle
    /// Some work is pending and may not start yet.
    case waiting
    case running
    /// Asked to stop; the running backup ends first.
    case stopping
  }

  /// A backup that is pending, or running.
  package struct Work: Hashable, Sendable {
    package var trigger: BackupType
    /// The start: the first change that no backup covers, the time of the scheduled run, or the
    /// request; of a running backup, its start.
    package var since: Timestamp
    package var reason: String
  }

  package var mode: TriggerMode
  package var state: State
  /// The backup that is running.
  package var running: Work?
  /// Work that no backup covers yet, in the order in which it will be done.
  package var pending: [Work]
  /// The next run by the clock; nil if there is no schedule, or no further run.
  package var nextRun: Timestamp?
  /// When the next decision is due, and the reason for waiting; nil if only an event can change
  /// anything.
  package var deadline: Deadline?
  package var waitingFor: String?
  /// The time of the first change that no stored backup holds; nil if all is stored.
  package var unprotectedSince: Timestamp?
  /// The end of the pause that a person asked for; nil if there is none.
  package var pausedUntil: Timestamp?
  /// Failures in a row.
  package var failures: Int
  /// Whether a running backup may be given up for an application that closes the database: twice in
  /// a row, but not the third.
  package var mayYield: Bool
  /// Up to this time the oldest change waits, or waited, by design: for the end of the quiet hours or
  /// for a scheduled run; nil if it does not.
  package var heldUntil: Timestamp?
  /// When the pending work may start, by the wall clock; nil if only an event decides it.
  package var waitsUntil: Timestamp?
  /// The last decisions, oldest first; at most 20.
  package var decisions: [TriggerDecision]
}

/// A decision and its reason.
package struct TriggerDecision: Hashable, Sendable {
  package enum Kind: Hashable, Sendable {
    case start(BackupType)
    /// A possible action was omitted.
    case skip
    /// A backup is pending and has to wait.
    case wait
    /// A backup ended without a point.
    case failure
    /// The basis of decisions has changed: settings, or the clock.
    case notice
  }

  package var time: Timestamp
  package var kind: Kind
  package var reason: String
}

/// The last decisions.
struct TriggerHistory: Hashable, Sendable {
  static let capacity = 20

  private(set) var decisions: [TriggerDecision] = []
  /// All that were ever recorded.
  private(set) var count = 0

  mutating func record(_ kind: TriggerDecision.Kind, _ reason: String, at time: Timestamp) {
    count += 1
    if decisions.count == Self.capacity { decisions.removeFirst() }
    decisions.append(TriggerDecision(time: time, kind: kind, reason: reason))
  }
}

/// The time of a comparison that counts for the pause after it.
package enum ComparisonCost {
  /// Bytes in a millisecond on a slow disk.
  private static let slowestRate: Int64 = 4000

  /// - Parameters:
  ///   - milliseconds: the elapsed time.
  ///   - bytes: of the database.
  /// - Returns: at most the time that a slow disk needs, plus one second. A process that was
  ///   stopped in the middle (SIGSTOP, a freezer, a suspended machine) compared nothing in that
  ///   time, and must not pause for ten times as long.
  package static func counted(_ milliseconds: Int64, bytes: Int64) -> Int64 {
    min(milliseconds, 1000 + max(0, bytes) / slowestRate)
  }
}
