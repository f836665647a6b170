/// A point as retention sees it.
package struct RetentionPoint: Hashable, Sendable {
  package var id: PointID
  /// Its place in the repository; nil for points of the original service.
  package var sequence: Int64?
  package var created: Timestamp
  /// The metadata's `backup_type`: `manual`, `scheduled`, `change`, `safety` or `guard`.
  package var type: String
  /// `full` or `incremental`.
  package var kind: String
  /// The point that it needs; nil for a full.
  package var parent: PointID?
  /// The metadata's `status`.
  package var status: String
  package var verified: Bool
  /// It passed a drill.
  package var proven = false
  /// SQLite's checks found something in the database that was backed up.
  package var isFlawed = false
  /// Earlier than its predecessor, or in the future: its age means nothing.
  package var clockSuspect: Bool
  package var pinned: Bool
  package var tags: [String]
  /// What is odd about its content, in words that follow its ID; nil where nothing is, or where somebody accepted it.
  package var anomaly: String?
  /// Bytes of its archive.
  package var bytes: Int64

  package init(
    id: PointID, sequence: Int64? = nil, created: Timestamp, type: String, kind: String = "full",
    parent: PointID? = nil, status: String = "completed", verified: Bool = false, clockSuspect: Bool = false,
    pinned: Bool = false, tags: [String] = [], anomaly: String? = nil, bytes: Int64 = 0
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
    self.bytes = bytes
  }
}

extension RetentionPoint {
  /// A restorable point that this host vouches for.
  var isTrusted: Bool { status != "failed" && status != "unauthenticated" }
  /// Trusted, and nothing is known against its content.
  var isSound: Bool { isTrusted && status != "anomalous" && status != "suspect" }
  var isSafety: Bool { type == "safety" || type == "guard" }
  /// Part of the database's own history, which rules are about.
  var isHistory: Bool { isTrusted && !isSafety && !pinned }
  var followsItsFull: Bool { kind != "full" && isTrusted && !isSafety }

  /// A point from the future is younger than anything.
  func isOlder(than seconds: Int64, now: Timestamp) -> Bool {
    created < now.adding(seconds: seconds == .min ? .max : -seconds)
  }
}
