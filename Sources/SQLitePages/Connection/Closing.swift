import CSQLite

extension DatabaseConnection {
  /// Decides how an observer closes, and copies the log if that is allowed.
  ///
  /// Other processes are looked up after SQLite's locks have shown that this connection is the last,
  /// and not before: C11, C12 in `contrib/docs/ARCHITECTURE.md`.
  func prepareClosing() -> ClosingRule {
    var facts = closingFacts()
    var rule = ClosingRule.decide(facts)
    guard rule.mayCheckpoint else { return rule }
    guard access == .exclusive || isLast else { return .notLast }
    facts.holders = LogUsers(ofLogBeside: resolvedPath)
    rule = ClosingRule.decide(facts)
    if rule.mayCheckpoint { rule = copyLog(facts) ?? rule }
    guard rule.mayCheckpoint else { return rule }
    if rule.keepsFiles {
      emptyLog()
    } else {
      _ = csqlite_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, nil)
    }
    return rule
  }

  /// Called before a connection that has written closes: leaves the log to a program that has it
  /// open, or may have it open, and has lost its lock.
  func keepLogInUse() {
    guard isWAL, isLast else { return }
    let end = LogEnd(LogUsers(ofLogBeside: resolvedPath), isOurs: !hadWAL)
    guard end != .fold else { return }
    _ = csqlite_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nil)
    if end == .empty { emptyLog() }
  }

  /// Copies the rest of the log and truncates it, as any connection may at any time: a program that
  /// has opened the log since the kernel granted a lease on it has its locks.
  private func emptyLog() {
    sqlite3_busy_timeout(handle, 0)
    sqlite3_wal_checkpoint_v2(handle, "main", SQLITE_CHECKPOINT_TRUNCATE, nil, nil)
  }

  /// The facts that ``ClosingRule`` needs.
  func closingFacts() -> ClosingFacts {
    var facts = ClosingFacts(
      path: path, filesAtOpen: filesAtOpen, filesNow: DatabaseFiles(resolvedPath: resolvedPath))
    facts.isReadOnly = sqlite3_db_readonly(handle, "main") != 0
    facts.openingCreatedWAL = createdWAL
    facts.emptiedWAL = emptiedWAL
    facts.opening = opening
    facts.now = FileClock.now()
    // A log that changes has an application that writes: C4 in contrib/docs/ARCHITECTURE.md.
    for _ in 0..<3 {
      facts.databaseNow = FileFacts(path: resolvedPath)
      facts.walNow = FileFacts(path: resolvedPath + "-wal")
      guard let index = walIndex(), !readLog(index, into: &facts) else { break }
    }
    facts.frames = framesNow(facts)
    return facts
  }

  /// Fills in the facts from the wal-index and the WAL; false if they changed while they were read.
  private func readLog(_ index: WALIndex, into facts: inout ClosingFacts) -> Bool {
    guard let wal = SQLiteFile.journal(of: handle), let database = SQLiteFile.database(of: handle),
      let header = index.readHeader()
    else { return false }
    var log = ClosingFacts.Log(
      changeCount: header.changeCount, maxFrame: header.maxFrame, backfilled: index.readBackfill(),
      attempted: index.readBackfillAttempt(), salts: header.salts)
    log.fileMatches = header.matches(wal, facts.walNow)
    log.hasUnpublishedCommit = WALFile.hasUnpublishedCommit(wal, beyond: header)
    var pages = ClosingFacts.CheckpointedPages.unknown
    facts.log = log
    if facts.needsCheckpointedPages {
      let checkpointed = CheckpointedPages(index, header, backfilled: log.backfilled, database: database, wal: wal)
      pages = checkpointed?.compare() ?? .unknown
    }
    csqlite_barrier()
    let stoodStill =
      index.readHeader() == header && index.readBackfill() == log.backfilled
      && index.readBackfillAttempt() == log.attempted
    facts.log = stoodStill ? log : nil
    facts.checkpointedPages = stoodStill ? pages : .unknown
    return stoodStill
  }

  private func framesNow(_ facts: ClosingFacts) -> UInt32? {
    // An empty file has no frames. It is the only evidence if the wal-index is out of reach: for an
    // exclusive connection, and for one that failed to open.
    if facts.walNow?.size == 0 { return 0 }
    return facts.log?.maxFrame
  }

  /// Copies the rest of the log into the database, if no other program has it open: flush, check
  /// again, then write. C13 in `contrib/docs/ARCHITECTURE.md` has the reasons.
  ///
  /// - Returns: the rule that applies instead, if the facts have changed.
  func copyLog(_ facts: ClosingFacts) -> ClosingRule? {
    guard let log = facts.log, log.backfilled < log.maxFrame else { return nil }
    if let wal = SQLiteFile.journal(of: handle) { _ = wal.methods.xSync?(wal.pointer, SQLITE_SYNC_NORMAL) }
    let rule = ClosingRule.decide(closingFacts())
    guard rule.mayCheckpoint else { return rule }
    // Other programs may open, commit and close meanwhile. After a few rounds, the close itself
    // copies the rest.
    for _ in 0..<4 {
      sqlite3_wal_checkpoint_v2(handle, "main", SQLITE_CHECKPOINT_PASSIVE, nil, nil)
      guard let index = walIndex(), let header = index.readHeader(), index.readBackfill() < header.maxFrame else {
        break
      }
    }
    return nil
  }

  /// Whether no other connection has the database open, by SQLite's own locks.
  /// C11 in `contrib/docs/ARCHITECTURE.md`.
  private var isLast: Bool {
    guard let file = SQLiteFile.database(of: handle), let lock = file.methods.xLock, let unlock = file.methods.xUnlock
    else { return false }
    let result = lock(file.pointer, SQLITE_LOCK_EXCLUSIVE)
    // Back to the lock that the connection held; a refused exclusive lock may have left a pending
    // one.
    _ = unlock(file.pointer, SQLITE_LOCK_SHARED)
    return result == SQLITE_OK
  }

  /// The facts for comparison at the close, read after opening.
  ///
  /// - Parameter before: the database file before it was opened.
  func openingFacts(before: FileFacts?) -> OpeningFacts? {
    guard access == .observer, let index = walIndex(), let header = index.readHeader() else { return nil }
    let backfilled = index.readBackfill()
    let database = FileFacts(path: resolvedPath)
    // A write that follows within the tick could leave the very same stamps.
    let isSettled = before != nil && before == database && (database?.isSettled(at: FileClock.now()) ?? false)
    return OpeningFacts(database: database, isSettled: isSettled, salts: header.salts, backfilled: backfilled)
  }
}

extension WALIndexHeader {
  /// Whether the file is the WAL that this header describes: its salts, and those and the checksum of the last frame.
  /// C6 in `contrib/docs/ARCHITECTURE.md`.
  func matches(_ wal: SQLiteFile, _ facts: FileFacts?) -> Bool {
    if maxFrame == 0 { return facts?.size == 0 }
    guard let file = WALFileHeader(wal), file.salts == salts,
      let frame = WALFile(file: wal, pageSize: file.pageSize).header(of: maxFrame)
    else { return false }
    return frame.salts == salts && frame.checksum == frameChecksum && frame.commitSize != 0
  }
}
