import BackupEngine
import BackupPolicy
import Glibc
import Names
import ObjectStorage
import Replication

/// Runs a replicator until nothing is left to do, and waits if a store cannot be reached.
struct Patience {
  /// Whether a failure of the network or of the store is followed by another try.
  let retries: Bool
  let progress: Progress
  let console: Console

  /// Milliseconds for which it waits because a target gets one upload an interval.
  private static let longestPause: Int64 = 60_000

  /// - Returns: the result of all runs together.
  /// - Throws: `interrupted` after a signal.
  func run(_ replicator: Replicator) throws -> ReplicationOutcome {
    var total: ReplicationOutcome?
    var failures = 0
    while true {
      do {
        let outcome = try replicator.run(atOnce: true, progress: progress)
        failures = 0
        let all = total.map { $0 + outcome } ?? outcome
        guard let next = outcome.next, retries, let pause = Self.pause(until: next) else { return all }
        total = all
        try wait(pause)
      } catch let error as StoreError {
        try progress.check()
        failures = replicator.madeProgress ? 1 : failures + 1
        let decision = RetryDecision.after(error, attempt: failures, random: .random(in: 0..<1))
        guard retries, case .again(let pause, nil) = decision else { throw error }
        report(error, replicator.target, pause)
        try wait(pause)
      }
    }
  }

  /// Nil if the time is too far away to wait for it.
  private static func pause(until time: Timestamp) -> Int64? {
    let pause = time.milliseconds - SystemClock.now().milliseconds
    return pause <= longestPause ? max(0, pause) : nil
  }

  private func report(_ error: StoreError, _ target: Target, _ pause: Int64) {
    guard !console.quiet, !console.json else { return }
    let words = "target \(target.name): \(error.message); trying again in \((pause + 999) / 1000) s"
    Console.tell(["holdfast: warning: \(words.printable)"])
  }

  private func wait(_ milliseconds: Int64) throws {
    var left = milliseconds
    while left > 0 {
      try progress.check()
      let step = min(left, 200)
      usleep(UInt32(step * 1000))
      left -= step
    }
    try progress.check()
  }
}

extension ReplicationOutcome {
  /// Two runs, one after the other.
  static func + (first: ReplicationOutcome, second: ReplicationOutcome) -> ReplicationOutcome {
    var all = second
    all.put = first.put + second.put
    all.removed = first.removed + second.removed
    all.sentBytes = first.sentBytes.addingClamped(second.sentBytes)
    all.requests = first.requests + second.requests
    return all
  }
}
