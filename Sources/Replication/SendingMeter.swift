import BackupEngine
import Synchronization

/// Reports the progress of one archive among those that a run sends.
struct SendingMeter {
  let progress: Progress
  /// Bytes of the archives before and after it.
  private let before, after: Int64

  init(_ progress: Progress, before: Int64, after: Int64) {
    (self.progress, self.before, self.after) = (progress, before, after)
  }

  /// Returns the function that gets the bytes that are sent so far, and returns false after a request
  /// to stop. It reports at most once for each mebibyte.
  func start(bytes: Int64) throws -> @Sendable (Int64) -> Bool {
    let (progress, before) = (progress, before)
    let total = before.addingClamped(bytes).addingClamped(after)
    try progress.update(.sending, before, of: total)
    let reported = Reported()
    return { sent in
      let previous = reported.bytes.load(ordering: .relaxed)
      guard sent == bytes || abs(sent - previous) >= 1 << 20 else { return !progress.isStopped }
      reported.bytes.store(sent, ordering: .relaxed)
      return (try? progress.update(.sending, before.addingClamped(sent), of: total)) != nil
    }
  }

  private final class Reported: Sendable {
    let bytes = Atomic<Int64>(0)
  }
}
