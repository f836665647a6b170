import Glibc

/// A mutex with a condition variable, which measures time by the monotonic clock.
///
/// `@unchecked Sendable`: the two pthread objects have fixed addresses from init to deinit, and
/// pthreads make them safe from any thread.
package final class TransferMonitor: @unchecked Sendable {
  // On the heap, because their addresses must not change.
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  package init() {
    pthread_mutex_init(mutex, nil)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(condition, &attributes)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  package func locked<Result>(_ body: () -> Result) -> Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return body()
  }

  /// Sleeps until ``wakeAll()``; the lock must be held and is held again afterwards. Wake-ups may
  /// be spurious.
  package func wait() { pthread_cond_wait(condition, mutex) }

  /// The same, but not beyond a moment of ``MonotonicClock``. Returns false if it is reached.
  package func wait(until nanoseconds: Int64) -> Bool {
    var moment = timespec(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
    return pthread_cond_timedwait(condition, mutex, &moment) != ETIMEDOUT
  }

  package func wakeAll() { pthread_cond_broadcast(condition) }
}

enum MonotonicClock {
  /// Nanoseconds.
  static func now() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }
}
