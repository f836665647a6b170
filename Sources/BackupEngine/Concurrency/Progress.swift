import BackupPolicy
import Synchronization

/// Called while something long goes on: what is being done, how much of it is done, and how much there is, in the same
/// unit (bytes, steps or points, by the activity). Calls come from worker threads, at most once a mebibyte.
public typealias ProgressReport = @Sendable (_ activity: String, _ done: Int64, _ total: Int64) -> Void

/// Lets a long operation say how far it is, and lets others stop it. Safe to use from any thread.
package final class Progress: Sendable {
  /// What is going on; the raw value is what people read.
  package enum Activity: String, Sendable {
    case asserting
    /// The pages of a database in WAL mode are read and stored.
    case backingUp = "backing up"
    case checking
    case compacting
    case comparing
    case countingRows = "counting rows"
    case installing
    case reading
    case removing
    case restoring
    case storing
    case copying
  }

  private let stopped = Atomic(false)
  private let completing = Atomic(false)
  private let actions = Mutex<[@Sendable () -> Void]>([])
  private let report: ProgressReport?

  package init(report: ProgressReport? = nil) {
    self.report = report
  }

  /// Makes the operation end soon, with `interrupted`. Not for signal handlers, but for threads that wait for signals.
  package func stop() {
    stopped.store(true, ordering: .relaxed)
    for action in actions.withLock(\.self) { action() }
  }

  /// Has something done when ``stop()`` is called, from the thread that calls it: what cannot ask by itself is interrupted.
  func onStop(_ action: @escaping @Sendable () -> Void) {
    actions.withLock { $0.append(action) }
  }

  /// - Throws: `interrupted` after ``stop()``.
  package func update(_ activity: Activity, _ done: Int64, of total: Int64) throws {
    try check()
    report?(activity.rawValue, done, total)
  }

  /// From here on a request to stop may not end the process half-way: the work ends by itself, done or undone.
  func mustEnd() { completing.store(true, ordering: .releasing) }

  /// Whether a second signal has to wait as well, because something is being put in place.
  package var isCompleting: Bool { completing.load(ordering: .acquiring) }

  /// The same reports without an ear for ``stop()``, for what follows a change that is done.
  var unstoppable: Progress { Progress(report: report) }

  /// Whether it was told to stop.
  package var isStopped: Bool { stopped.load(ordering: .relaxed) }

  /// - Throws: `interrupted` after ``stop()``.
  package func check() throws {
    if isStopped { throw HoldfastError(.interrupted, "interrupted") }
  }
}
