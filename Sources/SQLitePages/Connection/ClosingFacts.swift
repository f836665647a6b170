/// What is known when a connection is about to close.
package struct ClosingFacts: Hashable, Sendable {
  /// The WAL, as its index and its own headers describe it.
  package struct Log: Hashable, Sendable {
    /// `iChange`: commits since the wal-index was made or recovered.
    package var changeCount: UInt32
    /// The last committed frame.
    package var maxFrame: UInt32
    /// Frames that a checkpoint has copied into the database.
    package var backfilled: UInt32
    /// Frames that the newest checkpoint set out to copy; more than ``backfilled`` while one runs, or where it broke off.
    package var attempted: UInt32
    /// The bytes of both salts in the index: which generation of the WAL it describes.
    package var salts: UInt64
    /// The file's header and its last committed frame are those that the index names.
    package var fileMatches: Bool
    /// See ``SnapshotPosition/hasUnpublishedCommit``.
    package var hasUnpublishedCommit: Bool

    package init(
      changeCount: UInt32, maxFrame: UInt32, backfilled: UInt32, attempted: UInt32, salts: UInt64,
      fileMatches: Bool = true, hasUnpublishedCommit: Bool = false
    ) {
      self.changeCount = changeCount
      self.maxFrame = maxFrame
      self.backfilled = backfilled
      self.attempted = attempted
      self.salts = salts
      self.fileMatches = fileMatches
      self.hasUnpublishedCommit = hasUnpublishedCommit
    }
  }

  /// Whether the pages that checkpoints have copied stand in the database file as in the WAL.
  package enum CheckpointedPages: Hashable, Sendable {
    /// Nobody has looked, there are none, or they cannot be read.
    case unknown
    case equal
    case different
  }

  package var path: String
  /// Opened without the right to write.
  package var isReadOnly = false
  /// No `-wal` was there before this connection opened, or one that its application removed meanwhile; and one was there right
  /// after.
  package var openingCreatedWAL = false
  /// This connection held the database exclusively and truncated the WAL to nothing.
  package var emptiedWAL = false
  /// Frames that the wal-index counts now; nil where it cannot be read.
  package var frames: UInt32?
  /// The files seen right after opening.
  package var filesAtOpen: DatabaseFiles
  package var filesNow: DatabaseFiles
  /// What was seen at opening; nil where there was no wal-index.
  package var opening: OpeningFacts?
  /// Nil where the wal-index cannot be read, or did not stand still.
  package var log: Log?
  /// Looked at before ``log`` was read, so that a checkpoint which these show is in ``log`` too.
  package var databaseNow: FileFacts?
  package var walNow: FileFacts?
  /// Nanoseconds since the epoch.
  package var now: Int64 = 0
  package var checkpointedPages = CheckpointedPages.unknown
  /// Nil until they are looked up: only if nothing else forbids to fold.
  package var holders: LogHolders?

  package init(path: String, filesAtOpen: DatabaseFiles, filesNow: DatabaseFiles) {
    self.path = path
    self.filesAtOpen = filesAtOpen
    self.filesNow = filesNow
  }
}

/// The database at the time of opening, for comparison at the closing.
package struct OpeningFacts: Hashable, Sendable {
  /// Looked at after the salts and the count of frames were read.
  package var database: FileFacts?
  /// The same facts were found before opening, and a later write cannot have left the same stamps.
  package var isSettled: Bool
  package var salts: UInt64
  package var backfilled: UInt32

  package init(database: FileFacts?, isSettled: Bool, salts: UInt64, backfilled: UInt32) {
    self.database = database
    self.isSettled = isSettled
    self.salts = salts
    self.backfilled = backfilled
  }
}

extension ClosingFacts {
  var isUntouchedSinceOpen: Bool {
    guard let opening, opening.isSettled else { return false }
    return opening.database != nil && opening.database == databaseNow
  }

  /// Whether a checkpoint has come to an end since opening: one of the present generation of the WAL, or one of all frames,
  /// which must come before another generation.
  var hasCheckpointSinceOpen: Bool {
    guard let opening, let log else { return false }
    return log.salts != opening.salts || log.backfilled > opening.backfilled
  }

  /// Whether it is certain that somebody other than SQLite wrote to the database file beside its WAL.
  var wasOverwritten: Bool {
    // A checkpoint that runs, or broke off, has written more than its counter tells.
    guard let log, let databaseNow, let walNow, log.attempted <= log.backfilled else { return false }
    if checkpointedPages == .different { return true }
    // The last checkpoint came before this generation's first frame.
    if log.backfilled == 0, databaseNow.modified > walNow.modified, databaseNow.modified <= now { return true }
    guard let opening, let before = opening.database, opening.salts == log.salts else { return false }
    // Not the time of the inode's change: that moves with `chmod` too.
    return opening.backfilled == log.backfilled
      && (before.size, before.modified) != (databaseNow.size, databaseNow.modified)
  }

  /// Whether ``ClosingRule`` would want to know more of the pages in the database file.
  package var needsCheckpointedPages: Bool {
    guard let log, let databaseNow, let walNow else { return false }
    return log.backfilled < log.maxFrame && databaseNow.touched >= walNow.modified
  }
}
