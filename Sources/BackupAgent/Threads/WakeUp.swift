import BackupEngine
import BackupPolicy
import CShims
import Glibc

/// An eventfd: one thread sleeps on it, any other wakes it. Signals that nobody waited for yet are not lost.
final class WakeUp: Sendable {
  /// For `poll`; stays open for as long as this object lives.
  let descriptor: Int32

  /// - Parameter blocking: whether ``consume()`` sleeps until there is a signal.
  init(blocking: Bool) throws {
    descriptor = cshims_eventfd(blocking ? 0 : 1)
    guard descriptor >= 0 else { throw HoldfastError(errno: errno, "create", "an eventfd") }
  }

  deinit { close(descriptor) }

  func signal() {
    var one: UInt64 = 1
    // Fails only where 2⁶⁴ signals are waiting, and then the sleeper wakes anyway.
    while write(descriptor, &one, 8) < 0, errno == EINTR {}
  }

  /// Takes all signals.
  func consume() {
    var count: UInt64 = 0
    while read(descriptor, &count, 8) < 0, errno == EINTR {}
  }
}
