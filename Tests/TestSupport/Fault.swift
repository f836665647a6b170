/// What every operation throws after the simulated process was killed or the simulated machine lost power.
package struct Killed: Error, CustomStringConvertible {
  package let description: String
}

/// What happens at the chosen step.
package enum Fault: Sendable {
  /// The operation throws what the system would; a write with `ENOSPC` leaves its first half. It strikes at the first
  /// step, from the chosen one on, that may fail so. `persistent`: it stays: `ENOSPC` for all later writes and creations,
  /// any other errno for everything.
  case error(Int32, persistent: Bool = false)
  /// From here on nothing reaches the disk any more; `torn`: if this is a write, its first half still does.
  case kill(torn: Bool = false)
}
