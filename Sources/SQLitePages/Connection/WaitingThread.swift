import CSQLite
import Glibc

/// A thread that runs a step at given moments, until it is cancelled.
///
/// `@unchecked Sendable`: `isCancelled` is guarded by `mutex`; the rest is constant except
/// `thread`, which belongs to the thread that cancels.
final class WaitingThread: @unchecked Sendable {
  private let step: () -> timespec?
  private var thread: pthread_t?
  private var isCancelled = false
  // On the heap, because their addresses must not change.
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  /// - Parameter step: called by the thread, never after ``cancel()`` has returned; returns the
  ///   moment of the monotonic clock at which to call it again, nil for never. It may be called
  ///   early.
  init(_ step: @escaping () -> timespec?) {
    self.step = step
    pthread_mutex_init(mutex, nil)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(condition, &attributes)
    pthread_condattr_destroy(&attributes)
    var thread = pthread_t()
    // `cancel()` joins the thread before anything that it uses is freed, so it needs no reference
    // of its own.
    let context = Unmanaged.passUnretained(self).toOpaque()
    let created = pthread_create(
      &thread, nil,
      {
        Unmanaged<WaitingThread>.fromOpaque($0!).takeUnretainedValue().run()
        return nil
      }, context)
    self.thread = created == 0 ? thread : nil
  }

  deinit {
    cancel()
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  /// After this returns, the step is never called again. Idempotent. If no thread could be created,
  /// it was never called.
  func cancel() {
    guard let thread else { return }
    pthread_mutex_lock(mutex)
    isCancelled = true
    pthread_cond_signal(condition)
    pthread_mutex_unlock(mutex)
    pthread_join(thread, nil)
    self.thread = nil
  }

  private func run() {
    pthread_mutex_lock(mutex)
    while !isCancelled, var next = step() { pthread_cond_timedwait(condition, mutex, &next) }
    pthread_mutex_unlock(mutex)
  }
}

extension timespec {
  /// The monotonic clock.
  static func now() -> timespec {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return time
  }

  static func + (time: timespec, milliseconds: Int) -> timespec {
    // A bound of a year keeps every sum in range.
    let bounded = min(max(milliseconds, 0), 31_536_000_000)
    let nanoseconds = time.tv_nsec + (bounded % 1000) * 1_000_000
    return timespec(
      tv_sec: time.tv_sec + bounded / 1000 + nanoseconds / 1_000_000_000, tv_nsec: nanoseconds % 1_000_000_000)
  }

  static func >= (left: timespec, right: timespec) -> Bool {
    (left.tv_sec, left.tv_nsec) >= (right.tv_sec, right.tv_nsec)
  }
}

/// Interrupts a connection's statements at a moment.
///
/// A progress handler alone is not enough: `count(*)` walks a whole table within one instruction of
/// SQLite's virtual machine and checks only for `sqlite3_interrupt`, so a thread calls that. If no
/// thread can be created, the progress handler still stops most statements.
final class Deadline: Sendable {
  private let end: timespec
  private let thread: WaitingThread

  /// - Parameter handle: open until ``cancel()``; any thread may interrupt it.
  init(milliseconds: Int, _ handle: OpaquePointer) {
    let end = timespec.now() + milliseconds
    self.end = end
    thread = WaitingThread {
      guard timespec.now() >= end else { return end }
      sqlite3_interrupt(handle)
      return nil
    }
  }

  var isOver: Bool { timespec.now() >= end }

  /// After this returns, nothing is interrupted any more. Idempotent.
  func cancel() { thread.cancel() }
}
