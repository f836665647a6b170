/// The pages of a database that changed since one of its states, found in the WAL without any lock
/// between two steps.
///
/// A superset of them if ``gap`` is nil; otherwise the caller compares all pages. Each step has a
/// ``TrackerProof``. The invariant is T1 in `contrib/docs/ARCHITECTURE.md`.
package struct PageTracker: Sendable {
  /// Numbers of pages, from 1.
  package private(set) var pages: Set<UInt32> = []
  /// The position reached; nil before the first start.
  package private(set) var position: TrackerPosition?
  /// The reason why `pages` may be incomplete; nil if it is complete.
  package private(set) var gap: String? = "nothing is known yet"

  package init() {}

  /// Starts again from a state whose pages are known.
  package mutating func start(at position: TrackerPosition) {
    pages = []
    gap = nil
    self.position = position
  }

  /// Discards the pages.
  package mutating func lose(_ reason: String) {
    pages = []
    if gap == nil { gap = reason }
  }

  /// Adds the pages committed between the position and `snapshot`, and moves there.
  package mutating func follow(_ snapshot: DatabaseSnapshot) -> TrackerOutcome {
    let now = TrackerPosition(snapshot)
    defer { position = now }
    guard let before = position else { return .incomplete(gap ?? "nothing is known yet") }
    let step = TrackerStep(from: before, to: now, snapshot.connection)
    let (outcome, changed) = step.prove()
    if case .incomplete(let reason) = outcome { lose(reason) }
    if gap == nil { pages.formUnion(changed) }
    return outcome
  }
}

/// How far a ``PageTracker`` has followed a database.
package struct TrackerPosition: Hashable, Sendable {
  package var snapshot: SnapshotPosition
  package var pageSize: Int
  package var textEncoding: String
  /// ``DatabaseConnection/serial`` of the connection that saw it; nil if that was in another
  /// process.
  package var connection: UInt64?

  package init(_ snapshot: DatabaseSnapshot) {
    self.init(
      snapshot: snapshot.position, pageSize: snapshot.geometry.pageSize, textEncoding: snapshot.geometry.textEncoding,
      connection: snapshot.connection.serial)
  }

  package init(snapshot: SnapshotPosition, pageSize: Int, textEncoding: String, connection: UInt64?) {
    self.snapshot = snapshot
    self.pageSize = pageSize
    self.textEncoding = textEncoding
    self.connection = connection
  }
}

/// The proof that the pages a tracker gathered are all that changed.
package enum TrackerProof: String, Hashable, Sendable, CaseIterable {
  /// (a) The WAL is in the same generation, and begins with the same frames.
  /// T5, T6 in `contrib/docs/ARCHITECTURE.md`.
  case sameGeneration = "same generation"
  /// (b) Nothing was written to the database file since: T7, T8 in `contrib/docs/ARCHITECTURE.md`.
  case untouchedFile = "untouched file"
  /// (c) The WAL was reset once beside an open connection, and no commit is missing.
  /// T9, T10 in `contrib/docs/ARCHITECTURE.md`.
  case oneReset = "one reset"
  /// A rollback-mode database whose change counter and file are the same.
  /// T12 in `contrib/docs/ARCHITECTURE.md`.
  case unchangedFile = "unchanged file"
}

/// How a step of a tracker ended.
package enum TrackerOutcome: Hashable, Sendable {
  case complete(TrackerProof)
  /// Pages may have changed unseen; the text gives the reason.
  case incomplete(String)
}

extension TrackerPosition {
  /// The beginning of the text; if the meaning of the rest changes, the number changes.
  private static let version = "1"

  /// The position for a later process; nil if it could not prove anything there.
  ///
  /// Only with a settled stamp, because the next process may start at any time later, and without the
  /// connection: T13 in `contrib/docs/ARCHITECTURE.md`.
  package var text: String? {
    guard let stamp = snapshot.stampBefore, stamp.isSettled, stamp.facts.identity == snapshot.database,
      snapshot.wal?.frameChecksum.count ?? 2 == 2
    else { return nil }
    let facts = stamp.facts
    var words = [
      Self.version, textEncoding, "\(pageSize)", "\(facts.identity.device)", "\(facts.identity.inode)", "\(facts.size)",
      "\(facts.modified)", "\(facts.changed)", "\(snapshot.changeCounter)",
    ]
    if let wal = snapshot.wal {
      words += ["\(wal.salts)", "\(wal.maxFrame)", "\(wal.backfilled)", "\(wal.changeCount)"]
      words += wal.frameChecksum.map { "\($0)" }
    }
    return words.joined(separator: " ")
  }

  /// Returns nil if the text is not one that ``text`` gives.
  package init?(text: String) {
    let words = text.split(separator: " ", omittingEmptySubsequences: false).map { String($0) }
    guard words.count == 9 || words.count == 15, words[0] == Self.version, let pageSize = Int(words[2]),
      let facts = FileFacts(words[3..<8]), let changeCounter = UInt32(words[8])
    else { return nil }
    var wal: SnapshotPosition.WAL?
    if words.count > 9 {
      wal = SnapshotPosition.WAL(words[9...])
      if wal == nil { return nil }
    }
    self.init(
      snapshot: SnapshotPosition(
        database: facts.identity, wal: wal, changeCounter: changeCounter, facts: nil,
        stampBefore: FileStamp(settled: facts)),
      pageSize: pageSize, textEncoding: words[1], connection: nil)
  }
}

extension FileFacts {
  /// Of a database: a regular file.
  fileprivate init?(_ words: ArraySlice<String>) {
    let words = Array(words)
    guard words.count == 5, let device = UInt64(words[0]), let inode = UInt64(words[1]), let size = Int64(words[2]),
      let modified = Int64(words[3]), let changed = Int64(words[4])
    else { return nil }
    identity = FileIdentity(device: device, inode: inode)
    (self.size, self.modified, self.changed) = (size, modified, changed)
    // Other files are not written down.
    (isRegular, isFolder, hasFineStamps) = (true, false, true)
  }
}

extension SnapshotPosition.WAL {
  fileprivate init?(_ words: ArraySlice<String>) {
    let words = Array(words)
    let checksum = words.dropFirst(4).compactMap { UInt32($0) }
    guard words.count == 6, checksum.count == 2, let salts = UInt64(words[0]),
      let maxFrame = UInt32(words[1]), let backfilled = UInt32(words[2]), let changeCount = UInt32(words[3])
    else { return nil }
    self.init(
      salts: salts, maxFrame: maxFrame, backfilled: backfilled, changeCount: changeCount, frameChecksum: checksum)
  }
}
