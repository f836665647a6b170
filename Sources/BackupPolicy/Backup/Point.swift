/// One backup, with the facts for decisions: retention, compaction, simulation and the choice by
/// time read this value.
package struct Point: Hashable, Sendable {
  package var id: PointID
  /// Its position in the repository; nil for backups of the original service.
  package var sequence: Int64?
  package var created: Timestamp
  package var type: BackupType
  package var kind: BackupKind
  /// The backup that it needs; nil for a full.
  package var parent: PointID?
  package var status: BackupStatus
  package var verified: Bool
  /// It passed a drill.
  package var proven = false
  /// SQLite's checks found a flaw in the database in this backup.
  package var isFlawed = false
  /// Earlier than its predecessor, or in the future: its age is meaningless.
  package var clockSuspect: Bool
  /// It stays as it is until it is unpinned.
  package var pinned: Bool
  package var tags: [String]
  /// A person gave it a description.
  package var isDescribed = false
  /// The unusual part of its content, as text that follows its ID; nil if the content is normal or
  /// was accepted.
  package var anomaly: String?
  /// The reason why a choice by name or by time passes over it, as in `it failed`; nil for a sound
  /// backup of the database's own history.
  package var obstacle: String?
  /// The machine does not show its archive now, so no more is known about it.
  package var isUnreadable = false
  /// Bytes of its archive.
  package var bytes: Int64
  /// Pages in its archive.
  package var pagesStored: UInt32
  /// Pages of the database at that time.
  package var pageCount: UInt32?
  /// Bytes of a page; 0 if unknown.
  package var pageSize: Int

  package init(
    id: PointID, sequence: Int64? = nil, created: Timestamp, type: BackupType = .manual, kind: BackupKind = .full,
    parent: PointID? = nil, status: BackupStatus = .completed, verified: Bool = false, clockSuspect: Bool = false,
    pinned: Bool = false, tags: [String] = [], anomaly: String? = nil, obstacle: String? = nil, bytes: Int64 = 0,
    pagesStored: UInt32 = 0, pageCount: UInt32? = nil, pageSize: Int = 0
  ) {
    self.id = id
    self.sequence = sequence
    self.created = created
    self.type = type
    self.kind = kind
    self.parent = parent
    self.status = status
    self.verified = verified
    self.clockSuspect = clockSuspect
    self.pinned = pinned
    self.tags = tags
    self.anomaly = anomaly
    self.obstacle = obstacle
    self.bytes = bytes
    self.pagesStored = pagesStored
    self.pageCount = pageCount
    self.pageSize = pageSize
  }
}

extension Point {
  /// Something proves that this host or its key made it.
  package var isAuthenticated: Bool { status != .unauthenticated }
  /// A restorable backup that this host vouches for.
  package var isTrusted: Bool { status != .failed && status != .unauthenticated }
  /// Trusted, without a known problem in its content.
  package var isSound: Bool { status == .completed || status == .verified }
  /// A person or a script gave it a meaning.
  package var isAnnotated: Bool { isDescribed || !tags.isEmpty }
  /// Part of the database's own history, to which the rules of retention apply.
  var isHistory: Bool { isTrusted && !type.isSafety && !pinned }
  var followsItsFull: Bool { kind != .full && isTrusted && !type.isSafety }

  /// A backup from the future counts as younger than all others.
  func isOlder(than seconds: Int64, now: Timestamp) -> Bool {
    created < now.adding(seconds: seconds == .min ? .max : -seconds)
  }

  /// The same for a duration, in whole milliseconds.
  func isOlder(than age: Duration, now: Timestamp) -> Bool {
    let milliseconds = age.wholeMilliseconds
    return created < now.adding(.milliseconds(milliseconds == .min ? .max : -milliseconds))
  }
}
