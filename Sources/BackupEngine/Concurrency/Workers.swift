import BackupPolicy
import Glibc

/// A mutex with a condition variable, for threads that wait for each other's progress.
///
/// `@unchecked Sendable`: the two pthread objects have fixed addresses from init to deinit, and
/// pthreads make them safe from any thread.
package final class Monitor: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  package init() {
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(condition, nil)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  package func locked<Result>(_ body: () throws -> Result) rethrows -> Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body()
  }

  /// Takes the lock for several calls of this thread, which also releases it: ``unlock()``.
  package func lock() { pthread_mutex_lock(mutex) }

  package func unlock() { pthread_mutex_unlock(mutex) }

  /// Sleeps until ``wakeAll()``; the lock must be held and is held again afterwards. Wake-ups may
  /// be spurious.
  package func wait() {
    pthread_cond_wait(condition, mutex)
  }

  package func wakeAll() {
    pthread_cond_broadcast(condition)
  }
}

/// Threads for one piece of work. The engine blocks, so it never runs on Swift's cooperative pool.
package enum Workers {
  /// One compressor for each core, and one more so that no core is idle while one of them writes.
  static var count: Int { max(1, min(8, sysconf(Int32(_SC_NPROCESSORS_ONLN)))) + 1 }

  /// Runs `body` on `count` threads and waits for all of them; throws the first error that any of
  /// them threw.
  package static func run(_ count: Int, _ body: @escaping @Sendable (_ index: Int) throws -> Void) throws {
    let failure = FirstError()
    var threads: [pthread_t] = []
    for index in 0..<count {
      do {
        threads.append(try start("a worker thread") { failure.catching { try body(index) } })
      } catch {
        failure.set(error)
        break
      }
    }
    for thread in threads { pthread_join(thread, nil) }
    try failure.rethrow()
  }

  /// Runs `body`, which takes pieces of the work until no piece is left, on as many threads as the
  /// pieces justify: only on this one if there are at most two pieces.
  static func spread(over pieces: Int, _ body: @escaping @Sendable () throws -> Void) throws {
    if pieces <= 2 { try body() } else { try run(min(pieces, count)) { _ in try body() } }
  }

  /// The advice if the system has no more threads.
  package static let threadAdvice =
    "raise the limit of threads (ulimit -u, TasksMax= in the systemd unit, or pids_limit of the container)"

  /// Starts one thread, which the caller joins or detaches.
  ///
  /// - Parameter name: the thread's name in the error if the system has no more threads.
  package static func start(_ name: String, _ body: @escaping @Sendable () -> Void) throws -> pthread_t {
    let start = Unmanaged.passRetained(Start(body))
    var thread = pthread_t()
    let failure = pthread_create(
      &thread, nil,
      {
        // `pthread_create` passes on the pointer that it received, which is never nil.
        Unmanaged<Start>.fromOpaque($0!).takeRetainedValue().body()
        return nil
      }, start.toOpaque())
    guard failure == 0 else {
      start.release()
      var error = HoldfastError(errno: failure, "start", name)
      error.hint = threadAdvice
      throw error
    }
    return thread
  }

  private final class Start: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
}

/// Keeps the first error of several threads.
final class FirstError: Sendable {
  private let monitor = Monitor()
  // Guarded by `monitor`.
  private nonisolated(unsafe) var error: (any Error)?

  func set(_ error: any Error) {
    monitor.locked { if self.error == nil { self.error = error } }
  }

  func catching(_ body: () throws -> Void) {
    do { try body() } catch { set(error) }
  }

  func rethrow() throws {
    if let error = monitor.locked({ error }) { throw error }
  }
}

/// Runs blocking work for a task that waits for it: on a separate thread, never on Swift's
/// cooperative pool.
enum BlockingWork {
  /// Runs `body` and returns its result. If the task is cancelled, `body` stops at its next
  /// progress report. This function returns only when `body` has ended, so that no work continues
  /// without the caller.
  ///
  /// - Parameters:
  ///   - activity: the work, in the infinitive, for the error if no thread can be started.
  ///   - report: called from that thread and its helpers.
  /// - Throws: `HoldfastError`; `interrupted` if the task was cancelled.
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

  /// Callers can rely on one type of error, and on no work for a task that is already cancelled.
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
