/// When a repository is made smaller: after a backup, and not more than once a minute, for it lists the repository. What somebody
/// else's hold on the repository cut short goes on after the next backup.
struct HousekeepingRhythm {
  private static let interval: Int64 = 60_000

  private var isOwed = false
  private var isUnfinished = false
  /// Monotonic milliseconds of the last beginning.
  private var last: Int64?

  /// - Parameter atOnce: whatever was done in the last minute.
  mutating func noteBackup(atOnce: Bool = false) {
    isOwed = true
    isUnfinished = isUnfinished || atOnce
  }

  /// Whether to begin now.
  mutating func begin(at time: Int64) -> Bool {
    guard isOwed, isUnfinished || last.map({ time - $0 >= Self.interval }) ?? true else { return false }
    (isOwed, isUnfinished) = (false, false)
    last = time
    return true
  }

  mutating func end(isFinished: Bool) {
    isUnfinished = !isFinished
  }
}
