import BackupEngine
import Glibc
import Names
import Synchronization

/// One line on a terminal's standard error that shows the progress of the work; for uploads and
/// fetches also the speed and the time left.
final class ProgressBar: Sendable {
  private struct Shown {
    var line = ""
    /// Monotonic milliseconds.
    var time: Int64 = 0
    var activity = ""
    var pace = TransferPace()
  }

  private let shown = Mutex(Shown())
  /// Milliseconds between two lines whose only difference is the speed.
  private static let pause: Int64 = 200

  /// Nil if no bar is shown: without a terminal, with `--quiet` and with `--json`.
  init?(_ console: Console) {
    let terminal = ProcessEnvironment.current[.terminal]
    guard !console.quiet, !console.json, isatty(STDERR_FILENO) != 0, terminal != nil, terminal != "dumb" else {
      return nil
    }
  }

  /// Called from any thread; writes only when the line changes.
  func show(_ activity: String, _ done: Int64, of total: Int64) {
    var line = Self.line(activity, done, of: total)
    let now = SystemClock.monotonic()
    shown.withLock { shown in
      if shown.activity != activity { (shown.activity, shown.pace) = (activity, TransferPace()) }
      if TransferPace.measures(activity) {
        let pace = shown.pace.record(done, of: total, at: now)
        if !pace.isEmpty { line += "  \(pace)" }
        guard now - shown.time >= Self.pause || done == total || shown.line.isEmpty else { return }
      }
      guard shown.line != line else { return }
      (shown.line, shown.time) = (line, now)
      Self.write("\r\u{1b}[2K\(line)")
    }
  }

  /// Clears the line.
  func erase() {
    shown.withLock { shown in
      guard !shown.line.isEmpty else { return }
      shown.line = ""
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
