/// One step of a tracker: the pages that changed between two positions, and whether they are
/// complete.
///
/// `next` was read inside a read transaction of `connection` that is still open.
struct TrackerStep {
  let last: TrackerPosition
  let next: TrackerPosition
  let connection: DatabaseConnection

  init(from last: TrackerPosition, to next: TrackerPosition, _ connection: DatabaseConnection) {
    self.last = last
    self.next = next
    self.connection = connection
  }

  typealias Result = (outcome: TrackerOutcome, pages: [UInt32])

  private static func incomplete(_ reason: String) -> Result { (.incomplete(reason), []) }

  func prove() -> Result {
    guard let identity = last.snapshot.database, identity == next.snapshot.database else {
      return Self.incomplete("another file is at the database's path")
    }
    guard last.pageSize == next.pageSize, last.textEncoding == next.textEncoding else {
      return Self.incomplete("page size or text encoding changed")
    }
    switch (last.snapshot.wal, next.snapshot.wal) {
    case (let old?, let new?): return proveWAL(old, new)
    case (nil, nil): return proveRollback()
    default: return Self.incomplete("the journal mode changed")
    }
  }

  /// A rollback-mode commit changes the change counter and writes to the file; there is no record
  /// of the pages.
  private func proveRollback() -> Result {
    guard last.snapshot.changeCounter == next.snapshot.changeCounter, isFileUntouched else {
      return Self.incomplete("the database was written to in a rollback mode")
    }
    return (.complete(.unchangedFile), [])
  }

  /// Nothing was written to the database file between the two positions.
  /// T8 in `contrib/docs/ARCHITECTURE.md`.
  private var isFileUntouched: Bool {
    guard let before = last.snapshot.stampBefore, let after = next.snapshot.facts else { return false }
    return before.isUntouched(until: after)
  }

  private func proveWAL(_ old: SnapshotPosition.WAL, _ new: SnapshotPosition.WAL) -> Result {
    guard let index = connection.walIndex(), let journal = SQLiteFile.journal(of: connection.handle) else {
      return Self.incomplete("the write-ahead log cannot be read here")
    }
    let frames = WALFile(file: journal, pageSize: next.pageSize)
    // Without any WAL there are no salts, and so no generation.
    let result =
      old.salts == new.salts && old.salts != 0
      ? proveSameGeneration(old, new, index, frames)
      : isFileUntouched && old.backfilled >= old.maxFrame
        ? collect(.untouchedFile, from: 1, to: new.maxFrame, index)
        : proveOneReset(old, new, index, frames)
    // The frames just read might be of two generations: T11 in contrib/docs/ARCHITECTURE.md.
    guard index.readHeader().map({ $0.salts == new.salts && $0.maxFrame >= new.maxFrame }) ?? false else {
      return Self.incomplete("the write-ahead log was reset while it was read")
    }
    return result
  }

  private func collect(_ proof: TrackerProof, from first: UInt32, to last: UInt32, _ index: WALIndex) -> Result {
    guard let pages = index.pageNumbers(from: first, to: last) else {
      return Self.incomplete("the wal-index cannot be read")
    }
    return (.complete(proof), pages)
  }

  private func proveSameGeneration(
    _ old: SnapshotPosition.WAL, _ new: SnapshotPosition.WAL, _ index: WALIndex, _ frames: WALFile
  ) -> Result {
    guard new.maxFrame >= old.maxFrame else { return Self.incomplete("the write-ahead log lost frames") }
    if old.maxFrame > 0 {
      guard let header = frames.header(of: old.maxFrame), header.salts == old.salts,
        header.checksum == old.frameChecksum
      else { return Self.incomplete("the write-ahead log was written anew") }
    }
    guard !isFileWritten || isCheckpointed(old, new, index) else {
      return Self.incomplete("the database file was written to without a checkpoint")
    }
    return collect(.sameGeneration, from: old.maxFrame + 1, to: new.maxFrame, index)
  }

