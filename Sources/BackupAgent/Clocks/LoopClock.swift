import BackupEngine
import BackupPolicy

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
