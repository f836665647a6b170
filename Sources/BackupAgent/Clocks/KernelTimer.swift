import BackupEngine
import BackupPolicy
import CShims
import Glibc

/// A timerfd: makes `poll` return at a time of one of the kernel's clocks, also where the machine slept over it.
final class KernelTimer {
  enum Clock {
    /// Counts on through sleep; nobody sets it. `poll`'s own timeout would stop while the machine sleeps.
    case elapsed
    /// Wall time. A clock that is set makes the timer fire.
    case wall
  }

  /// For `poll`.
  let descriptor: Int32
  private let clock: Clock
  /// What the kernel was told, in milliseconds of its clock.
  private var armed: Int64?

  init(_ clock: Clock) throws {
    self.clock = clock
    descriptor = cshims_timerfd(clock == .wall ? 1 : 0)
    guard descriptor >= 0 else { throw HoldfastError(errno: errno, "create", "a timer") }
  }

  deinit { close(descriptor) }

  /// Fires at that time, at once where it has passed; nil: never.
  ///
  /// - Returns: whether the clock was set since the timer was last armed.
  @discardableResult func arm(at milliseconds: Int64?) -> Bool {
    guard milliseconds != armed else { return false }
    armed = milliseconds
    guard let milliseconds else {
      cshims_timerfd_set(descriptor, 0, 0, 0)
      return false
    }
    // A time of 0 would disarm it; the kernel takes no negative one.
    let time = max(1, milliseconds)
    return cshims_timerfd_set(descriptor, time / 1000, time % 1000 * 1_000_000, clock == .wall ? 1 : 0) < 0
  }

  /// Takes what `poll` reported.
  ///
  /// - Returns: whether the clock was set.
  func consume() -> Bool {
    armed = nil
    var expirations: UInt64 = 0
    while read(descriptor, &expirations, 8) < 0 {
      if errno == EINTR { continue }
      return errno == ECANCELED
    }
    return false
  }
}
