import BackupEngine
import BackupPolicy
import CShims
import Glibc

/// The clocks of the event loop. The loop reads times through the engine's environment, so that
/// tests can set them; the kernel wakes the loop.
final class LoopClock {
  private let environment: EngineEnvironment
  private let elapsed: KernelTimer
  private let wall: KernelTimer

  init(_ environment: EngineEnvironment) throws {
    self.environment = environment
    elapsed = try KernelTimer(.elapsed)
    wall = try KernelTimer(.wall)
  }

  /// The descriptors for `poll`.
  var descriptors: [Int32] { [elapsed.descriptor, wall.descriptor] }

  var monotonic: Int64 { environment.monotonic() }
  var now: Timestamp { environment.now() }
  var moment: Moment { Moment(wall: now, monotonic: monotonic) }

  /// Makes `poll` return at the deadline.
  ///
  /// - Returns: whether the wall clock was set, so that the deadline may be outdated.
  func arm(_ deadline: Deadline) -> Bool {
    elapsed.arm(at: deadline.monotonic.map { shifted($0, from: monotonic, to: SystemClock.monotonic()) })
    return wall.arm(
      at: deadline.wall.map {
        shifted($0.milliseconds, from: now.milliseconds, to: SystemClock.now().milliseconds)
      })
  }

  /// Consumes the timers that `poll` reported.
  ///
  /// - Returns: whether the wall clock was set.
  func consume() -> Bool {
    let isLate = elapsed.consume()
    return wall.consume() || isLate
  }

  /// Converts a time of the environment's clock to one of the kernel's clock. The two are equal if
  /// the environment is the system's.
  private func shifted(_ time: Int64, from: Int64, to: Int64) -> Int64 {
    // Two readings of one clock differ by at most a millisecond. Without this test, the deadline
    // would shift with each arming.
    abs(to.addingClamped(-from)) <= 1 ? time : time.addingClamped(to.addingClamped(-from))
  }
}

/// A timerfd: makes `poll` return at a time of one of the kernel's clocks, even if the machine was
/// asleep at that time.
final class KernelTimer {
  enum Clock {
    /// Advances during sleep and cannot be set. `poll`'s own timeout would stop while the machine
    /// sleeps.
    case elapsed
    /// Wall time. The timer fires if the clock is set.
    case wall
  }

  /// The descriptor for `poll`.
  let descriptor: Int32
  private let clock: Clock
  /// The time that the kernel timer is set to, in milliseconds of its clock.
  private var armed: Int64?

  init(_ clock: Clock) throws {
    self.clock = clock
    descriptor = cshims_timerfd(clock == .wall ? 1 : 0)
    guard descriptor >= 0 else { throw HoldfastError(errno: errno, "create", "a timer") }
  }

  deinit { close(descriptor) }

  /// Fires at this time, or at once if the time has passed; nil: never.
  ///
  /// - Returns: whether the clock was set since the timer was last armed.
  @discardableResult func arm(at milliseconds: Int64?) -> Bool {
    guard milliseconds != armed else { return false }
    armed = milliseconds
    guard let milliseconds else {
      cshims_timerfd_set(descriptor, 0, 0, 0)
      return false
    }
    // A time of 0 would disarm the timer, and the kernel accepts no negative time.
    let time = max(1, milliseconds)
    return cshims_timerfd_set(descriptor, time / 1000, time % 1000 * 1_000_000, clock == .wall ? 1 : 0) < 0
  }

  /// Consumes the timer that `poll` reported.
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

/// Keeps the memory of an agent small while it sleeps most of the time. Only for a process of our
/// own, because it affects the whole process.
struct MemoryTrimming {
  /// The shortest planned sleep that is worth a trim, in milliseconds.
  private static let shortestSleep: Int64 = 3000

  private var hasWorked = false
  private var hasStarted = false

  /// Call this before other threads allocate much.
  init() {
    cshims_keep_heap_small()
  }

  mutating func recordWork() { hasWorked = true }

  /// Returns the memory that work has freed to the system, if a long sleep follows.
  mutating func sleeps(from now: Int64, until deadline: Int64?) {
    guard hasWorked, deadline.map({ $0 - now >= Self.shortestSleep }) ?? true else { return }
    hasWorked = false
    cshims_trim_heap()
    // Parsing options and starting up happen once; without this, their code would stay resident.
    guard !hasStarted else { return }
    hasStarted = true
    cshims_drop_code()
  }
}
