import CSQLite
import Glibc

/// Whether SQLite may checkpoint the `-wal` and remove the side files (its habit) when this connection
/// closes as the last one, or `SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE` stays on.
///
/// A log may go if it exists through us alone, or if the application itself would have removed it
/// without our connection. The reasons are C1 to C16 in `contrib/docs/ARCHITECTURE.md`.
package struct ClosingRule: Hashable, Sendable {
  package var mayCheckpoint: Bool
  /// The log is emptied but not removed, because processes that cannot be seen may open it.
  package var keepsFiles = false
  package var reason: String
  /// For an alarm: another program wrote over the database beside its WAL, and the next program to
  /// open the database applies that WAL to the new content.
  package var warning: String?
  /// The action to take on ``warning``.
  package var hint: String?

  /// The other connection closes after us and handles the log.
  static let notLast = ClosingRule.no("another connection has the database open")

  package static func decide(_ facts: ClosingFacts) -> ClosingRule {
    var rule = decideByFiles(facts)
    guard rule.mayCheckpoint, let holders = facts.holders else { return rule }
    // A log that our opening created, and that is still empty, can only be in use by a program that
    // came later.
    let isOurs = facts.openingCreatedWAL && facts.frames == 0
    switch LogEnd(holders, isOurs: isOurs) {
    case .leave(let reason): return .no(reason)
    case .empty: rule.keepsFiles = true
    case .fold: break
    }
    return rule
  }

  /// The decision by the files alone, without their holders.
  private static func decideByFiles(_ facts: ClosingFacts) -> ClosingRule {
    guard facts.filesNow == facts.filesAtOpen else { return replaced(facts) }
    if facts.openingCreatedWAL || facts.emptiedWAL, facts.frames == 0, facts.walNow?.size == 0 {
      return .yes("the write-ahead log is empty and exists through us alone")
    }
    guard let log = facts.log else {
      return .no("the write-ahead log is not ours, and its index cannot be read or keeps changing")
    }
    if let obstacle = obstacle(log, facts) { return .no(obstacle) }
    // Nothing will be written, and a log that stays could be applied to another file.
    // C8 in contrib/docs/ARCHITECTURE.md.
    if log.backfilled >= log.maxFrame { return .yes("all of the write-ahead log is in the database file already") }
    if facts.wasOverwritten { return overwritten(facts) }
    return fold(log, facts)
  }

  /// Why the WAL must not be touched, regardless of the database file; nil if it may be.
  /// C5 to C7 in `contrib/docs/ARCHITECTURE.md`.
  private static func obstacle(_ log: ClosingFacts.Log, _ facts: ClosingFacts) -> String? {
    if facts.isReadOnly { return "this connection may only read" }
    if log.changeCount == 0 { return "no application has committed since the write-ahead log's index was built" }
    if !log.fileMatches { return "the write-ahead log does not match its index" }
    if log.hasUnpublishedCommit {
      return "the write-ahead log ends with a commit that was never published: the next to open it recovers that"
    }
    return nil
  }

  /// Allows a checkpoint if only SQLite has written to the database file since an application was
  /// connected. The cases are C10 in `contrib/docs/ARCHITECTURE.md`.
  private static func fold(_ log: ClosingFacts.Log, _ facts: ClosingFacts) -> ClosingRule {
    guard let database = facts.databaseNow, let wal = facts.walNow, wal.modified <= facts.now else {
      return .no("the files' time stamps prove nothing: they are missing, or in the future")
    }
    // Both stamps come from one clock that never goes back within a tick, so a smaller one is earlier.
    if database.touched < wal.modified {
      return .yes("the database was not written since an application last wrote to the write-ahead log")
    }
    if database.touched == wal.modified, facts.isUntouchedSinceOpen {
      return .yes("the database was not written since this connection was opened")
    }
    if facts.hasCheckpointSinceOpen || facts.isUntouchedSinceOpen, facts.checkpointedPages == .equal {
      return .yes("only a checkpoint has written to the database since an application last wrote to its log")
    }
    return .no("it is not certain that only SQLite has written to the database")
  }

  private static func overwritten(_ facts: ClosingFacts) -> ClosingRule {
    let path = facts.path
    return ClosingRule(
      mayCheckpoint: false, reason: "another program has written to the database file",
      warning:
        "\(path) was overwritten while its write-ahead log was in use: the next program to open it reads the new "
        + "content mixed with that log",
      hint: hint(path))
  }

  private static func replaced(_ facts: ClosingFacts) -> ClosingRule {
    var rule = ClosingRule.no("the files at this path are not those that were opened")
    guard facts.filesNow.database != facts.filesAtOpen.database, facts.filesNow.database != nil,
      facts.filesNow.wal == facts.filesAtOpen.wal, facts.walNow?.size ?? 0 > 0
    else { return rule }
    rule.warning =
      "\(facts.path) was replaced while the old file's write-ahead log was in use: SQLite will apply that log "
      + "to the new file at the next open"
    rule.hint = hint(facts.path)
    return rule
  }

  private static func hint(_ path: String) -> String {
    "to keep the new content, stop the applications that use it and remove \(path)-wal and \(path)-shm "
      + "before the database is opened again"
  }

  private static func yes(_ reason: String) -> ClosingRule { ClosingRule(mayCheckpoint: true, reason: reason) }
  private static func no(_ reason: String) -> ClosingRule { ClosingRule(mayCheckpoint: false, reason: reason) }
}

