import CSQLite
import Glibc

/// The pages that checkpoints have copied out of a WAL, compared with what stands in the database file: whether a
/// checkpoint was the last to write there.
struct CheckpointedPages {
  private let log: WALFile
  private let database: SQLiteFile
  private let header: WALIndexHeader
  private let backfilled: UInt32
  private let numbers: [UInt32]

  /// Nil where the WAL is not of the generation that `header` names.
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
    // What the frames before this generation became cannot be told as surely: at most, they say that all is well.
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

  /// Frames of the generation before that this one has not overwritten yet, the last one of each page. All that were
  /// committed had been copied into the database before this generation began.
  private func leftovers() -> [(page: UInt32, frame: UInt32)] {
    var frame = header.maxFrame
    var next: WALFile.FrameHeader?
    // First past what a transaction that was rolled back, or is still going on, left of the present generation.
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
