/// A reading of both clocks.
package struct Moment: Hashable, Sendable {
  /// For calendars.
  package var wall: Timestamp
  /// Milliseconds of a clock that nobody sets, from any start; for pauses and ceilings.
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
}

/// How a backup ended.
package enum Outcome: Hashable, Sendable {
  /// A point was stored.
  case stored
  /// Nothing had been committed since the last point.
  case unchanged
  case failed(HoldfastError.Code)
}

/// What the agent tells the machine.
package enum TriggerEvent: Hashable, Sendable {
  /// The watcher saw something that may have been a commit.
  case change
  /// The agent has started; `changedWhileDown` where the database is not the one that the last point holds.
  case startup(changedWhileDown: Bool)
  case finished(Outcome)
  /// Somebody asked for a backup now: SIGUSR1, later the API.
  case requested
  /// The deadline of the last `.wait` has come.
  case tick
  case shutdown
}

/// What the agent does next.
package enum TriggerAction: Hashable, Sendable {
  /// Sleep until this monotonic time (milliseconds), then send `.tick`; nil: sleep until an event.
  case wait(until: Int64?)
  /// Start a backup now, and send `.finished` when it has ended.
  case start(Trigger, reason: String)
  /// The event changes nothing, and a deadline that was given before still stands.
  case skip(reason: String)
  /// Leave: nothing is running any more.
  case stop
}

/// How eagerly backups are taken. All in milliseconds; negative values count as 0.
package struct TriggerSettings: Hashable, Sendable {
  /// The quiet period after a change before its backup starts.
  package var debounce: Int64
  /// The ceiling: so long after the first change a backup starts, quiet or not.
  package var maxDelay: Int64
  /// The floor between two starts.
  package var minInterval: Int64
  /// The pause after a first failure; it doubles with each further one.
  package var firstBackoff: Int64
  /// The longest pause after a failure.
  package var maxBackoff: Int64

  package init(
    debounce: Int64 = 500, maxDelay: Int64 = 5000, minInterval: Int64 = 1000, firstBackoff: Int64 = 1000,
    maxBackoff: Int64 = 60000
  ) {
    self.debounce = max(0, debounce)
    self.maxDelay = max(0, maxDelay)
    self.minInterval = max(0, minInterval)
    self.firstBackoff = max(0, firstBackoff)
    self.maxBackoff = max(0, maxBackoff)
  }
}
