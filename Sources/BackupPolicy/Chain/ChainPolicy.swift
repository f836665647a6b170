import Names

/// The requested kind of backup.
package enum RequestedKind: String, Hashable, Sendable, CaseIterable {
  /// By the reason for the backup: a change is an incremental, everything else a full.
  case automatic
  case full
  case incremental
}

/// Full or incremental, and why: lower case, no full stop.
package enum ChainDecision: Hashable, Sendable {
  case full(reason: String)
  case incremental(parent: PointID, reason: String)
}

/// Decides whether a backup is a full or an incremental, and when the next full is due.
///
/// A change in the database never waits for a full because its chain is long or large: compaction
/// shortens chains, and ``adviseFull(_:)`` requests a full at a quiet or scheduled time.
package enum ChainPolicy {
  /// The reason for a full if the repository has no backup that an incremental could build on.
  package static let noParent = "there is no backup to build on"

  package static func decide(_ facts: ChainFacts) -> ChainDecision {
    switch facts.requested {
    case .full: return .full(reason: "a full was asked for")
    case .automatic where facts.backupType != .change: return .full(reason: "\(facts.backupType) backups are full")
    case .automatic, .incremental: break
    }
    guard facts.protection != .aes256CBC else { return .full(reason: "aes-256-cbc has fulls only") }
    guard let parent = facts.parent else { return .full(reason: noParent) }
    if let objection = objection(to: parent, facts) { return .full(reason: "\(parent.point.id) \(objection)") }
    let why = facts.requested == .incremental ? "an incremental was asked for" : "the database changed"
    return .incremental(parent: parent.point.id, reason: why)
  }

  /// The reason why no incremental can build on a point, as text that follows its ID.
  private static func objection(to parent: ParentFacts, _ facts: ChainFacts) -> String? {
    if !parent.point.isAuthenticated { return "is not authenticated" }
    if let problem = parent.chainProblem { return "cannot be built on: \(problem)" }
    // An anomalous parent is acceptable: the application caused the oddity of its content, and its
    // pages are proved like any other's. A parent that fails SQLite's own checks is `failed`; then
    // a full that does not depend on it is worth more.
    if [.failed, .suspect].contains(parent.point.status) { return "is \(parent.point.status)" }
    if parent.protection != facts.protection { return "is not protected in the same way" }
    if !parent.isOfThisRepository { return "belongs to another repository" }
    if !parent.isUnderOurKey { return "was stored under another key" }
    if !parent.hasDigest { return "has no digest" }
    if parent.isBeforeTakeOver { return "was stored before a target was taken over" }
    guard let database = facts.database else { return nil }
    if database.pageCount == 0 { return "has pages, but the database is empty" }
    if parent.point.pageSize != database.pageSize { return "has another page size" }
    guard let path = parent.databasePath, path.isExactly(database.path) else {
      return "was made when the database had another path"
    }
    return nil
  }

  /// A restore opens every link.
  private static let longest = 1000
  /// Bytes of incrementals that do not noticeably affect a repository or a restore: the fulls of so
  /// small a database can wait.
  static let light: Int64 = 4 << 20

  /// Whether the next full should come at the next quiet or scheduled time, or soon, and why; nil
  /// if the chain is light and short enough.
  ///
  /// Beyond half of its full, a chain costs more space and restore time than avoiding a full saves.
  /// Beyond twice as much (and more than a few megabytes), or twice as many links, it no longer
  /// pays to wait for a quiet time that may never come.
  package static func adviseFull(_ weight: ChainWeight) -> FullAdvice? {
    let (count, bytes, full) = (weight.incrementals, weight.incrementalBytes, max(0, weight.fullBytes))
    let isHeavy = bytes > full / 2
    guard isHeavy || count >= longest else { return nil }
    let isTooHeavy = bytes > max(full.multipliedClamped(by: 2), light)
    let words = isHeavy ? ", more than \(isTooHeavy ? "twice" : "half of") its \(ByteCount(full))" : ""
    let links =
      count == 1 ? "the incremental since \(weight.full) has" : "the \(count) incrementals since \(weight.full) have"
    return FullAdvice(
      isTooHeavy || count >= 2 * longest ? .soon : .whenQuiet, chain: weight.full,
      reason: "\(links) \(ByteCount(bytes))\(words)")
  }
}

