/// A point as thinning sees it.
package struct ThinningPoint: Hashable, Sendable {
  package var id: PointID
  package var created: Timestamp
  /// The metadata's `backup_type`.
  package var type: String
  /// `full`, `incremental` or `raw`.
  package var kind: String
  /// The point that it needs; nil for a full.
  package var parent: PointID?
  /// The metadata's `status`.
  package var status: String
  package var verified = false
  /// It passed a drill.
  package var proven = false
  /// SQLite's checks found something in the database that was backed up.
  package var isFlawed = false
  /// Earlier than its predecessor, or in the future: its age means nothing.
  package var clockSuspect = false
  /// It stays as it is until somebody unpins it.
  package var isPinned = false
  /// Somebody gave it tags or a description, so that it means something to them.
  package var isAnnotated = false
  /// Of the archive.
  package var bytes: Int64
  /// Pages in the archive.
  package var pagesStored: UInt32
  /// Pages of the database at that point.
  package var pageCount: UInt32
  /// Bytes of a page; 0 where not known.
  package var pageSize: Int

  package init(
    id: PointID, created: Timestamp, type: String, kind: String, parent: PointID?, status: String, bytes: Int64,
    pagesStored: UInt32, pageCount: UInt32, pageSize: Int
  ) {
    self.id = id
    self.created = created
    self.type = type
    self.kind = kind
    self.parent = parent
    self.status = status
    self.bytes = bytes
    self.pagesStored = pagesStored
    self.pageCount = pageCount
    self.pageSize = pageSize
  }
}

extension ThinningPoint {
  /// Nothing is known against it, and this host vouches for it.
  var isSound: Bool { status == "completed" || status == "verified" }
  /// Others' pages may be merged into it: its content stays what it is.
  var mayTakeOver: Bool { kind == "incremental" && parent != nil && isSound && !isPinned }
  /// Whether thinning is about it at all: a change that nobody asked for by hand, and nobody gave a meaning.
  var isThinned: Bool {
    mayTakeOver && type == "change" && !isAnnotated && !clockSuspect
  }
}