  /// Whether a checkpoint explains the writes to the database file.
  /// T6 in `contrib/docs/ARCHITECTURE.md`.
  private func isCheckpointed(_ old: SnapshotPosition.WAL, _ new: SnapshotPosition.WAL, _ index: WALIndex) -> Bool {
    guard new.changeCount >= old.changeCount else { return false }
    if new.backfilled > old.backfilled { return true }
    // A running checkpoint has published how far it intends to get. A recovery publishes the same,
    // so this counts only if there cannot have been a recovery.
    return last.connection != nil && last.connection == next.connection && index.readBackfillAttempt() > old.backfilled
  }

  /// Whether it is certain that the database file was written to between the two positions.
  private var isFileWritten: Bool {
    guard let before = last.snapshot.stampBefore else { return false }
    return next.snapshot.facts.map { before.isContradicted(by: $0) } ?? true
  }
}

/// Proof (c): the WAL was reset once beside a connection that stayed open. A count of the commits
/// shows whether the rest of the old generation is complete: T9, T10 in `contrib/docs/ARCHITECTURE.md`.
extension TrackerStep {
  func proveOneReset(
    _ old: SnapshotPosition.WAL, _ new: SnapshotPosition.WAL, _ index: WALIndex, _ frames: WALFile
  ) -> Result {
    guard let serial = last.connection, serial == next.connection else {
      return (.incomplete("the write-ahead log was reset while this agent was not connected"), [])
    }
    guard WALFileHeader.isGeneration(old.salts, rightBefore: new.salts), new.changeCount >= old.changeCount else {
      return (.incomplete("the write-ahead log was reset more than once, or recovered"), [])
    }
    var count = FrameCount(frames)
    count.addLeftovers(of: old)
    count.add(1, through: new.maxFrame, salts: new.salts)
    guard count.isCertain, count.commits == new.changeCount - old.changeCount else {
      return (.incomplete("the write-ahead log was reset, and not all commits before that are left in it"), [])
    }
    return (.complete(.oneReset), count.pages)
  }
}

/// Counts the commits that frames of the WAL represent, and gathers their pages.
private struct FrameCount {
  private let frames: WALFile
  private var lastCommit: (number: UInt32, page: UInt32)?
  private(set) var commits: UInt32 = 0
  private(set) var pages: [UInt32] = []
  /// False if frames could not be read, or may be padding.
  private(set) var isCertain = true

  init(_ frames: WALFile) {
    self.frames = frames
  }

  /// Frames of an old generation behind a position in it, up to the first gap.
  mutating func addLeftovers(of old: SnapshotPosition.WAL) {
    lastCommit = nil
    var number = old.maxFrame + 1
    while let frame = frames.header(of: number), frame.salts == old.salts {
      add(number, frame)
      number += 1
    }
  }

  mutating func add(_ first: UInt32, through last: UInt32, salts: UInt64) {
    lastCommit = nil
    guard first <= last else { return }
    for number in first...last {
      guard let frame = frames.header(of: number), frame.salts == salts else {
        isCertain = false
        return
      }
      add(number, frame)
    }
  }

  private mutating func add(_ number: UInt32, _ frame: WALFile.FrameHeader) {
    pages.append(frame.page)
    guard frame.commitSize != 0 else { return }
    commits += 1
    if let lastCommit, lastCommit.number == number - 1, lastCommit.page == frame.page, isRepeated(number) {
      isCertain = false
    }
    lastCommit = (number, frame.page)
  }

  /// Whether a commit frame repeats the one before it, as padding does.
  /// T10 in `contrib/docs/ARCHITECTURE.md`.
  private func isRepeated(_ number: UInt32) -> Bool {
    guard let one = content(number - 1), let other = content(number) else { return true }
    return one == other
  }
  private func content(_ number: UInt32) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: frames.pageSize)
    return bytes.withUnsafeMutableBytes { frames.readPage(of: number, into: $0) } == 0 ? bytes : nil
  }
}
