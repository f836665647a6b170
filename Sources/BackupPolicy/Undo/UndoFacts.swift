/// A restore into a database, as the repository notes it.
package struct RestoreNote: Hashable, Sendable {
  /// What was restored.
  package var point: PointID
  /// The database's path, symbolic links resolved.
  package var target: String
  /// When it was about to change the database.
  package var began: Timestamp
  /// What the database held before; nil where no backup was made of that.
  package var safety: PointID?
  /// False for a restore that was killed: whether it changed the database is not known.
  package var isComplete = false
  /// The bytes of page 1 that SQLite rewrites when it installs an image, as the point has them: what tells whether the database
  /// still holds what was restored. Nil where not known.
  package var rewrittenBytes: [UInt8]?

  package init(point: PointID, target: String, began: Timestamp, safety: PointID? = nil) {
    self.point = point
    self.target = target
    self.began = began
    self.safety = safety
  }
}

/// What undoing the last restore depends on.
package struct UndoFacts: Hashable, Sendable {
  /// The safety backup of the last restore.
  package enum Safety: Hashable, Sendable {
    case there
    case gone
    /// The files of a damaged database as they were found, which no restore brings back.
    case rawCopy
  }

  /// What the database holds now.
  package enum Content: Hashable, Sendable {
    case asRestored
    /// What it held before the restore.
    case asBefore
    case changed
    /// It is missing, or cannot be compared.
    case unknown
  }

  /// The database's path.
  package var database: String
  /// The last restore into it; nil where none is noted.
  package var last: RestoreNote?
  package var safety = Safety.gone
  package var content = Content.unknown

  package init(database: String, last: RestoreNote?) {
    self.database = database
    self.last = last
  }

  /// The restore was killed before it changed anything; the one before it is the last that counts.
  package var wasInVain: Bool { last?.isComplete == false && content == .asBefore }
}
