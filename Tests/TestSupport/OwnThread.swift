import Dispatch
import Synchronization
import Testing

/// A test that blocks, or that observes events in real time, runs on a thread of its own, and few
/// run at once.
///
/// Swift's pool has as many threads as the machine has processors. If many tests block in it, all
/// others wait for minutes, and a test that watches an agent then runs on long after the event that
/// it waited for. The library under test also uses that pool.
package struct OwnThread: SuiteTrait, TestTrait, TestScoping {
  /// This many at once keep two processors busy, and no test waits long for one.
  private static let turns = Turns(4)

  package var isRecursive: Bool { true }

  package func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    await Self.turns.take()
    defer { Self.turns.giveBack() }
    try await withTaskExecutorPreference(Executor()) { try await function() }
  }

  fileprivate final class Executor: TaskExecutor {
    // Dispatch starts a thread for a serial queue even if all threads of the pool are blocked.
    private let queue = DispatchQueue(label: "test")

    func enqueue(_ job: consuming ExecutorJob) {
      let job = UnownedJob(job)
      queue.async { [self] in job.runSynchronously(on: asUnownedTaskExecutor()) }
    }
  }
}

extension Task where Failure == any Error {
  /// Begins work beside the test, such as an agent, on another thread of its own. A plain `Task` runs
  /// in Swift's pool, behind all tests that were started at the same time: on a busy machine that is
  /// more than a minute.
  package static func beside(_ work: @escaping @Sendable () async throws -> Success) -> Task<Success, any Error> {
    Task(executorPreference: OwnThread.Executor(), operation: work)
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
