import CSQLite

/// The header of a frame in the WAL.
/// <https://www.sqlite.org/fileformat2.html#wal_file_format>
struct WALFrameHeader: Hashable, Sendable {
  var page: UInt32
  /// Pages of the database after this commit; 0 for a frame in the middle of a transaction.
  var commitSize: UInt32
  /// As the bytes stand there.
  var salts: UInt64
  /// Cumulative, of all frames of the generation up to this one.
  var checksum: [UInt32]

  var isCommit: Bool { commitSize != 0 }

  static let size = 24

  init(_ bytes: UnsafeRawBufferPointer) {
    func word(_ offset: Int) -> UInt32 { bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self).bigEndian }
    page = word(0)
    commitSize = word(4)
    salts = bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
    checksum = [word(16), word(20)]
  }
}

/// Frame headers of the `-wal` that a connection has open, read through SQLite's own handle.
struct WALFrames {
  let file: SQLiteFile
  let pageSize: Int

  private static let headerSize: Int64 = 32

  /// Nil where the connection has no WAL open.
  init?(_ connection: DatabaseConnection, pageSize: Int) {
    guard let file = SQLiteFile.journal(of: connection.handle) else { return nil }
    self.file = file
    self.pageSize = pageSize
  }

  /// Frame `number`, from 1; nil past the end of the file, and where it cannot be read.
  func header(_ number: UInt32) -> WALFrameHeader? {
    let offset = Self.headerSize + Int64(number - 1) * Int64(WALFrameHeader.size + pageSize)
    return withUnsafeTemporaryAllocation(byteCount: WALFrameHeader.size, alignment: 8) { buffer in
      file.read(into: buffer, at: offset) == SQLITE_OK ? WALFrameHeader(UnsafeRawBufferPointer(buffer)) : nil
    }
  }

  /// The bytes of frame `number`'s page; nil where they cannot be read.
  func content(_ number: UInt32) -> [UInt8]? {
    let offset = Self.headerSize + Int64(number - 1) * Int64(WALFrameHeader.size + pageSize)
    var bytes = [UInt8](repeating: 0, count: pageSize)
    let result = bytes.withUnsafeMutableBytes { file.read(into: $0, at: offset + Int64(WALFrameHeader.size)) }
    return result == SQLITE_OK ? bytes : nil
  }
}
