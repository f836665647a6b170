/// What the machine does and why, as a value that a status page can print.
package struct TriggerStatus: Hashable, Sendable {
  package enum State: String, Hashable, Sendable {
    /// Nothing is owed.
    case idle
    /// Something is owed and may not start yet.
    case waiting
    case running
    /// Told to stop; what is running ends first.
    case stopping
  }

  /// A backup that is owed, or running.
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
  package var owed: [Obligation]
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
    /// A backup is owed and waits for something.
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
