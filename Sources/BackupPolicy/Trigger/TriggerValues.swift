/// A reading of both clocks.
package struct Moment: Hashable, Sendable {
  /// For calendars.
  package var wall: Timestamp
  /// Milliseconds of a clock that nobody sets and that counts on while the machine sleeps, from any start; for pauses and
  /// ceilings.
  package var monotonic: Int64

  package init(wall: Timestamp, monotonic: Int64) {
    self.wall = wall
    self.monotonic = monotonic
  }
}

/// Why a backup is taken; the raw value is the metadata's `backup_type`.
package enum Trigger: String, Hashable, Sendable, CaseIterable {
  case change
  case manual
  case scheduled
}

extension Trigger {
  /// Its backups are fulls, also if nothing changed.
  package var isAlwaysFull: Bool { self != .change }
  /// Its backups are read back in full, whatever the settings say.
  package var isVerified: Bool { self == .scheduled }
  /// Retention removes backups after its backups. Whoever asks for a backup does not ask for a cleanup.
  package var isFollowedByCleanup: Bool { self != .manual }

  /// Nothing is stored if nothing changed since the newest backup.
  package func skipsUnchanged(_ settings: TriggerSettings) -> Bool { self == .scheduled && settings.skipUnchanged }
}

/// How a backup ended.
package enum Outcome: Hashable, Sendable {
  /// A point was stored.
  case stored
  /// Nothing had been committed since the last point.
  case unchanged
  /// There was no database, or nothing in it. A change is no longer pending then, because a database that comes back is a
  /// change; a scheduled run is, until then.
  case absent
  case failed(HoldfastError.Code)
  /// It was given up because the application closed the database, and our connection had to go first. It is pending again.
  case released
}

/// What the agent tells the machine.
package enum TriggerEvent: Hashable, Sendable {
  /// The watcher saw something that may have been a commit.
  case change
  /// The agent has started, and knows what the newest points are; schedules begin with it.
  ///
  /// `changedWhileDown` where the database is not the one that the last point holds; `lastScheduled` is the time of the
  /// newest scheduled point, nil where there never was one and so nothing to make up.
  case startup(changedWhileDown: Bool, lastScheduled: Timestamp?)
  case finished(Outcome)
  /// The backup that is about to finish could not tell what had changed, and took so many milliseconds to compare all pages.
  case compared(milliseconds: Int64)
  /// How the newest chain stands after a backup or a thinning; nil where it may go on. Told before `.finished`.
  case advised(FullAdvice?)
  /// Somebody asked for a backup now: SIGUSR1, later the API.
  case requested
  /// The deadline of the last `.wait` has come, the wall clock was set, or the machine woke from sleep.
  case tick
  case shutdown
  /// The settings are other ones from now on. What is pending and the history stay.
  case reload(TriggerSettings)
}

/// When to wake up: at the one of the two that comes first.
package struct Deadline: Hashable, Sendable {
  /// Milliseconds of ``Moment/monotonic``.
  package var monotonic: Int64?
  /// For schedules and quiet hours; a clock that is set moves it.
  package var wall: Timestamp?

  package init(monotonic: Int64? = nil, wall: Timestamp? = nil) {
    self.monotonic = monotonic
    self.wall = wall
  }

  /// Whether it has come.
  package func isReached(at moment: Moment) -> Bool {
    monotonic.map { $0 <= moment.monotonic } ?? false || wall.map { $0 <= moment.wall } ?? false
  }

  /// Whichever comes first, by each clock.
  package func earlier(_ other: Deadline) -> Deadline {
    Deadline(
      monotonic: [monotonic, other.monotonic].compactMap { $0 }.min(), wall: [wall, other.wall].compactMap { $0 }.min())
  }
}

/// What the agent does next. After each, ``TriggerMachine/deadline`` says when to send the next `.tick`.
package enum TriggerAction: Hashable, Sendable {
  /// Sleep until this deadline, then send `.tick`; nil: sleep until an event.
  case wait(until: Deadline?)
  /// Start a backup now, and send `.finished` when it has ended.
  case start(Trigger, reason: String)
  /// Start a full now that ends the newest chain, whether something has changed or not, and send `.finished` when it has
  /// ended. It counts as a backup for changes.
  case renew(FullAdvice, reason: String)
  /// Something that could have been done is not, and nothing starts.
  case skip(reason: String)
  /// Leave: nothing is running any more.
  case stop
}

/// What the machine does and why, as a value that a status page can print.
package struct TriggerStatus: Hashable, Sendable {
  package enum State: String, Hashable, Sendable {
    /// Nothing is pending.
    case idle
    /// Something is pending and may not start yet.
    case waiting
    case running
    /// Told to stop; what is running ends first.
    case stopping
  }

  /// A backup that is pending, or running.
  package struct Obligation: Hashable, Sendable {
    package var trigger: Trigger
    /// Since when: the first change that no backup covers, the time of the scheduled run, the request; of a running backup,
    /// its start.
    package var since: Timestamp
    package var reason: String
  }

  package var mode: TriggerMode
  package var state: State
  /// The backup that is running.
  package var running: Obligation?
  /// What no backup covers yet, in the order in which it will be done.
  package var pending: [Obligation]
  /// The next run by the clock; nil where there is no schedule, or none that comes again.
  package var nextRun: Timestamp?
  /// When the next decision is due, and what is waited for; nil where only an event can change anything.
  package var deadline: Deadline?
  package var waitingFor: String?
  /// Failures in a row.
  package var failures: Int
  /// Whether a running backup may be given up for an application that closes the database: twice in a row, and the third
  /// is let run.
  package var mayRelease: Bool
  /// The last decisions, oldest first; at most 20.
  package var decisions: [TriggerDecision]
}

/// Something that was decided, and why.
package struct TriggerDecision: Hashable, Sendable {
  package enum Kind: Hashable, Sendable {
    case start(Trigger)
    /// Something that could have been done was not.
    case skip
    /// A backup is pending and waits for something.
    case wait
    /// A backup ended without a point.
    case failure
    /// What decisions rest on is different: settings, or the clock.
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

  mutating func note(_ kind: TriggerDecision.Kind, _ reason: String, at time: Timestamp) {
    if decisions.count == Self.capacity { decisions.removeFirst() }
    decisions.append(TriggerDecision(time: time, kind: kind, reason: reason))
  }
}

/// The time of a comparison that counts for the pause after it.
package enum ComparisonCost {
  /// Bytes in a millisecond on a slow disk.
  private static let slowestRate: Int64 = 4000

  /// - Parameters:
  ///   - milliseconds: the time that passed.
  ///   - bytes: of the database.
  /// - Returns: no more than a slow disk needs, and one second. A process that was stopped in the middle (SIGSTOP, a freezer, a
  ///   suspended machine) compared nothing in that time, and must not pause for ten times as long.
  package static func counted(_ milliseconds: Int64, bytes: Int64) -> Int64 {
    min(milliseconds, 1000 + max(0, bytes) / slowestRate)
  }
}
