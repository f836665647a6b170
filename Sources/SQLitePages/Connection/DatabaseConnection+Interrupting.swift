import CSQLite
import Glibc

extension DatabaseConnection {
  /// Milliseconds between two questions whether to stop.
  private static let pause = 50

  /// Runs `body`, whose statements throw `.interrupted` soon after `isStopped` has become true.
  ///
  /// SQLite's integrity check is one instruction of its virtual machine, and looks only for `sqlite3_interrupt`; so a thread asks
  /// whether to stop, some times a second, for as long as the statements run. Without a thread they run to their end.
  ///
  /// - Parameter isStopped: asked from another thread.
  package func interrupted<Result>(
    when isStopped: @escaping @Sendable () -> Bool, _ body: () throws -> Result
  ) throws -> Result {
    guard let handle else { return try body() }
    let thread = WaitingThread {
      // Again and again: an interrupt between two statements is lost.
      if isStopped() { sqlite3_interrupt(handle) }
      return timespec.now() + Self.pause
    }
    defer { thread.cancel() }
    return try body()
  }
}
