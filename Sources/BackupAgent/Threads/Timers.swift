import BackupEngine
import BackupPolicy
import CShims
import Glibc

/// The clocks that the event loop goes by: times are read through the engine's environment, where tests set them, and the
/// kernel wakes the loop.
final class LoopClock {
  private let environment: EngineEnvironment
  private let elapsed: KernelTimer
  private let wall: KernelTimer

  init(_ environment: EngineEnvironment) throws {
    self.environment = environment
    elapsed = try KernelTimer(.elapsed)
    wall = try KernelTimer(.wall)
  }

  /// For `poll`.
  var descriptors: [Int32] { [elapsed.descriptor, wall.descriptor] }

  var monotonic: Int64 { environment.monotonic() }
  var now: Timestamp { environment.now() }
  var moment: Moment { Moment(wall: now, monotonic: monotonic) }

  /// Makes `poll` return at the deadline.
  ///
  /// - Returns: whether the wall clock was set, so that the deadline may no longer be the right one.
  func arm(_ deadline: Deadline) -> Bool {
    elapsed.arm(at: deadline.monotonic.map { shifted($0, from: monotonic, to: SystemClock.monotonic()) })
    return wall.arm(
      at: deadline.wall.map {
        shifted($0.milliseconds, from: now.milliseconds, to: SystemClock.now().milliseconds)
      })
  }

  /// Takes what `poll` reported.
  ///
  /// - Returns: whether the wall clock was set.
  func consume() -> Bool {
    let isLate = elapsed.consume()
    return wall.consume() || isLate
  }

  /// A time of the environment's clock as one of the kernel's; the same where the environment is the system's.
  private func shifted(_ time: Int64, from: Int64, to: Int64) -> Int64 {
    // Two readings of one clock are a millisecond apart at most; without this, the deadline would wander with each arming.
    abs(to.addingClamped(-from)) <= 1 ? time : time.addingClamped(to.addingClamped(-from))
  }
}

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

/// Keeps the memory of an agent small that sleeps most of the time. For a process of our own: it concerns all of it.
struct MemoryThrift {
  /// Nothing is worth a trim before the agent means to sleep for so long, in milliseconds.
  private static let shortestSleep: Int64 = 3000

  private var hasWorked = false
  private var hasStarted = false

  /// To be called before other threads allocate much.
  init() {
    cshims_keep_heap_small()
  }

  mutating func noteWork() { hasWorked = true }

  /// Gives back what work has left, where the sleep that follows is long.
  mutating func sleeps(from now: Int64, until deadline: Int64?) {
    guard hasWorked, deadline.map({ $0 - now >= Self.shortestSleep }) ?? true else { return }
    hasWorked = false
    cshims_trim_heap()
    // Parsing options and settings up is done once; its code would stay resident for ever.
    guard !hasStarted else { return }
    hasStarted = true
    cshims_drop_code()
  }
}
