/// Proof (c): the WAL was reset once, under the eyes of a connection that stayed open.
///
/// A reset makes salt 1 one larger and salt 2 random; later frames overwrite the old ones from the first on, and a TRUNCATE
/// checkpoint or a size limit cuts the old ones off. So what is left of the old generation behind the last position is added, and
/// only counting tells whether it is all: `iChange` of the wal-index grows by one with each commit.
///
/// Why a matching count means that nothing is missing: the leftovers begin right behind the old position and have no gap, so
/// commits can only be missing at their end (cut off) or as a whole (overwritten). Then fewer commit frames are seen than were
/// made, unless some are counted that are none. A writer that died before it published its commit leaves one such frame, but
/// behind all others, where it goes first. Padding is the other kind, and excluded by ``FrameCount``.
extension TrackerStep {
  func proveOneReset(
    _ old: SnapshotPosition.WAL, _ new: SnapshotPosition.WAL, _ index: WALIndex, _ frames: WALFile
  ) -> Result {
    guard let serial = last.connection, serial == next.connection else {
      return (.incomplete("the write-ahead log was reset while nobody of ours was connected"), [])
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

/// Counts the commits that frames of the WAL stand for, and gathers their pages.
private struct FrameCount {
  private let frames: WALFile
  private var lastCommit: (number: UInt32, page: UInt32)?
  private(set) var commits: UInt32 = 0
  private(set) var pages: [UInt32] = []
  /// False where frames could not be read, or may be padding.
  private(set) var isCertain = true

  init(_ frames: WALFile) {
    self.frames = frames
  }

  /// Frames of an old generation behind a position in it, as far as they go without a gap.
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

  /// On a file system without "powersafe overwrite" SQLite pads a commit to a whole sector by writing its last frame again: one
  /// commit, several commit frames, all of the same page with the same content.
  private func isRepeated(_ number: UInt32) -> Bool {
    guard let one = content(number - 1), let other = content(number) else { return true }
    return one == other
  }
  private func content(_ number: UInt32) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: frames.pageSize)
    return bytes.withUnsafeMutableBytes { frames.readPage(of: number, into: $0) } == 0 ? bytes : nil
  }
}
