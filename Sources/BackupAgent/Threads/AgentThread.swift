import BackupEngine
import BackupPolicy
import CShims
import Glibc

/// A thread of the agent's own: what blocks never runs on Swift's cooperative pool.
struct AgentThread: Sendable {
  private let thread: pthread_t

  /// - Parameter name: at most 15 bytes, as `ps -L` shows it.
  init(_ name: String, _ body: @escaping @Sendable () -> Void) throws {
    let start = Unmanaged.passRetained(
      Start {
        cshims_name_thread(name)
        body()
      })
    var thread = pthread_t()
    let failure = pthread_create(
      &thread, nil,
      {
        // `pthread_create` hands over the pointer that it was given, and it is never nil.
        Unmanaged<Start>.fromOpaque($0!).takeRetainedValue().body()
        return nil
      }, start.toOpaque())
    guard failure == 0 else {
      start.release()
      throw HoldfastError(errno: failure, "start", "the thread \(name)")
    }
    self.thread = thread
  }

  /// Waits for its end; to be called once.
  func join() {
    pthread_join(thread, nil)
  }

  /// Lets its memory go with its end; instead of ``join()``.
  func detach() {
    pthread_detach(thread)
  }

  private final class Start: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
}
