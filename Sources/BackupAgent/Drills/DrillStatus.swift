import BackupEngine
import BackupPolicy

/// How the drills of one database stand.
package struct DrillStatus: Hashable, Sendable {
  /// The newest point that passed one, and is still what it was then.
  package var newestProven: DrillFigures.Proof?
  /// When the last one was made; nil without any.
  package var last: Timestamp?
  /// When the last one was made that passed.
  package var lastPassed: Timestamp?
  /// Why the last one failed; nil where it did not.
  package var failure: String?
  /// Milliseconds that the last one that passed took to restore.
  package var recovery: Int64?
  /// The next one by the clock.
  package var next: Timestamp?
  package var isRunning: Bool
}

extension DrillStatus {
  init(_ drills: GuardedDrills) {
    let standing = drills.machine.standing
    self.init(
      newestProven: drills.figures?.newestProven, last: standing.last, lastPassed: standing.lastPassed,
      failure: standing.failure?.words, recovery: drills.figures?.lastRecovery?.restore,
      next: drills.machine.upcoming, isRunning: drills.machine.isRunning)
  }

  var json: JSONValue {
    .object([
      "newest_proven": newestProven?.json ?? .null, "last_at": .optional(last?.iso8601),
      "last_passed_at": .optional(lastPassed?.iso8601), "failure": .optional(failure),
      "recovery_ms": .optional(recovery), "next_at": .optional(next?.iso8601), "running": .bool(isRunning),
    ])
  }
}
