/// Counts of the work for one database since its agent began. They only grow, so that a monitoring
/// system can derive rates from them.
package struct BackupCounters: Hashable, Sendable {
  package enum Outcome: String, Hashable, Sendable, CaseIterable {
    case stored
    /// Nothing had changed.
    case unchanged
    case failed
  }

  /// How the pages were found that had changed since the newest backup.
  package enum Search: String, Hashable, Sendable, CaseIterable {
    /// The database was in a known state.
    case known
    case sameGeneration = "same_generation"
    case untouchedFile = "untouched_file"
    case oneReset = "one_reset"
    case unchangedFile = "unchanged_file"
    /// Nothing proved it, so every page was read.
    case compared
  }

  /// Backups by their outcome.
  package private(set) var backups: [Outcome: Int64] = [:]
  /// Stored backups by kind.
  package private(set) var stored: [BackupKind: Int64] = [:]
  /// Bytes of stored archives by kind.
  package private(set) var bytes: [BackupKind: Int64] = [:]
  /// Pages in stored archives by kind.
  package private(set) var pages: [BackupKind: Int64] = [:]
  package private(set) var searches: [Search: Int64] = [:]
  /// From the first change, or the due time, until the backup was on the disk.
  package private(set) var delay = Histogram.durations
  package private(set) var durations: [BackupKind: Histogram] = [:]
  /// Drills that passed, and those that failed.
  package private(set) var passedDrills: Int64 = 0
  package private(set) var failedDrills: Int64 = 0
  /// How long the restores of drills took.
  package private(set) var restores = Histogram.durations
  /// Times at which a full found changes that had not been tracked.
  package var trackerMisses: Int64 = 0
  /// The requests to each bucket, by the name of the target.
  package var targets: [String: TargetTraffic] = [:]

  package init() {}

  package init(
    backups: [Outcome: Int64], stored: [BackupKind: Int64], bytes: [BackupKind: Int64], pages: [BackupKind: Int64],
    searches: [Search: Int64], delay: Histogram, durations: [BackupKind: Histogram], passedDrills: Int64,
    failedDrills: Int64, restores: Histogram, trackerMisses: Int64, targets: [String: TargetTraffic]
  ) {
    (self.backups, self.stored, self.bytes, self.pages) = (backups, stored, bytes, pages)
    (self.searches, self.delay, self.durations) = (searches, delay, durations)
    (self.passedDrills, self.failedDrills, self.restores) = (passedDrills, failedDrills, restores)
    (self.trackerMisses, self.targets) = (trackerMisses, targets)
  }

  /// A backup was stored.
  ///
  /// - Parameters:
  ///   - bytes: the size of its archive.
  ///   - pages: the pages in it.
  ///   - duration: in milliseconds; nil if it is not known.
  ///   - delay: in milliseconds; nil if nothing had waited for it.
  package mutating func recordStored(
    _ kind: BackupKind, bytes: Int64, pages: Int64, duration: Int64?, delay: Int64?
  ) {
    backups[.stored, default: 0] += 1
    stored[kind, default: 0] += 1
    self.bytes[kind, default: 0] = self.bytes[kind, default: 0].addingClamped(bytes)
    self.pages[kind, default: 0] = self.pages[kind, default: 0].addingClamped(pages)
    if let duration { durations[kind, default: .durations].observe(duration) }
    if let delay { self.delay.observe(delay) }
  }

  /// A backup has looked for the changed pages.
  package mutating func record(_ search: Search) { searches[search, default: 0] += 1 }

  /// A backup ended, and stored nothing.
  package mutating func record(_ outcome: Outcome) { backups[outcome, default: 0] += 1 }

  /// - Parameter restore: how long the restore took, in milliseconds; nil if the drill failed.
  package mutating func recordDrill(restore: Int64?) {
    guard let restore else { return failedDrills += 1 }
    passedDrills += 1
    restores.observe(restore)
  }
}
