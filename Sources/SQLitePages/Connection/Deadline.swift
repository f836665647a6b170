import CSQLite
import Glibc

/// Interrupts a connection's statements at a moment.
///
/// A progress handler alone would not do: `count(*)` walks a whole table within one instruction of SQLite's virtual
/// machine and looks only for `sqlite3_interrupt`, so a thread calls that.
///
/// `@unchecked Sendable`: `isCancelled` is guarded by `mutex`; the rest is constant. `sqlite3_interrupt` may be called
/// from any thread while the connection is open, and the connection cancels its deadline before it closes.
final class Deadline: @unchecked Sendable {
  private let end: timespec
  private let handle: OpaquePointer
  private var thread: pthread_t?
  private var isCancelled = false
  // On the heap, because their addresses must not change.
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  init(milliseconds: Int, _ handle: OpaquePointer) {
    self.handle = handle
    end = Self.now() + milliseconds
    pthread_mutex_init(mutex, nil)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(condition, &attributes)
    pthread_condattr_destroy(&attributes)
    var thread = pthread_t()
    // `cancel()` joins the thread before anything that it uses goes away, so it needs no reference of its own.
    let context = Unmanaged.passUnretained(self).toOpaque()
    let created = pthread_create(
      &thread, nil, { Unmanaged<Deadline>.fromOpaque($0!).takeUnretainedValue().wait() }, context)
    // Without a thread the progress handler still stops most statements.
    self.thread = created == 0 ? thread : nil
  }

  deinit {
    cancel()
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  var isOver: Bool { Self.now() >= end }

  /// After this returns nothing is interrupted any more. Idempotent.
  func cancel() {
    guard let thread else { return }
    pthread_mutex_lock(mutex)
    isCancelled = true
    pthread_cond_signal(condition)
    pthread_mutex_unlock(mutex)
    pthread_join(thread, nil)
    self.thread = nil
  }

  private func wait() -> UnsafeMutableRawPointer? {
    var moment = end
    pthread_mutex_lock(mutex)
    while !isCancelled, !isOver { pthread_cond_timedwait(condition, mutex, &moment) }
    if !isCancelled { sqlite3_interrupt(handle) }
    pthread_mutex_unlock(mutex)
    return nil
  }

  private static func now() -> timespec {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return time
  }
}

extension timespec {
  fileprivate static func + (time: timespec, milliseconds: Int) -> timespec {
    // A bound of a year keeps every sum in range.
    let bounded = min(max(milliseconds, 0), 31_536_000_000)
    let nanoseconds = time.tv_nsec + (bounded % 1000) * 1_000_000
    return timespec(
      tv_sec: time.tv_sec + bounded / 1000 + nanoseconds / 1_000_000_000, tv_nsec: nanoseconds % 1_000_000_000)
  }

  fileprivate static func >= (left: timespec, right: timespec) -> Bool {
    (left.tv_sec, left.tv_nsec) >= (right.tv_sec, right.tv_nsec)
  }
}
