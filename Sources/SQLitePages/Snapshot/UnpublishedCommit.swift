extension WALFile {
  /// Frames that are looked at one by one; a longer transaction's end is searched for.
  private static let closeLook: UInt32 = 16_384

  /// Whether the log holds a commit that the wal-index does not know of: one that is being flushed, for a writer stores the
  /// frames, flushes them, and only then publishes them.
  ///
  /// A commit whose writer was killed in between, or could not flush it, looks just the same until the log is overwritten or
  /// recovered. Checksums are not looked at. The connection must be inside a transaction or at least have the log open.
  ///
  /// - Parameter index: the header of the wal-index.
  static func hasUnpublishedCommit(_ file: SQLiteFile, beyond index: WALIndexHeader) -> Bool {
    guard let header = WALFileHeader(file) else { return false }
    let log = WALFile(file: file, pageSize: header.pageSize)
    if header.salts == index.salts { return log.hasCommit(from: index.maxFrame &+ 1, salts: header.salts) }
    // With other salts all of the file is unpublished, unless it is what the wal-index has already left behind.
    return header.isPredecessor(of: index) ? false : log.hasCommit(from: 1, salts: header.salts)
  }

  private func hasCommit(from first: UInt32, salts: UInt64) -> Bool {
    // The number comes from memory that others write; no log is that long.
    guard first > 0, first < 1 << 30 else { return false }
    for frame in first...(first + Self.closeLook) {
      guard let header = header(of: frame), header.salts == salts else { return false }
      if header.commitSize != 0 { return true }
    }
    // Frames are appended, so those of this generation stand together; the commit flag is on the transaction's last.
    let last = lastFrame(after: first + Self.closeLook, salts: salts)
    return header(of: last)?.commitSize ?? 0 != 0
  }

  /// The last frame with those salts; `frame` has them.
  private func lastFrame(after frame: UInt32, salts: UInt64) -> UInt32 {
    var (known, step) = (frame, UInt32(1))
    while header(of: known + step)?.salts == salts, step < 1 << 30 {
      known += step
      step *= 2
    }
    while step > 1 {
      step /= 2
      if header(of: known + step)?.salts == salts { known += step }
    }
    return known
  }
}
