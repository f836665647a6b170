import Names

/// What kind of backup somebody asked for.
package enum RequestedKind: String, Hashable, Sendable, CaseIterable {
  /// By the reason it is taken for: a change is an incremental, everything else a full.
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
/// A change in the database never waits for a full because its chain is long or heavy: chains are shortened by compaction, and
/// ``adviseFull(_:)`` asks for a full at a quiet or scheduled time.
package enum ChainPolicy {
  package static func decide(_ facts: ChainFacts) -> ChainDecision {
    switch facts.requested {
    case .full: return .full(reason: "a full was asked for")
    case .automatic where facts.backupType != .change: return .full(reason: "\(facts.backupType) backups are full")
    case .automatic, .incremental: break
    }
    guard facts.protection != .aes256CBC else { return .full(reason: "aes-256-cbc has fulls only") }
    guard let parent = facts.parent else { return .full(reason: "there is no point to build on") }
    if let objection = objection(to: parent, facts) { return .full(reason: "\(parent.id) \(objection)") }
    let why = facts.requested == .incremental ? "an incremental was asked for" : "the database changed"
    return .incremental(parent: parent.id, reason: why)
  }

  /// Why nothing can be built on a point; what is said follows its ID.
  private static func objection(to parent: ParentFacts, _ facts: ChainFacts) -> String? {
    if !parent.isAuthenticated { return "is not authenticated" }
    if let problem = parent.chainProblem { return "cannot be built on: \(problem)" }
    // An anomalous parent will do: what is odd is what the application did to its content, and its pages are proved like any
    // other's. One that fails SQLite's own checks is `failed`: a full that stands for itself is worth more there.
    if [.failed, .suspect].contains(parent.status) { return "is \(parent.status)" }
    if parent.protection != facts.protection { return "is protected in another way" }
    if !parent.isOfThisRepository { return "belongs to another repository" }
    if !parent.isUnderOurKey { return "was stored under another key" }
    if !parent.hasDigest { return "has no digest" }
    guard let database = facts.database else { return nil }
    if database.pageCount == 0 { return "has pages, and the database has none" }
    if parent.pageSize != database.pageSize { return "has another page size" }
    guard let path = parent.databasePath, path.isExactly(database.path) else {
      return "was made when the database had another path"
    }
    return nil
  }

  /// A restore opens every link.
  private static let longest = 1000
  /// Bytes of incrementals that neither a repository nor a restore feels: the fulls of so small a database can wait.
  static let light: Int64 = 4 << 20

  /// Whether the next full should come at the next quiet or scheduled time, or soon, and why; nil where the chain is light and
  /// short enough.
  ///
  /// Beyond half of its full a chain costs more room and time to restore than a full saves by not being made; beyond twice as
  /// much (and more than a few megabytes), or twice as many links, it is no longer worth waiting for a quiet time that may never come.
  package static func adviseFull(_ weight: ChainWeight) -> FullAdvice? {
    let (count, bytes, full) = (weight.incrementals, weight.incrementalBytes, max(0, weight.fullBytes))
    let isHeavy = bytes > full / 2
    guard isHeavy || count >= longest else { return nil }
    let isTooHeavy = bytes > max(full.multipliedClamped(by: 2), light)
    let words = isHeavy ? ", more than \(isTooHeavy ? "twice" : "half of") its \(ByteCount(full))" : ""
    return FullAdvice(
      isTooHeavy || count >= 2 * longest ? .soon : .whenQuiet, chain: weight.full,
      reason: "the \(count) incrementals since \(weight.full) have \(ByteCount(bytes))\(words)")
  }
}

/// What the choice between full and incremental rests on.
package struct ChainFacts: Hashable, Sendable {
  package var requested: RequestedKind
  package var backupType: BackupType
  /// How the new backup is protected.
  package var protection: Protection
  /// The newest point of the database's own history; nil where there is none.
  package var parent: ParentFacts?
  /// Nil until the database was looked at.
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

/// The database that is to be backed up.
package struct DatabaseShape: Hashable, Sendable {
  /// Symbolic links resolved.
  package var path: String
  package var pageSize: Int
  package var pageCount: UInt32
  /// Of its file; nil if they are not known.
  package var attributes: FileAttributes?

  package init(path: String, pageSize: Int, pageCount: UInt32, attributes: FileAttributes? = nil) {
    self.path = path
    self.attributes = attributes
    self.pageSize = pageSize
    self.pageCount = pageCount
  }
}

/// The point that an incremental would build on.
package struct ParentFacts: Hashable, Sendable {
  package var id: PointID
  package var status: BackupStatus
  package var isAuthenticated = true
  package var protection: Protection
  /// What is wrong with its chain, in words; nil for a whole one.
  package var chainProblem: String?
  package var isOfThisRepository = true
  /// Whether its pages were hashed with the key that the next point's would be.
  package var isUnderOurKey = true
  package var hasDigest = true
  package var pageSize: Int?
  package var databasePath: String?

  package init(id: PointID, status: BackupStatus, protection: Protection, pageSize: Int?, databasePath: String?) {
    self.id = id
    self.status = status
    self.protection = protection
    self.pageSize = pageSize
    self.databasePath = databasePath
  }
}

/// What the newest chain weighs.
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

/// That the newest chain should end: a full would serve better from here on.
package struct FullAdvice: Hashable, Sendable {
  package enum Urgency: Hashable, Sendable {
    /// It reads the whole database, so it waits until nobody writes, or for the next scheduled one.
    case whenQuiet
    /// The chain must not grow without bound beside somebody who never pauses.
    case soon
  }

  package var urgency: Urgency
  /// The full at the head of the chain.
  package var chain: PointID
  /// Lower case, no full stop.
  package var reason: String

  package init(_ urgency: Urgency, chain: PointID, reason: String) {
    self.urgency = urgency
    self.chain = chain
    self.reason = reason
  }

  /// Milliseconds without a change after which a database counts as quiet: ten times what a burst of changes lasts at most
  /// before it is backed up, so that the end of a burst is not taken for the end of the work; and a minute at least, for
  /// reading a whole database must not follow upon every pause between two clicks.
  package static func quiet(maxDelay: Int64) -> Int64 {
    max(60_000, maxDelay.multipliedClamped(by: 10))
  }

  /// Milliseconds: a scheduled run that comes within this time makes the full that a quiet time would.
  package static let nearRun: Int64 = 3_600_000
}
