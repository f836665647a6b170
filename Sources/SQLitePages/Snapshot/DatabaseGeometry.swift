/// The shape of a database in one of its states.
package struct DatabaseGeometry: Hashable, Sendable {
  /// Bytes, a power of two, 512…65536.
  package var pageSize: Int
  /// 0 for a database that holds nothing yet.
  package var pageCount: UInt32
  /// Bytes at the end of every page that SQLite leaves alone (extensions use them).
  package var reservedBytes: Int
  /// Pages on the freelist.
  package var freePages: UInt32
  /// `UTF-8`, `UTF-16le` or `UTF-16be`.
  package var textEncoding: String
  /// `wal`, or what this connection would use otherwise (`delete`): only WAL is recorded in the file.
  package var journalMode: String
  package var userVersion: Int32

  package init(
    pageSize: Int, pageCount: UInt32, reservedBytes: Int, freePages: UInt32, textEncoding: String,
    journalMode: String, userVersion: Int32
  ) {
    self.pageSize = pageSize
    self.pageCount = pageCount
    self.reservedBytes = reservedBytes
    self.freePages = freePages
    self.textEncoding = textEncoding
    self.journalMode = journalMode
    self.userVersion = userVersion
  }

  /// The page that SQLite's locks live in, at 1 GiB: never used for data, never read.
  package var lockPage: UInt32 { UInt32(1_073_741_824 / pageSize) + 1 }

  /// Bytes of the whole database.
  package var imageSize: Int64 { Int64(pageCount) * Int64(pageSize) }
}

/// Where in a database's history a snapshot stands: what a tracker of changed pages starts from.
package struct SnapshotPosition: Hashable, Sendable {
  /// The WAL's part of a position.
  package struct WAL: Hashable, Sendable {
    /// Both salts, as the bytes stand in the WAL: they name its generation.
    package var salts: UInt64
    /// The last committed frame of the snapshot.
    package var maxFrame: UInt32
    /// Frames that were in the database file already.
    package var backfilled: UInt32
    /// `iChange` of the wal-index.
    package var changeCount: UInt32
    /// The cumulative checksum of frame ``maxFrame``.
    package var frameChecksum: [UInt32]
  }

  /// The database file, as `stat` saw it inside the transaction.
  package var database: FileIdentity?
  /// Nil in rollback-journal modes and where the wal-index cannot be read.
  package var wal: WAL?
  /// The file change counter of page 1 (bytes 24–27); WAL commits do not move it.
  package var changeCounter: UInt32
  /// Size and times of the database file, as `stat` saw them inside the transaction; checkpoints change them.
  package var facts: FileFacts?
  /// The same as it was before the transaction looked at the WAL: a checkpoint that wrote since shows as a difference.
  package var stampBefore: FileStamp?
  /// The `-wal` holds a commit that this state does not: one that is written, and perhaps being flushed before it is
  /// published (with `synchronous=FULL` each commit looks like this when its write wakes an observer). Look again soon.
  ///
  /// It stays true where the writer was killed inside its flush or the flush failed, until somebody overwrites those frames or
  /// recovers the log; so give up after some seconds.
  package var hasUnpublishedCommit = false

  /// Whether commits that `earlier` saw are gone: they were in the write-ahead log alone, the database file was not written
  /// since, and the log that held them is not there. False if it cannot be told.
  package func hasLostCommits(since earlier: SnapshotPosition) -> Bool {
    guard let database, database == earlier.database, let old = earlier.wal, old.backfilled < old.maxFrame,
      let new = wal, let stamp = earlier.stampBefore, stamp.wasOld, stamp.facts == facts
    else { return false }
    return new.maxFrame < old.maxFrame || new.salts != old.salts
  }

  /// Whether the database file is the same later on, by its stamps; coarse ones say so only if they were old.
  func isSameFile(_ now: FileFacts?) -> Bool {
    guard let facts, facts == now else { return false }
    return facts.hasFineStamps || (stampBefore?.wasOld ?? false)
  }
}
