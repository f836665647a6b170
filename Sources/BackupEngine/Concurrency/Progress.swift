import BackupPolicy
import Synchronization

/// Lets a long operation say how far it is, and lets others stop it. Safe to use from any thread.
package final class Progress: Sendable {
  /// Called from worker threads, at most once a mebibyte.
  package typealias Report = @Sendable (_ activity: String, _ done: Int64, _ total: Int64) -> Void

  private let stopped = Atomic(false)
  private let report: Report?

  package init(report: Report? = nil) {
    self.report = report
  }

  /// Makes the operation end soon, with `interrupted`. Only touches an atomic: safe in a signal handler's thread.
  package func stop() {
    stopped.store(true, ordering: .relaxed)
  }

  /// - Throws: `interrupted` after ``stop()``.
  package func update(_ activity: String, _ done: Int64, of total: Int64) throws {
    if stopped.load(ordering: .relaxed) { throw HoldfastError(.interrupted, "interrupted") }
    report?(activity, done, total)
  }
}
