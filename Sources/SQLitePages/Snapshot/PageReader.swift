import CSQLite

/// Reads pages of one state through SQLite's handles: the database file, overlaid by frames of the WAL.
struct PageReader {
  let path: String
  let pageSize: Int
  let database: SQLiteFile
  /// Nil if no page comes from the WAL.
  let wal: SQLiteFile?
  var map: WALPageMap
  /// The generation that every frame must belong to.
  let salts: UInt64

  /// `xRead` counts bytes in an `int`; this stays far below that, and above every useful buffer
  /// size.
  private static let largestRead = 16 << 20

  /// Pages `first..<first + count` into `buffer`; `lockPage` as zeros.
  mutating func read(first: UInt32, count: Int, lockPage: UInt32, into buffer: UnsafeMutableRawBufferPointer) throws {
    guard let wal else { return try readDatabase(first: first, count: count, lockPage: lockPage, into: buffer) }
    let frames = map.frames(first: first, count: count)
    // After a small change the log holds all of the pages.
    if frames.count < count || (first..<first + UInt32(count)).contains(lockPage) {
      try readDatabase(first: first, count: count, lockPage: lockPage, into: buffer)
    }
    for (page, frame) in frames where page != lockPage {
      try readFrame(frame, page: page, from: wal, into: slice(buffer, Int(page - first), 1))
    }
  }

  private func readDatabase(
    first: UInt32, count: Int, lockPage: UInt32, into buffer: UnsafeMutableRawBufferPointer
  ) throws {
    let lock = Int(lockPage) - Int(first)
    if lock >= 0, lock < count {
      try readDatabase(first: first, into: slice(buffer, 0, lock))
      slice(buffer, lock, 1).initializeMemory(as: UInt8.self, repeating: 0)
      try readDatabase(first: lockPage + 1, into: slice(buffer, lock + 1, count - lock - 1))
    } else {
      try readDatabase(first: first, into: slice(buffer, 0, count))
    }
  }

  /// Page 1, which every snapshot reads, and often no other page.
  func readHeader(into buffer: UnsafeMutableRawBufferPointer) throws {
    if let wal, let frame = map.newestFrame(of: 1) {
      try readFrame(frame, page: 1, from: wal, into: slice(buffer, 0, 1))
    } else {
      try readDatabase(first: 1, into: slice(buffer, 0, 1))
    }
  }

  private func slice(
    _ buffer: UnsafeMutableRawBufferPointer, _ page: Int, _ count: Int
  ) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(rebasing: buffer[page * pageSize..<(page + count) * pageSize])
  }

  private func readDatabase(first: UInt32, into buffer: UnsafeMutableRawBufferPointer) throws {
    let start = Int64(first - 1) * Int64(pageSize)
    var done = 0
    while done < buffer.count {
      let end = min(done + Self.largestRead, buffer.count)
      let result = database.read(
        into: UnsafeMutableRawBufferPointer(rebasing: buffer[done..<end]), at: start + Int64(done))
      // Past the end of the file, `xRead` has filled in zeros.
      guard result == SQLITE_OK || result == SQLiteFile.shortRead else { throw failure(result, "database file") }
      done = end
    }
  }

  private func readFrame(
    _ frame: UInt32, page: UInt32, from wal: SQLiteFile, into buffer: UnsafeMutableRawBufferPointer
  ) throws {
    let log = WALFile(file: wal, pageSize: pageSize)
    var header: WALFile.FrameHeader?
    var result = log.readHeader(of: frame, into: &header)
    guard result == SQLITE_OK else { throw failure(result, "write-ahead log") }
    // The read transaction keeps these frames in place; if it ever does not, this check shows it.
    // If SQLite rewrote a frame within a transaction and, after a ROLLBACK TO, forgot to seal it,
    // it leaves zeros for salts (wal.c, `iReCksum`); other connections read such a frame as we do,
    // by the wal-index.
    guard let header, header.page == page, header.salts == salts || header.salts == 0 else {
      throw DatabaseError(
        .unstable, path: path, message: "cannot read \(path): its write-ahead log changed under a read transaction")
    }
    result = log.readPage(of: frame, into: buffer)
    guard result == SQLITE_OK else { throw failure(result, "write-ahead log") }
  }

  private func failure(_ result: Int32, _ what: String) -> DatabaseError {
    let words = String(cString: sqlite3_errstr(result))
    return DatabaseError(resultCode: result, words: words, doing: "read the \(what) of", path: path)
  }
}

/// The shape of a database in one of its states.
package struct DatabaseGeometry: Hashable, Sendable {
  /// Bytes, a power of two, 512…65536.
  package var pageSize: Int
  /// 0 if the database is still empty.
  package var pageCount: UInt32
  /// Bytes at the end of every page that SQLite leaves alone (extensions use them).
  package var reservedBytes: Int
  /// Pages on the freelist.
  package var freePages: UInt32
  /// `UTF-8`, `UTF-16le` or `UTF-16be`.
  package var textEncoding: String
  /// `wal`, or the mode that this connection would use otherwise (`delete`): only WAL is recorded
  /// in the file.
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

  /// The page with SQLite's locks, at 1 GiB: never used for data, never read.
  package var lockPage: UInt32 { UInt32(1_073_741_824 / pageSize) + 1 }

  /// Bytes of the whole database.
  package var imageSize: Int64 { Int64(pageCount) * Int64(pageSize) }
}

/// The position of a snapshot in a database's history; a tracker of changed pages starts from it.
package struct SnapshotPosition: Hashable, Sendable {
  /// The WAL's part of a position.
  package struct WAL: Hashable, Sendable {
    /// Both salts, as the bytes in the WAL: they name its generation.
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
  /// Nil in rollback-journal modes and if the wal-index cannot be read.
  package var wal: WAL?
  /// The file change counter of page 1 (bytes 24–27); WAL commits do not change it.
  package var changeCounter: UInt32
  /// Size and times of the database file, as `stat` saw them inside the transaction; checkpoints change them.
  package var facts: FileFacts?
  /// The same from before the transaction read the WAL: a checkpoint that wrote since then shows as
  /// a difference.
  package var stampBefore: FileStamp?
  /// The `-wal` holds a commit that this state does not include: one that is written, and perhaps
  /// being flushed before it is published (with `synchronous=FULL` each commit looks like this when
  /// its write wakes an observer). Check again soon.
  ///
  /// If the writer was killed inside its flush, or if the flush failed, this stays true until those
  /// frames are overwritten or the log is recovered; so give up after some seconds.
  package var hasUnpublishedCommit = false

  /// Whether commits that `earlier` included are gone: they were in the write-ahead log alone, the
  /// database file was not written since, and the log that held them no longer exists. False if
  /// this cannot be determined.
  package func hasLostCommits(since earlier: SnapshotPosition) -> Bool {
    guard let database, database == earlier.database, let old = earlier.wal, old.backfilled < old.maxFrame,
      let new = wal, let stamp = earlier.stampBefore, stamp.wasOld, stamp.facts == facts
    else { return false }
    return new.maxFrame < old.maxFrame || new.salts != old.salts
  }

  /// Whether the database file is still the same later, by its stamps; coarse stamps prove it only
  /// if they were old.
  func isSameFile(_ now: FileFacts?) -> Bool {
    guard let facts, facts == now else { return false }
    return facts.hasFineStamps || (stampBefore?.wasOld ?? false)
  }
}
