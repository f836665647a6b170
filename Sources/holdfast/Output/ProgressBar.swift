import Glibc
import Names
import Synchronization

/// One line on a terminal's standard error that shows the progress of the work.
final class ProgressBar: Sendable {
  private let shown = Mutex("")

  /// Nil if no bar is shown: without a terminal, with `--quiet` and with `--json`.
  init?(_ console: Console) {
    let terminal = ProcessEnvironment.current[.terminal]
    guard !console.quiet, !console.json, isatty(STDERR_FILENO) != 0, terminal != nil, terminal != "dumb" else {
      return nil
    }
  }

  /// Called from any thread; writes only when the line changes.
  func show(_ activity: String, _ done: Int64, of total: Int64) {
    let line = Self.line(activity, done, of: total)
    shown.withLock { last in
      guard last != line else { return }
      last = line
      Self.write("\r\u{1b}[2K\(line)")
    }
  }

  /// Clears the line.
  func erase() {
    shown.withLock { last in
      guard !last.isEmpty else { return }
      last = ""
      Self.write("\r\u{1b}[2K")
    }
  }

  private static func line(_ activity: String, _ done: Int64, of total: Int64) -> String {
    let activity = activity.printable
    guard total > 0 else { return "\(activity)…" }
    let share = min(1, max(0, Double(done) / Double(total)))
    let filled = Int(share * 30)
    let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: 30 - filled)
    return "\(activity) [\(bar)] \(Int(share * 100))%"
  }

  private static func write(_ text: String) {
    try? Console.write(Array(text.utf8), to: STDERR_FILENO)
  }
}
