import Glibc
import Synchronization

/// Standard error as the place of log lines. If its reader stops reading (a terminal after Ctrl-S,
/// a pipe into a stopped program), the agent must not stop: after a short wait it drops lines and
/// counts them.
final class LogOutput: Sendable {
  static let standardError = LogOutput(STDERR_FILENO)

  /// Milliseconds that a line waits for its reader. A restart of a service manager's log takes
  /// less.
  private static let patience: Int32 = 1000

  private let descriptor: Int32
  private let lost = Mutex(0)

  init(_ descriptor: Int32) {
    self.descriptor = descriptor
  }

  /// Writes a line, or drops it. A failed write is not reported, because there is no other place to
  /// report it.
  func write(_ line: String) {
    lost.withLock { lost in
      guard isRead(within: lost == 0 ? Self.patience : 0) else { return lost += 1 }
      let before = lost == 0 ? "" : "(\(lost) lines were dropped here, because the log was not read)\n"
      lost = 0
      try? Console.write(Array("\(before)\(line)\n".utf8), to: descriptor)
    }
  }

  /// Whether a line can be written without waiting longer. If the reader has exited, it can: the
  /// write then fails at once.
  private func isRead(within milliseconds: Int32) -> Bool {
    var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    return poll(&entry, 1, milliseconds) != 0
  }
}
