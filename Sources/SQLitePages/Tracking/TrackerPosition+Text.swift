extension TrackerPosition {
  /// What the text begins with; another meaning of what follows gets another number.
  private static let version = "1"

  /// The position for a later process; nil where it could prove nothing there.
  ///
  /// The connection is left out, for it ends with the process. A stamp that is not settled cannot tell a file that somebody
  /// copied over the database from the one that was followed; while a process runs that is a matter of milliseconds, but
  /// nobody knows when the next one starts.
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

  /// Nil for anything but what ``text`` gives.
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
    // Others are not written down.
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
