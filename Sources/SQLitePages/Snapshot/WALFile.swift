import CSQLite
import Glibc

/// The `-wal` file, read through SQLite's own handle. <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>
struct WALFile {
  /// The header before each page of the log.
  struct FrameHeader: Hashable {
    var page: UInt32
    /// Pages of the database after the commit that this frame ends; 0 in any other frame.
    var commitSize: UInt32
    /// The bytes of both salts, as in the file.
    var salts: UInt64
    /// The cumulative checksum.
    var checksum: [UInt32]

    /// Parses 24 bytes.
    init(_ bytes: UnsafeRawBufferPointer) {
      func word(_ offset: Int) -> UInt32 { bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self).bigEndian }
      page = word(0)
      commitSize = word(4)
      salts = bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
      checksum = [word(16), word(20)]
    }
  }

  let file: SQLiteFile
  let pageSize: Int

  static let headerSize = 32
  static let frameHeaderSize = 24

  private func offset(of frame: UInt32) -> Int64 {
    Int64(Self.headerSize) + Int64(frame - 1) * Int64(Self.frameHeaderSize + pageSize)
  }

  /// Reads the header of a frame (1-based).
  ///
  /// - Returns: a result code of SQLite's; `SQLiteFile.shortRead` past the end of the file.
  func readHeader(of frame: UInt32, into header: inout FrameHeader?) -> Int32 {
    withUnsafeTemporaryAllocation(byteCount: Self.frameHeaderSize, alignment: 8) { buffer in
      let result = file.read(into: buffer, at: offset(of: frame))
      header = result == SQLITE_OK ? FrameHeader(UnsafeRawBufferPointer(buffer)) : nil
      return result
    }
  }

  /// The header of a frame; nil if it is past the end of the file or cannot be read.
  func header(of frame: UInt32) -> FrameHeader? {
    var header: FrameHeader?
    _ = readHeader(of: frame, into: &header)
    return header
  }

  /// Reads the page that a frame holds; returns a result code of SQLite's.
  func readPage(of frame: UInt32, into buffer: UnsafeMutableRawBufferPointer) -> Int32 {
    file.read(into: buffer, at: offset(of: frame) + Int64(Self.frameHeaderSize))
  }
}

/// The first 32 bytes of a `-wal`, which name its generation.
struct WALFileHeader: Hashable {
  var pageSize: Int
  /// The bytes of both salts, as in the file.
  var salts: UInt64

  /// Returns nil if the file is empty, or if SQLite would not accept its header.
  init?(_ file: SQLiteFile) {
    var bytes = [UInt8](repeating: 0, count: WALFile.headerSize)
    let result = bytes.withUnsafeMutableBytes { file.read(into: $0, at: 0) }
    guard result == SQLITE_OK, let header = bytes.withUnsafeBytes({ WALFileHeader($0) }) else { return nil }
    self = header
  }

  /// Parses 32 bytes.
  init?(_ bytes: UnsafeRawBufferPointer) {
    let words = (0..<8).map { bytes.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self) }
    // Numbers are big-endian; the magic number's last bit gives the byte order in which the
    // checksums count words.
    let magic = words[0].bigEndian
    let counted = words[..<6].map { magic & 1 == 1 ? $0.bigEndian : $0.littleEndian }
    guard magic & ~1 == 0x377f_0682, WALIndexHeader.checksum(counted) == [words[6].bigEndian, words[7].bigEndian]
    else { return nil }
    pageSize = Int(words[2].bigEndian)
    salts = bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
    guard (512...65536).contains(pageSize), pageSize & (pageSize - 1) == 0 else { return nil }
  }

  /// Whether the file is of the generation right before the one that `index` names: a writer has
  /// begun a new one in the wal-index, but not yet in the file.
  func isPredecessor(of index: WALIndexHeader) -> Bool { Self.isGeneration(salts, rightBefore: index.salts) }

  /// Salt 1, a big-endian number in the first four bytes, counts generations.
  static func isGeneration(_ salts: UInt64, rightBefore next: UInt64) -> Bool {
    UInt32(truncatingIfNeeded: salts.bigEndian >> 32) &+ 1 == UInt32(truncatingIfNeeded: next.bigEndian >> 32)
  }
}

