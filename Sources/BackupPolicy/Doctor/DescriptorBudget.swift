/// Divides the files that an agent may have open among its databases.
///
/// A backup needs some descriptors while it runs, and so does a copy to a target. Between backups
/// the agent keeps the lock of each repository (one), the lock of the record of each target (one)
/// and, in WAL mode, a connection (three: the database, its log, its shared memory) and the table of
/// page hashes. If they are too few for all databases, it keeps fewer connections, then no locks, and
/// fewer targets get copies at the same time: such backups cost more, but all are made.
package struct DescriptorBudget: Hashable, Sendable {
  /// Measured: an agent with one database stores its backups with 24 descriptors, and none with 22.
  static let least = 24

  /// Open files that the process may have.
  package let limit: Int
  /// Databases that the agent backs up.
  package let databases: Int
  /// The places that get copies, of all databases.
  package let targets: Int
  /// How many of them get copies at the same time.
  package let targetRuns: Int
  /// Whether the locks of each repository and of each target's record are also held between backups.
  package let keepsLocks: Bool
  /// How many databases may stay open between backups.
  package let connections: Int
  /// How many backups may run at the same time.
  package let workers: Int

  /// The files that the process itself has open: standard streams, inotify, timers, the journal,
  /// zone files.
  static let base = 48
  /// The files that one backup has open at the same time: the database, the archive, its metadata,
  /// locks, page digests.
  static let ofBackup = 24
  /// A drill, a compaction or a cleanup: it reads a chain, whose archives are open together.
  static let ofHousekeeping = 128
  /// A copy to a target: the archive, its place in a folder, the record of the target, locks.
  static let ofTarget = 16
  /// More copies at the same time would only compete for the disk and the network.
  static let mostTargetRuns = 32
  /// The three of the connection, and the table of page hashes.
  private static let ofConnection = 4

  /// - Parameters:
  ///   - limit: open files that the process may have.
  ///   - targets: the places that get copies, of all databases.
  ///   - workers: backups that would run at the same time if there were descriptors enough.
  package init(limit: Int, databases: Int, targets: Int = 0, workers: Int) {
    (self.limit, self.databases, self.targets) = (limit, databases, targets)
    self.workers = max(1, min(workers, (limit - Self.base) / Self.ofBackup))
    let ofBackups = Self.base + self.workers * Self.ofBackup + Self.ofHousekeeping
    targetRuns = max(1, min(targets, Self.mostTargetRuns, (limit - min(limit, ofBackups)) / Self.ofTarget))
    let reserved = ofBackups + (targets == 0 ? 0 : targetRuns * Self.ofTarget)
    let free = max(0, limit - min(limit, reserved))
    keepsLocks = free >= databases + targets
    connections = (keepsLocks ? free - databases - targets : free) / Self.ofConnection
  }

  /// The limit that needs no concession.
  package static func wanted(databases: Int, targets: Int = 0, workers: Int) -> Int {
    base + workers * ofBackup + ofHousekeeping + databases * (1 + ofConnection) + targets
      + min(targets, mostTargetRuns) * ofTarget
  }

  /// Whether not all databases may stay open.
  package var isScarce: Bool { connections < databases }

  /// The concession, as text; nil if there is none.
  package var concession: String? {
    guard isScarce else { return nil }
    let kept = connections == 0 ? "no database stays" : "at most \(connections) stay"
    let locks =
      keepsLocks
      ? "" : ", and the backup folders are locked only while a backup runs, so a second agent is noticed late"
    let copies =
      targetRuns < min(targets, Self.mostTargetRuns)
      ? ", and copies go to \(targetRuns == 1 ? "one target" : "\(targetRuns) targets") at a time" : ""
    return
      "this process may have \(limit) files open, too few for \(databases) databases: \(kept) open between backups, which makes backups slower\(locks)\(copies)"
  }
}
