import BackupEngine
import Synchronization

/// When old incrementals are merged: after a backup, when nothing else is to be done, and not more than once a minute, for it
/// lists the repository. What a backup cut short goes on after it.
struct ThinningRhythm {
  private static let interval: Int64 = 60_000

  private var isOwed = false
  private var isUnfinished = false
  /// Monotonic milliseconds of the last beginning.
  private var last: Int64?

  mutating func noteBackup() {
    isOwed = true
  }

  /// Whether to begin now.
  mutating func begin(at time: Int64) -> Bool {
    guard isOwed, isUnfinished || last.map({ time - $0 >= Self.interval }) ?? true else { return false }
    isOwed = false
    last = time
    return true
  }

  mutating func end(isFinished: Bool) {
    isUnfinished = !isFinished
  }
}

/// Lets the event loop end a thinning that a worker is at. Safe to use from any thread.
final class ThinningControl: Sendable {
  let progress = Progress()
  private let yields = Atomic(false)

  /// Whether another step may begin.
  var goesOn: Bool { !yields.load(ordering: .relaxed) }

  /// Ends after the step that is going on: a backup is due.
  func yield() {
    yields.store(true, ordering: .relaxed)
  }

  /// Ends at once.
  func stop() {
    yield()
    progress.stop()
  }
}