/// The facts for the choice between full and incremental.
package struct ChainFacts: Hashable, Sendable {
  package var requested: RequestedKind
  package var backupType: BackupType
  /// The protection of the new backup.
  package var protection: Protection
  /// The newest point of the database's own history; nil if there is no such point.
  package var parent: ParentFacts?
  /// Nil until the database has been read.
  package var database: DatabaseShape?

  package init(
    requested: RequestedKind, backupType: BackupType, protection: Protection, parent: ParentFacts? = nil,
    database: DatabaseShape? = nil
  ) {
    self.requested = requested
    self.backupType = backupType
    self.protection = protection
    self.parent = parent
    self.database = database
  }
}

/// The database to back up.
package struct DatabaseShape: Hashable, Sendable {
  /// Symbolic links resolved.
  package var path: String
  package var pageSize: Int
  package var pageCount: UInt32
  /// Of its file; nil if unknown.
  package var attributes: FileAttributes?

  package init(path: String, pageSize: Int, pageCount: UInt32, attributes: FileAttributes? = nil) {
    self.path = path
    self.attributes = attributes
    self.pageSize = pageSize
    self.pageCount = pageCount
  }
}

/// The backup that an incremental would build on, with the facts that only this needs.
package struct ParentFacts: Hashable, Sendable {
  package var point: Point
  package var protection: Protection
  /// The problem of its chain, as text; nil if the chain is complete.
  package var chainProblem: String?
  package var isOfThisRepository = true
  /// Whether its pages were hashed with the same key as those of the next point.
  package var isUnderOurKey = true
  package var hasDigest = true
  /// Whether a target was taken over since it was stored. Another machine may remove the archives
  /// there that an incremental on it would need.
  package var isBeforeTakeOver = false
  package var databasePath: String?

  package init(_ point: Point, protection: Protection, databasePath: String?) {
    self.point = point
    self.protection = protection
    self.databasePath = databasePath
  }
}

/// The size of the newest chain.
package struct ChainWeight: Hashable, Sendable {
  package var full: PointID
  /// Bytes of the full's archive.
  package var fullBytes: Int64
  package var incrementals: Int
  /// Bytes of all incrementals' archives.
  package var incrementalBytes: Int64

  package init(full: PointID, fullBytes: Int64, incrementals: Int, incrementalBytes: Int64) {
    self.full = full
    self.fullBytes = fullBytes
    self.incrementals = incrementals
    self.incrementalBytes = incrementalBytes
  }
}

/// The advice to end the newest chain with a new full.
package struct FullAdvice: Hashable, Sendable {
  package enum Urgency: Hashable, Sendable {
    /// It reads the whole database, so it waits for a time without writes, or for the next
    /// scheduled full.
    case whenQuiet
    /// The chain must not grow without bound if the application never pauses.
    case soon
  }

  package var urgency: Urgency
  /// The full at the start of the chain.
  package var chain: PointID
  /// Lower case, no full stop.
  package var reason: String

  package init(_ urgency: Urgency, chain: PointID, reason: String) {
    self.urgency = urgency
    self.chain = chain
    self.reason = reason
  }

  /// Milliseconds without a change after which a database counts as quiet. Ten times the longest
  /// delay of a backup in a burst of changes, so that the end of a burst does not count as the end
  /// of the work. At least a minute, because reading a whole database must not follow every pause
  /// between two clicks.
  package static func quiet(maxDelay: Int64) -> Int64 {
    max(60_000, maxDelay.multipliedClamped(by: 10))
  }

  /// Milliseconds: a scheduled run within this time makes the full that a quiet time would make.
  package static let nearRun: Int64 = 3_600_000
}