/// The end of a log that other processes may have open: observers and writers decide it in the same way when they close.
enum LogEnd: Hashable {
  case fold
  /// Its files stay: processes that cannot be seen may open them.
  case empty
  case leave(reason: String)

  /// A program that has lost all its locks loses its transaction if the log is emptied under it, so
  /// in doubt the log stays. C12 in `contrib/docs/ARCHITECTURE.md`.
  ///
  /// - Parameter isOurs: only a program that came after this connection can use the log.
  init(_ holders: LogUsers, isOurs: Bool) {
    if let process = holders.processes.first {
      self = .leave(reason: "\(process) has the write-ahead log open, although SQLite's locks do not show it")
      return
    }
    guard let doubt = holders.doubt else {
      self = .fold
      return
    }
    switch holders.hidden {
    case .some: self = .leave(reason: "a process that cannot be seen has the write-ahead log open")
    case .unknown where !isOurs: self = .leave(reason: "the write-ahead log may be in use: \(doubt)")
    case .none where !isOurs: self = .empty
    case .unknown, .none: self = .fold
    }
  }
}

/// The facts about a connection that is about to close.
package struct ClosingFacts: Hashable, Sendable {
  /// The WAL, as its index and its own headers describe it.
  package struct Log: Hashable, Sendable {
    /// `iChange`: commits since the wal-index was made or recovered.
    package var changeCount: UInt32
    /// The last committed frame.
    package var maxFrame: UInt32
    /// Frames that a checkpoint has copied into the database.
    package var backfilled: UInt32
    /// Frames that the newest checkpoint intended to copy; more than ``backfilled`` while a
    /// checkpoint runs, or if it was interrupted.
    package var attempted: UInt32
    /// The bytes of both salts in the index: they name the generation of the WAL that it describes.
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

  /// Whether the pages that checkpoints have copied are the same in the database file and in the
  /// WAL.
  package enum CheckpointedPages: Hashable, Sendable {
    /// Not checked, no checkpointed pages, or unreadable.
    case unknown
    case equal
    case different
  }

  package var path: String
  /// Opened without the right to write.
  package var isReadOnly = false
  /// There was no `-wal` before this connection opened, or its application removed it meanwhile;
  /// and there was one right after.
  package var openingCreatedWAL = false
  /// This connection held the database exclusively and truncated the WAL to nothing.
  package var emptiedWAL = false
  /// Frames that the wal-index counts now; nil if it cannot be read.
  package var frames: UInt32?
  /// The files seen right after opening.
  package var filesAtOpen: DatabaseFiles
  package var filesNow: DatabaseFiles
  /// The facts at opening; nil if there was no wal-index.
  package var opening: OpeningFacts?
  /// Nil if the wal-index cannot be read or kept changing.
  package var log: Log?
  /// Read before ``log``, so that a checkpoint visible in these facts is also in ``log``.
  package var databaseNow: FileFacts?
  package var walNow: FileFacts?
  /// Nanoseconds since the epoch.
  package var now: Int64 = 0
  package var checkpointedPages = CheckpointedPages.unknown
  /// Nil until they are looked up, which happens only if nothing else forbids a checkpoint.
  package var holders: LogUsers?

  package init(path: String, filesAtOpen: DatabaseFiles, filesNow: DatabaseFiles) {
    self.path = path
    self.filesAtOpen = filesAtOpen
    self.filesNow = filesNow
  }
}

/// The database at the time of opening, for comparison at the close.
package struct OpeningFacts: Hashable, Sendable {
  /// Read after the salts and the count of frames.
  package var database: FileFacts?
  /// The same facts were found before opening, and a later write must leave different stamps.
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

  /// Whether a checkpoint has finished since opening: one of the present generation of the WAL, or
  /// one of all frames, which must precede another generation.
  var hasCheckpointSinceOpen: Bool {
    guard let opening, let log else { return false }
    return log.salts != opening.salts || log.backfilled > opening.backfilled
  }

  /// Whether it is certain that a program other than SQLite wrote to the database file beside its
  /// WAL. The cases are C9 in `contrib/docs/ARCHITECTURE.md`.
  var wasOverwritten: Bool {
    // A checkpoint that is running, or was interrupted, has written more than its counter shows.
    guard let log, let databaseNow, let walNow, log.attempted <= log.backfilled else { return false }
    if checkpointedPages == .different { return true }
    // The last checkpoint came before this generation's first frame.
    if log.backfilled == 0, databaseNow.modified > walNow.modified, databaseNow.modified <= now { return true }
    guard let opening, let before = opening.database, opening.salts == log.salts else { return false }
    // Not the time of the inode's change, because `chmod` changes it as well.
    return opening.backfilled == log.backfilled
      && (before.size, before.modified) != (databaseNow.size, databaseNow.modified)
  }

  /// Whether ``ClosingRule`` needs to know more about the pages in the database file.
  package var needsCheckpointedPages: Bool {
    guard let log, let databaseNow, let walNow else { return false }
    return log.backfilled < log.maxFrame && databaseNow.touched >= walNow.modified
  }
}

/// Compares the pages that checkpoints have copied out of a WAL with the pages in the database
/// file, to find out whether a checkpoint was the last to write there.
struct CheckpointedPages {
  private let log: WALFile
  private let database: SQLiteFile
  private let header: WALIndexHeader
  private let backfilled: UInt32
  private let numbers: [UInt32]

  /// Returns nil if the WAL is not of the generation that `header` names.
  init?(_ index: WALIndex, _ header: WALIndexHeader, backfilled: UInt32, database: SQLiteFile, wal: SQLiteFile) {
    guard let generation = WALFileHeader(wal), generation.salts == header.salts,
      let numbers = index.pageNumbers(to: header.maxFrame)
    else { return nil }
    log = WALFile(file: wal, pageSize: generation.pageSize)
    self.database = database
    self.header = header
    self.backfilled = backfilled
    self.numbers = numbers
  }

  func compare() -> ClosingFacts.CheckpointedPages {
    var map = WALPageMap(pages: numbers, pageCount: header.pageCount)
    let current = map.frames(first: 1, count: Int(header.pageCount))
    let copied = compare(current.filter { $0.frame <= backfilled })
    if copied != .unknown { return copied }
    // The fate of the frames before this generation is less certain: they can only confirm that
    // nothing else wrote.
    return compare(leftovers()) == .equal ? .equal : .unknown
  }

  private func compare(_ frames: [(page: UInt32, frame: UInt32)]) -> ClosingFacts.CheckpointedPages {
    // Two pages; filled by the reads before they are compared.
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 2 * log.pageSize, alignment: 4096)
    defer { buffer.deallocate() }
    let one = UnsafeMutableRawBufferPointer(rebasing: buffer[..<log.pageSize])
    let two = UnsafeMutableRawBufferPointer(rebasing: buffer[log.pageSize...])
    for (page, frame) in frames {
      guard log.readPage(of: frame, into: one) == SQLITE_OK else { return .unknown }
      let read = database.read(into: two, at: Int64(page - 1) * Int64(log.pageSize))
      guard read == SQLITE_OK || read == SQLiteFile.shortRead else { return .unknown }
      guard memcmp(one.baseAddress!, two.baseAddress!, log.pageSize) == 0 else { return .different }
    }
    return frames.isEmpty ? .unknown : .equal
  }

  /// Frames of the previous generation that this one has not overwritten yet, the last one of each
  /// page. All committed ones had been copied into the database before this generation began.
  private func leftovers() -> [(page: UInt32, frame: UInt32)] {
    var frame = header.maxFrame
    var next: WALFile.FrameHeader?
    // First skip the frames of the present generation that a rolled-back or running transaction
    // left.
    repeat {
      frame += 1
      next = log.header(of: frame)
    } while next?.salts == header.salts
    guard let salts = next?.salts, WALFileHeader.isGeneration(salts, rightBefore: header.salts) else { return [] }
    var last: [UInt32: UInt32] = [:]
    var uncommitted: [UInt32: UInt32] = [:]
    while let found = next, found.salts == salts {
      uncommitted[found.page] = frame
      if found.commitSize != 0 {
        last.merge(uncommitted) { $1 }
        uncommitted = [:]
      }
      frame += 1
      next = log.header(of: frame)
    }
    return last.filter { $0.key <= header.pageCount }.map { ($0.key, $0.value) }.sorted { $0.0 < $1.0 }
  }
}
