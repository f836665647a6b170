/// May SQLite, when this connection turns out to be the last one, fold the `-wal` into the database and remove the side
/// files (its habit), or does `SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE` stay on?
///
/// A `-wal` that was found is not ours to fold in: an operator may have put another file in the database's place, and
/// checkpointing the old WAL into that would destroy it. A `-wal` that only exists because we opened a cleanly closed
/// database must go again, or a file moved over the database later would stand beside a WAL that is none of its own.
package struct ClosingRule: Hashable, Sendable {
  /// What is known when a connection is about to close.
  package struct Facts: Hashable, Sendable {
    /// No `-wal` was there before this connection opened, and one was there right after.
    package var openingCreatedWAL: Bool
    /// This connection held the database exclusively and truncated the WAL to nothing.
    package var emptiedWAL: Bool
    /// Frames that the wal-index counts now; nil where it cannot be read.
    package var frames: UInt32?
    /// The files seen right after opening.
    package var filesAtOpen: DatabaseFiles
    package var filesNow: DatabaseFiles

    package init(
      openingCreatedWAL: Bool, emptiedWAL: Bool = false, frames: UInt32?, filesAtOpen: DatabaseFiles,
      filesNow: DatabaseFiles
    ) {
      self.openingCreatedWAL = openingCreatedWAL
      self.emptiedWAL = emptiedWAL
      self.frames = frames
      self.filesAtOpen = filesAtOpen
      self.filesNow = filesNow
    }
  }

  package var mayCheckpoint: Bool
  package var reason: String

  package static func decide(_ facts: Facts) -> ClosingRule {
    guard facts.openingCreatedWAL || facts.emptiedWAL else {
      return ClosingRule(mayCheckpoint: false, reason: "the write-ahead log was there before this connection")
    }
    guard facts.filesNow == facts.filesAtOpen else {
      return ClosingRule(mayCheckpoint: false, reason: "the files at this path are not those that were opened")
    }
    guard facts.frames == 0 else {
      return ClosingRule(mayCheckpoint: false, reason: "the write-ahead log holds commits of the application")
    }
    return ClosingRule(mayCheckpoint: true, reason: "the write-ahead log is empty and exists through us alone")
  }
}
