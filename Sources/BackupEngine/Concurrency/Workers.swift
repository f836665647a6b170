import BackupPolicy
import Glibc

/// A mutex with a condition variable, for threads that wait for each other's progress.
///
/// `@unchecked Sendable`: the two pthread objects live at fixed addresses from init to deinit, and pthreads make them
/// safe from any thread.
final class Monitor: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  init() {
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(condition, nil)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  func locked<Result>(_ body: () throws -> Result) rethrows -> Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body()
  }

  /// Sleeps until ``wakeAll()``; the lock must be held and is held again afterwards. Wake-ups may be spurious.
  func wait() {
    pthread_cond_wait(condition, mutex)
  }

  func wakeAll() {
    pthread_cond_broadcast(condition)
  }
}

/// Threads that live for one piece of work. The engine blocks, so it never runs on Swift's cooperative pool.
package enum Workers {
  /// One compressor a core, and one more so that no core is idle while one of them writes.
  static var count: Int { max(1, min(8, sysconf(Int32(_SC_NPROCESSORS_ONLN)))) + 1 }

  /// Runs `body` on `count` threads and waits for all; throws the first error that any of them threw.
  static func run(_ count: Int, _ body: @escaping @Sendable (_ index: Int) throws -> Void) throws {
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

  /// Runs `body`, which takes pieces of the work until none is left, on as many threads as the pieces are worth: on this one
  /// alone for a piece or two.
  static func spread(over pieces: Int, _ body: @escaping @Sendable () throws -> Void) throws {
    if pieces <= 2 { try body() } else { try run(min(pieces, count)) { _ in try body() } }
  }

  /// Starts one thread, which the caller joins or detaches.
  ///
  /// - Parameter name: what it is, for the error where the system has no more of them.
  package static func start(_ name: String, _ body: @escaping @Sendable () -> Void) throws -> pthread_t {
    let start = Unmanaged.passRetained(Start(body))
    var thread = pthread_t()
    let failure = pthread_create(
      &thread, nil,
      {
        // `pthread_create` hands over the pointer that it was given, and it is never nil.
        Unmanaged<Start>.fromOpaque($0!).takeRetainedValue().body()
        return nil
      }, start.toOpaque())
    guard failure == 0 else {
      start.release()
      throw HoldfastError(errno: failure, "start", name)
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