/// The header of the wal-index (the `-shm` file), which describes the last commit in the WAL.
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
  /// The bytes of both salts, as in the WAL's own headers.
  package var salts: UInt64

  static let size = 48
  private static let version: UInt32 = 3_007_000

  /// Parses 48 bytes in the machine's byte order; nil if they are not initialised or the checksum
  /// is wrong.
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

  /// Returns nil if there is no shared memory: read-only media, a file system without mmap.
  ///
  /// Only for a connection whose pager has the WAL open: otherwise `xShmMap` would create a `-shm`.
  init?(_ file: SQLiteFile) {
    self.file = file
    guard let block = Self.map(file, block: 0) else { return nil }
    firstBlock = block
  }

  /// The header, if its two copies agree and the checksum is right; nil while another process is
  /// writing it.
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

  /// The number of frames that the newest checkpoint intended to copy: more than ``readBackfill()``
  /// while a checkpoint runs, or if it was interrupted. A recovery counts every frame it found.
  func readBackfillAttempt() -> UInt32 {
    csqlite_load_shared(firstBlock + Self.attemptOffset)
  }

  /// Page numbers of frames `first...last`, in frame order; nil if the wal-index does not hold
  /// them.
  ///
  /// Committed frames' entries do not change while a read transaction keeps the WAL from being
  /// reset.
  func pageNumbers(from first: UInt32 = 1, to last: UInt32) -> [UInt32]? {
    guard first >= 1, first <= last else { return [] }
    var pages: [UInt32] = []
    // Reserves no more than a long WAL needs, because the count comes from memory that others
    // write.
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
  /// The wal-index, if this connection's last transaction ran in WAL mode with shared memory.
  func walIndex() -> WALIndex? {
    guard isWAL, access != .exclusive, !isImmutable, SQLiteFile.journal(of: handle) != nil,
      let file = SQLiteFile.database(of: handle)
    else {
      return nil
    }
    return WALIndex(file)
  }
}

/// The frames of the WAL with the newest committed versions of pages.
///
/// A sorted sparse array, so that its memory depends on the WAL's length and not on the database's.
/// It is sorted when a range is first requested, because many snapshots only need the database's
/// position.
struct WALPageMap {
  /// Page numbers of frames 1…, in frame order; emptied once sorted.
  private var unsorted: [UInt32]
  private let pageCount: UInt32
  /// `page << 32 | frame`, ascending, one entry a page.
  private var entries: [UInt64] = []

  /// - Parameters:
  ///   - pages: page numbers of frames 1…, in frame order.
  ///   - pageCount: entries past it belong to a state with more pages and are left out.
  init(pages: [UInt32], pageCount: UInt32) {
    unsorted = pages
    self.pageCount = pageCount
  }

  static let empty = WALPageMap(pages: [], pageCount: 0)

  /// The newest frame of one page, by a search through all frames; nil if the database file holds
  /// the page. Only before ``frames(first:count:)``.
  func newestFrame(of page: UInt32) -> UInt32? {
    precondition(entries.isEmpty)
    return unsorted.lastIndex(of: page).map { UInt32($0 + 1) }
  }

  /// The pages of a range that the WAL holds, ascending, with their frames.
  mutating func frames(first: UInt32, count: Int) -> some Collection<(page: UInt32, frame: UInt32)> {
    if !unsorted.isEmpty { sort() }
    let start = lowerBound(UInt64(first) << 32)
    let end = lowerBound((UInt64(first) + UInt64(count)) << 32)
    return entries[start..<end].lazy.map { (UInt32($0 >> 32), UInt32(truncatingIfNeeded: $0)) }
  }

  private mutating func sort() {
    var all: [UInt64] = []
    all.reserveCapacity(unsorted.count)
    for (index, page) in unsorted.enumerated() where page >= 1 && page <= pageCount {
      all.append(UInt64(page) << 32 | UInt64(index + 1))
    }
    all.sort()
    // The newest frame of each page is the last one in this order.
    var kept = 0
    for index in all.indices where index + 1 == all.count || all[index] >> 32 != all[index + 1] >> 32 {
      all[kept] = all[index]
      kept += 1
    }
    all.removeLast(all.count - kept)
    (entries, unsorted) = (all, [])
  }

  private func lowerBound(_ key: UInt64) -> Int {
    var low = 0
    var high = entries.count
    while low < high {
      let middle = (low + high) / 2
      if entries[middle] < key { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
