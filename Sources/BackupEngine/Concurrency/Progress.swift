import BackupPolicy
import Synchronization

/// Called during a long operation with the current activity, the amount done and the total, in the
/// same unit (bytes, steps or backups, depending on the activity). Calls come from worker threads,
/// at most one for each mebibyte.
///
/// ```swift
/// try await service.create { activity, done, total in
///   print("\(activity): \(done) of \(total)")
/// }
/// ```
public typealias ProgressReport = @Sendable (_ activity: String, _ done: Int64, _ total: Int64) -> Void

/// Lets a long operation report its progress, and lets other threads stop it. Safe to use from any
/// thread.
package final class Progress: Sendable {
  /// The current activity; people read the raw value.
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
    case sending
    case storing
    case copying
    /// Archives are copied from a target into the scratch folder.
    case fetching
  }

  private let stopped = Atomic(false)
  private let completing = Atomic(false)
  private let actions = Mutex<[@Sendable () -> Void]>([])
  private let report: ProgressReport?

  package init(report: ProgressReport? = nil) {
    self.report = report
  }

  /// Ends the operation soon, with `interrupted`. Do not call it from a signal handler, but from a
  /// thread that waits for signals.
  package func stop() {
    stopped.store(true, ordering: .relaxed)
    for action in actions.withLock(\.self) { action() }
  }

  /// Registers an action for ``stop()``, which runs on the thread that calls it. Use it to
  /// interrupt work that cannot call ``check()`` itself.
  package func onStop(_ action: @escaping @Sendable () -> Void) {
    actions.withLock { $0.append(action) }
  }

  /// - Throws: `interrupted` after ``stop()``.
  package func update(_ activity: Activity, _ done: Int64, of total: Int64) throws {
    try check()
    report?(activity.rawValue, done, total)
  }

  /// From now on a request to stop may not end the process half-way: the work ends by itself,
  /// completed or undone.
  func mustEnd() { completing.store(true, ordering: .releasing) }

  /// Whether a second signal also has to wait, because files are being put in place.
  package var isCompleting: Bool { completing.load(ordering: .acquiring) }

  /// The same reports without a reaction to ``stop()``, for the work after a completed change.
  var unstoppable: Progress { Progress(report: report) }

  /// Whether a stop was requested.
  package var isStopped: Bool { stopped.load(ordering: .relaxed) }

  /// - Throws: `interrupted` after ``stop()``.
  package func check() throws {
    if isStopped { throw HoldfastError(.interrupted, "interrupted") }
  }
}
