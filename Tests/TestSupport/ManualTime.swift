import BackupPolicy
import Synchronization

/// A clock that moves only when a test moves it.
package final class ManualTime: Sendable {
  private let time: Mutex<Timestamp>

  /// - Parameter start: the first time it shows; 2023-11-16T14:30:22Z if not given.
  package init(_ start: Timestamp = Timestamp(milliseconds: 1_700_145_022_000)) {
    time = Mutex(start)
  }

  package func now() -> Timestamp { time.withLock { $0 } }

  package func set(_ new: Timestamp) { time.withLock { $0 = new } }

  package func advance(milliseconds: Int64) { time.withLock { $0.milliseconds += milliseconds } }

  package func advance(seconds: Int64) { advance(milliseconds: seconds * 1000) }
}
