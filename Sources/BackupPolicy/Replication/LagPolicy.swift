/// Whether a target has the backups that it should have.
package enum TargetLag: Hashable, Sendable {
  /// The target has all of them.
  case upToDate
  /// Backups are on their way, and in time.
  case within(UnsentBackups)
  /// The alarm `target_behind`.
  case behind(UnsentBackups, reason: String)
}

/// Decides when a target counts as behind: if the oldest backup that it should have and does not have
/// is older than ``maxLag``. A short failure of the network is no alarm.
package struct LagPolicy: Hashable, Sendable {
  /// Seconds.
  package var maxLag: Int64 = 900
  /// Milliseconds between two puts: a backup that waits for its turn is not late.
  package var interval: Int64 = 10_000

  package init(maxLag: Int64 = 900, interval: Int64 = 10_000) {
    (self.maxLag, self.interval) = (maxLag, interval)
  }

  /// - Parameters:
  ///   - unsent: of the present plan.
  ///   - now: wall time. A backup from the future is not late.
  package func decide(_ unsent: UnsentBackups?, now: Timestamp) -> TargetLag {
    guard let unsent else { return .upToDate }
    guard now.milliseconds > limit(of: unsent) else { return .within(unsent) }
    let count = unsent.count == 1 ? "1 backup is" : "\(unsent.count) backups are"
    return .behind(
      unsent,
      reason: "\(count) not there yet, the oldest since \(unsent.since.iso8601); max_lag is "
        + Words.duration(seconds: maxLag))
  }

  /// The last millisecond, since the epoch, in which they are not late.
  func limit(of unsent: UnsentBackups) -> Int64 {
    unsent.since.milliseconds.addingClamped(patience)
  }

  /// How long a backup may be missing, in milliseconds.
  package var patience: Int64 { maxLag.multipliedClamped(by: 1000).addingClamped(interval) }
}
