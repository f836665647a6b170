import BackupPolicy
import Glibc

/// Runs what blocks for a task that waits for it: on a thread of its own, never on Swift's cooperative pool.
enum BlockingWork {
  /// Runs `body` and returns what it returns. Cancelling the task stops `body` at its next progress report; this returns
  /// only when it has ended, so that nothing goes on behind the caller's back.
  ///
  /// - Parameters:
  ///   - activity: what is done, in the infinitive, for the error where no thread can be had.
  ///   - report: called from that thread and its helpers.
  /// - Throws: `HoldfastError`; `interrupted` where the task was cancelled.
  static func run<Value: Sendable>(
    _ activity: String, report: ProgressReport? = nil, _ body: @escaping @Sendable (Progress) throws -> Value
  ) async throws -> Value {
    let progress = Progress(report: report)
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        do {
          let thread = try Workers.start("a thread to \(activity)") {
            continuation.resume(with: Result { try perform(activity, progress, body) })
          }
          pthread_detach(thread)
        } catch {
          continuation.resume(throwing: error)
        }
      }
    } onCancel: {
      progress.stop()
    }
  }

  /// Callers are promised one type of error, and no work for a task that is cancelled already.
  private static func perform<Value>(
    _ activity: String, _ progress: Progress, _ body: (Progress) throws -> Value
  ) throws -> Value {
    do {
      try progress.check()
      return try body(progress)
    } catch let error as HoldfastError {
      throw error
    } catch {
      throw HoldfastError(.failed, "cannot \(activity): \(error)", cause: error)
    }
  }
}
