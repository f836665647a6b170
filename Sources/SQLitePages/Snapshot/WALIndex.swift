import CSQLite
import Glibc

/// The header of the wal-index (the `-shm` file): what the last commit in the WAL is.
/// <https://www.sqlite.org/walformat.html#the_wal_index_header>
package struct WALIndexHeader: Hashable, Sendable {
  /// Counts transactions; starts again with every new wal-index, so it proves nothing alone.
  package var changeCount: UInt32
  /// Frames of the WAL that are valid and committed.
  package var maxFrame: UInt32
  /// Pages of the database; 0 after opening a cleanly closed database, whatever its size.
  package var pageCount: UInt32
  /// The cumulative checksum of frame ``maxFrame``.
  package var frameChecksum: [UInt32]
  /// The bytes of both salts as they stand in the WAL's own headers.
  package var salts: UInt64

  static let size = 48
  private static let version: UInt32 = 3_007_000

  /// Parses 48 bytes in the machine's byte order; nil where they are not initialised or the checksum is wrong.
  init?(_ bytes: UnsafeRawBufferPointer) {
    func word(_ offset: Int) -> UInt32 { bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self) }
    guard bytes.count == Self.size, word(0) == Self.version, bytes[12] != 0 else { return nil }
    let sum = Self.checksum((0..<10).map { word($0 * 4) })
    guard sum == [word(40), word(44)] else { return nil }
    changeCount = word(8)
    maxFrame = word(16)
    pageCount = word(20)
    frameChecksum = [word(24), word(28)]
    salts = bytes.loadUnaligned(fromByteOffset: 32, as: UInt64.self)
  }

  /// `walChecksumBytes` of SQLite's wal.c, native byte order.
  static func checksum(_ words: [UInt32]) -> [UInt32] {
    var first: UInt32 = 0
    var second: UInt32 = 0
    for pair in stride(from: 0, to: words.count, by: 2) {
      first &+= words[pair] &+ second
      second &+= words[pair + 1] &+ first
    }
    return [first, second]
  }
}

/// The wal-index of a connection in WAL mode, in memory shared with every process that has the database open.
struct WALIndex {
  private let file: SQLiteFile
  private let firstBlock: UnsafeMutableRawPointer

  static let blockSize = 32_768
  /// Both header copies, then `WalCkptInfo`: nBackfill, five read marks, eight bytes of locks, nBackfillAttempted.
  private static let backfillOffset = 2 * WALIndexHeader.size
  private static let attemptOffset = backfillOffset + 32

  /// Nil without shared memory: read-only media, a file system without mmap.
  ///
  /// Only for a connection whose pager has the WAL open: elsewhere `xShmMap` would create a `-shm`.
  init?(_ file: SQLiteFile) {
    self.file = file
    guard let block = Self.map(file, block: 0) else { return nil }
    firstBlock = block
  }

  /// The header, where its two copies agree and the checksum is right; nil while somebody is writing it.
  func readHeader() -> WALIndexHeader? {
    var copies = [UInt64](repeating: 0, count: 2 * WALIndexHeader.size / 8)
    return copies.withUnsafeMutableBytes { buffer in
      // In the order of `walIndexTryHdr`: writers store the second copy first.
      csqlite_copy_shared(buffer.baseAddress, firstBlock, Int32(WALIndexHeader.size))
      csqlite_barrier()
      let second = buffer.baseAddress! + WALIndexHeader.size
      csqlite_copy_shared(second, firstBlock + WALIndexHeader.size, Int32(WALIndexHeader.size))
      guard memcmp(buffer.baseAddress!, second, WALIndexHeader.size) == 0 else { return nil }
      return WALIndexHeader(UnsafeRawBufferPointer(rebasing: buffer[..<WALIndexHeader.size]))
    }
  }

  /// How many frames a checkpoint has copied into the database file.
  func readBackfill() -> UInt32 {
    csqlite_load_shared(firstBlock + Self.backfillOffset)
  }

  /// How many frames the newest checkpoint set out to copy: more than ``readBackfill()`` while one runs, or where it broke
  /// off. A recovery counts every frame it found.
  func readBackfillAttempt() -> UInt32 {
    csqlite_load_shared(firstBlock + Self.attemptOffset)
  }

  /// Page numbers of frames `first...last`, in frame order; nil where the wal-index does not hold them.
  ///
  /// Committed frames' entries do not change while a read transaction keeps the WAL from being reset.
  func pageNumbers(from first: UInt32 = 1, to last: UInt32) -> [UInt32]? {
    guard first >= 1, first <= last else { return [] }
    var pages: [UInt32] = []
    // No more ahead than a long WAL has: the count comes from memory that others write.
    pages.reserveCapacity(min(Int(last - first) + 1, 1 << 20))
    // The first block gives 34 of its 4096 entries to the header; counted from there, entry `n` is frame `n - 33`.
    let entries = (Int(first) + 33)..<(Int(last) + 34)
    for block in entries.lowerBound / 4096...(entries.upperBound - 1) / 4096 {
      guard let start = Self.map(file, block: Int32(clamping: block)) else { return nil }
      let part = entries.clamped(to: block * 4096..<(block + 1) * 4096)
      var numbers = [UInt32](repeating: 0, count: part.count)
      csqlite_copy_shared(&numbers, start + (part.lowerBound - block * 4096) * 4, Int32(part.count * 4))
      pages += numbers
    }
    return pages
  }

  private static func map(_ file: SQLiteFile, block: Int32) -> UnsafeMutableRawPointer? {
    guard file.methods.iVersion >= 2, let xShmMap = file.methods.xShmMap else { return nil }
    var memory: UnsafeMutableRawPointer?
    let result = xShmMap(file.pointer, block, Int32(blockSize), 0, &memory)
    // SQLITE_READONLY means mapped, but not for writing; its extended codes mean not mapped in any useful way.
    guard result == SQLITE_OK || result == SQLITE_READONLY else { return nil }
    return memory
  }
}

extension DatabaseConnection {
  /// The wal-index, where this connection's last transaction ran in WAL mode with shared memory.
  func walIndex() -> WALIndex? {
    guard isWAL, access != .exclusive, !isImmutable, SQLiteFile.journal(of: handle) != nil,
      let file = SQLiteFile.database(of: handle)
    else {
      return nil
    }
    return WALIndex(file)
  }
}
