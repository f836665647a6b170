import CSQLite
import Glibc

/// Stops a connection's statements as soon as somebody asks for it.
///
/// SQLite's integrity check is one instruction of its virtual machine, and looks only for `sqlite3_interrupt`; so a thread asks
/// whether to stop, some times a second, for as long as the statements run.
///
/// `@unchecked Sendable`: `isOver` is guarded by `mutex`; the rest is constant. The handle is only interrupted, which any thread
/// may do while the connection is open, and ``end()`` joins the thread before the connection can be closed.
private final class Interrupter: @unchecked Sendable {
  private static let pause = 50_000_000

  private let handle: OpaquePointer
  private let isStopped: @Sendable () -> Bool
  private var isOver = false
  private var thread: pthread_t?
  // On the heap, because their addresses must not change.
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  init(_ handle: OpaquePointer, _ isStopped: @escaping @Sendable () -> Bool) {
    self.handle = handle
    self.isStopped = isStopped
    pthread_mutex_init(mutex, nil)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(condition, &attributes)
    pthread_condattr_destroy(&attributes)
    var thread = pthread_t()
    // `end()` joins the thread before this goes away, so it needs no reference of its own.
    let context = Unmanaged.passUnretained(self).toOpaque()
    let created = pthread_create(
      &thread, nil,
      {
        Unmanaged<Interrupter>.fromOpaque($0!).takeUnretainedValue().watch()
        return nil
      }, context)
    // Without a thread the statements run to their end.
    self.thread = created == 0 ? thread : nil
  }

  deinit {
    end()
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  private func watch() {
    pthread_mutex_lock(mutex)
    while !isOver {
      // Again and again: an interrupt between two statements is lost.
      if isStopped() { sqlite3_interrupt(handle) }
      var next = Self.soon()
      pthread_cond_timedwait(condition, mutex, &next)
    }
    pthread_mutex_unlock(mutex)
  }

  /// Idempotent.
  func end() {
    guard let thread else { return }
    pthread_mutex_lock(mutex)
    isOver = true
    pthread_cond_signal(condition)
    pthread_mutex_unlock(mutex)
    pthread_join(thread, nil)
    self.thread = nil
  }

  private static func soon() -> timespec {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    let nanoseconds = time.tv_nsec + pause
    return timespec(tv_sec: time.tv_sec + nanoseconds / 1_000_000_000, tv_nsec: nanoseconds % 1_000_000_000)
  }
}

extension DatabaseConnection {
  /// Runs `body`, whose statements throw `.interrupted` soon after `isStopped` has become true.
  ///
  /// - Parameter isStopped: asked from another thread.
  package func interrupted<Result>(
    when isStopped: @escaping @Sendable () -> Bool, _ body: () throws -> Result
  ) throws -> Result {
    guard let handle else { return try body() }
    let interrupter = Interrupter(handle, isStopped)
    defer { interrupter.end() }
    return try body()
  }
}
