import CSQLite

/// The `-wal` file, read through SQLite's own handle. <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>
struct WALFile {
  /// What stands before each page of the log.
  struct FrameHeader: Hashable {
    var page: UInt32
    /// Pages of the database after the commit that this frame ends; 0 in any other frame.
    var commitSize: UInt32
    /// The bytes of both salts, as they stand in the file.
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

  /// The header of a frame, or nil past the end of the file and where it cannot be read.
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

/// The first 32 bytes of a `-wal`: which generation of it this is.
struct WALFileHeader: Hashable {
  var pageSize: Int
  /// The bytes of both salts, as they stand in the file.
  var salts: UInt64

  /// Nil for an empty file, and one whose header SQLite would not accept.
  init?(_ file: SQLiteFile) {
    var bytes = [UInt8](repeating: 0, count: WALFile.headerSize)
    let result = bytes.withUnsafeMutableBytes { file.read(into: $0, at: 0) }
    guard result == SQLITE_OK, let header = bytes.withUnsafeBytes({ WALFileHeader($0) }) else { return nil }
    self = header
  }

  /// Parses 32 bytes.
  init?(_ bytes: UnsafeRawBufferPointer) {
    let words = (0..<8).map { bytes.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self) }
    // Numbers are big-endian; the magic number's last bit says in which byte order the checksums count words.
    let magic = words[0].bigEndian
    let counted = words[..<6].map { magic & 1 == 1 ? $0.bigEndian : $0.littleEndian }
    guard magic & ~1 == 0x377f_0682, WALIndexHeader.checksum(counted) == [words[6].bigEndian, words[7].bigEndian]
    else { return nil }
    pageSize = Int(words[2].bigEndian)
    salts = bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
    guard (512...65536).contains(pageSize), pageSize & (pageSize - 1) == 0 else { return nil }
  }

  /// Whether the file is of the generation right before the one that `index` names: a writer has begun a new one in the
  /// wal-index, and not yet in the file.
  func isPredecessor(of index: WALIndexHeader) -> Bool { Self.isGeneration(salts, rightBefore: index.salts) }

  /// Salt 1, a big-endian number in the first four bytes, counts generations.
  static func isGeneration(_ salts: UInt64, rightBefore next: UInt64) -> Bool {
    UInt32(truncatingIfNeeded: salts.bigEndian >> 32) &+ 1 == UInt32(truncatingIfNeeded: next.bigEndian >> 32)
  }
}
