/// Decides when to reduce a repository: after a backup, and not more than once a minute, because it
/// lists the repository. If another process's use of the repository interrupted the work, it
/// continues after the next backup.
package struct HousekeepingRhythm {
  private static let interval: Int64 = 60_000

  private var isPending = false
  private var isUnfinished = false
  /// Monotonic milliseconds of the last beginning.
  private var last: Int64?

  package init() {}

  /// - Parameter atOnce: even if it ran in the last minute.
  package mutating func recordBackup(atOnce: Bool = false) {
    isPending = true
    isUnfinished = isUnfinished || atOnce
  }

  /// Whether to begin now.
  package mutating func begin(at time: Int64) -> Bool {
    guard isPending, isUnfinished || last.map({ time - $0 >= Self.interval }) ?? true else { return false }
    (isPending, isUnfinished) = (false, false)
    last = time
    return true
  }

  package mutating func end(isFinished: Bool) {
    isUnfinished = !isFinished
  }
}
