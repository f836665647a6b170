import BackupEngine
import CShims
import Glibc

/// A thread of the agent's own: what blocks never runs on Swift's cooperative pool.
struct AgentThread: Sendable {
  private let thread: pthread_t

  /// - Parameter name: at most 15 bytes, as `ps -L` shows it.
  init(_ name: String, _ body: @escaping @Sendable () -> Void) throws {
    thread = try Workers.start("the thread \(name)") {
      cshims_name_thread(name)
      body()
    }
  }

  /// Waits for its end; to be called once.
  func join() {
    pthread_join(thread, nil)
  }

  /// Lets its memory go with its end; instead of ``join()``.
  func detach() {
    pthread_detach(thread)
  }
}
