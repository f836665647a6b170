import Dispatch
import Synchronization
import Testing

/// The asynchronous parts of a test run on a thread of their own.
///
/// The pool has as many threads as the machine has processors, and most tests block one for as long as they last: a test that
/// watches an agent in real time would go on when the others let it, and find that the agent has long done the next thing.
package struct OwnThread: SuiteTrait, TestTrait, TestScoping {
  /// As many at once keep two processors busy, and no agent waits long for one.
  private static let turns = Turns(4)

  package var isRecursive: Bool { true }

  package func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    await Self.turns.take()
    defer { Self.turns.giveBack() }
    try await withTaskExecutorPreference(Executor()) { try await function() }
  }

  private final class Executor: TaskExecutor {
    // Dispatch starts a thread for a serial queue even where all of the pool's are blocked.
    private let queue = DispatchQueue(label: "test")

    func enqueue(_ job: consuming ExecutorJob) {
      let job = UnownedJob(job)
      queue.async { [self] in job.runSynchronously(on: asUnownedTaskExecutor()) }
    }
  }
}

extension Trait where Self == OwnThread {
  package static var ownThread: Self { OwnThread() }
}

/// A semaphore that tasks can wait for; first come, first served.
private final class Turns: Sendable {
  private let state: Mutex<(free: Int, waiting: [CheckedContinuation<Void, Never>])>

  init(_ count: Int) {
    state = Mutex((count, []))
  }

  func take() async {
    await withCheckedContinuation { continuation in
      let mayGo = state.withLock { state in
        if state.free > 0 {
          state.free -= 1
          return true
        }
        state.waiting.append(continuation)
        return false
      }
      if mayGo { continuation.resume() }
    }
  }

  func giveBack() {
    state.withLock { state in
      if state.waiting.isEmpty { state.free += 1 } else { state.waiting.removeFirst().resume() }
    }
  }
}
