/// Divides the files that an agent may have open among its databases.
///
/// A backup needs some descriptors while it runs. Between backups the agent keeps the lock of each
/// repository (one) and, in WAL mode, a connection (three: the database, its log, its shared
/// memory). If they are too few for all databases, it keeps fewer connections, then no locks: such
/// backups cost more, but all are made.
package struct DescriptorBudget: Hashable, Sendable {
  /// Measured: an agent with one database stores its backups with 24 descriptors, and none with 22.
  static let least = 24

  /// Open files that the process may have.
  package let limit: Int
  /// Databases that the agent backs up.
  package let databases: Int
  /// Whether the lock of each repository is also held between backups.
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
  private static let ofConnection = 4

  /// - Parameters:
  ///   - limit: open files that the process may have.
  ///   - workers: backups that would run at the same time if there were descriptors enough.
  package init(limit: Int, databases: Int, workers: Int) {
    self.limit = limit
    self.databases = databases
    self.workers = max(1, min(workers, (limit - Self.base) / Self.ofBackup))
    let reserved = Self.base + self.workers * Self.ofBackup + Self.ofHousekeeping
    let free = max(0, limit - min(limit, reserved))
    keepsLocks = free >= databases
    connections = (keepsLocks ? free - databases : free) / Self.ofConnection
  }

  /// The limit that needs no concession.
  package static func wanted(databases: Int, workers: Int) -> Int {
    base + workers * ofBackup + ofHousekeeping + databases * (1 + ofConnection)
  }

  /// The concession, as text; nil if there is none.
  package var concession: String? {
    guard connections < databases else { return nil }
    let kept = connections == 0 ? "no database stays" : "at most \(connections) stay"
    let locks =
      keepsLocks
      ? "" : ", and the backup folders are locked only while a backup runs, so a second agent is noticed late"
    return
      "this process may have \(limit) files open, too few for \(databases) databases: \(kept) open between backups, which makes backups slower\(locks)"
  }
}
