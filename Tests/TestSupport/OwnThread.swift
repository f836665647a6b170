import Dispatch
import Synchronization
import Testing

/// A test that blocks, or that watches something happen in real time, runs on a thread of its own, and few at once.
///
/// Swift's pool has as many threads as the machine has processors. Tests that block in it keep all others waiting, for
/// minutes where they are many; one that watches an agent then goes on long after what it waited for. The library under test
/// uses that pool, too.
package struct OwnThread: SuiteTrait, TestTrait, TestScoping {
  /// So many at once keep two processors busy, and none waits long for one.
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
