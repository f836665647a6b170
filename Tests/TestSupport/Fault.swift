/// The error of every operation after the simulated process was killed or the simulated machine
/// lost power.
package struct Killed: Error, CustomStringConvertible {
  package let description: String
}

/// The fault at the chosen step.
package enum Fault: Sendable {
  /// The operation throws as the system would; a write with `ENOSPC` leaves its first half. It
  /// strikes at the first step, from the chosen one on, that may fail with this errno. If
  /// `persistent`, it stays: `ENOSPC` for all later writes and creations, any other errno for
  /// everything.
  case error(Int32, persistent: Bool = false)
  /// From here on nothing more reaches the disk; if `torn` and this is a write, its first half
  /// still does.
  case kill(torn: Bool = false)
}
