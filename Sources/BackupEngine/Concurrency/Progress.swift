import BackupPolicy
import Synchronization

/// Called while something long goes on: what is being done, how much of it is done, and how much there is, in the same
/// unit (bytes, steps or points, by the activity). Calls come from worker threads, at most once a mebibyte.
public typealias ProgressReport = @Sendable (_ activity: String, _ done: Int64, _ total: Int64) -> Void

/// Lets a long operation say how far it is, and lets others stop it. Safe to use from any thread.
package final class Progress: Sendable {
  private let stopped = Atomic(false)
  private let report: ProgressReport?

  package init(report: ProgressReport? = nil) {
    self.report = report
  }

  /// Makes the operation end soon, with `interrupted`. Only touches an atomic: safe in a signal handler's thread.
  package func stop() {
    stopped.store(true, ordering: .relaxed)
  }

  /// - Throws: `interrupted` after ``stop()``.
  package func update(_ activity: String, _ done: Int64, of total: Int64) throws {
    try check()
    report?(activity, done, total)
  }

  /// - Throws: `interrupted` after ``stop()``.
  package func check() throws {
    if stopped.load(ordering: .relaxed) { throw HoldfastError(.interrupted, "interrupted") }
  }
}
