import CSQLite
import Glibc

/// Interrupts a connection's statements at a moment.
///
/// A progress handler alone would not do: `count(*)` walks a whole table within one instruction of SQLite's virtual
/// machine and looks only for `sqlite3_interrupt`, so a thread calls that. Without a thread the progress handler still stops
/// most statements.
final class Deadline: Sendable {
  private let end: timespec
  private let thread: WaitingThread

  /// - Parameter handle: open until ``cancel()``; any thread may interrupt it.
  init(milliseconds: Int, _ handle: OpaquePointer) {
    let end = timespec.now() + milliseconds
    self.end = end
    thread = WaitingThread {
      guard timespec.now() >= end else { return end }
      sqlite3_interrupt(handle)
      return nil
    }
  }

  var isOver: Bool { timespec.now() >= end }

  /// After this returns nothing is interrupted any more. Idempotent.
  func cancel() { thread.cancel() }
}
