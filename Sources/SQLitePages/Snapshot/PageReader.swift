import CSQLite

/// Reads pages of one state through SQLite's handles: the database file, overlaid by frames of the WAL.
struct PageReader {
  let path: String
  let pageSize: Int
  let database: SQLiteFile
  /// Nil where nothing comes from the WAL.
  let wal: SQLiteFile?
  var map: WALPageMap
  /// The generation that every frame must belong to.
  let salts: UInt64

  /// `xRead` counts bytes in an `int`; this stays far below and above every buffer that is worth having.
  private static let largestRead = 16 << 20

  /// Pages `first..<first + count` into `buffer`; `lockPage` as zeros.
  mutating func read(first: UInt32, count: Int, lockPage: UInt32, into buffer: UnsafeMutableRawBufferPointer) throws {
    guard let wal else { return try readDatabase(first: first, count: count, lockPage: lockPage, into: buffer) }
    let frames = map.frames(first: first, count: count)
    // After a small change the log has it all.
    if frames.count < count || (first..<first + UInt32(count)).contains(lockPage) {
      try readDatabase(first: first, count: count, lockPage: lockPage, into: buffer)
    }
    for (page, frame) in frames where page != lockPage {
      try readFrame(frame, page: page, from: wal, into: slice(buffer, Int(page - first), 1))
    }
  }

  private func readDatabase(
    first: UInt32, count: Int, lockPage: UInt32, into buffer: UnsafeMutableRawBufferPointer
  ) throws {
    let lock = Int(lockPage) - Int(first)
    if lock >= 0, lock < count {
      try readDatabase(first: first, into: slice(buffer, 0, lock))
      slice(buffer, lock, 1).initializeMemory(as: UInt8.self, repeating: 0)
      try readDatabase(first: lockPage + 1, into: slice(buffer, lock + 1, count - lock - 1))
    } else {
      try readDatabase(first: first, into: slice(buffer, 0, count))
    }
  }

  /// Page 1, which every snapshot looks at and often nothing else.
  func readHeader(into buffer: UnsafeMutableRawBufferPointer) throws {
    if let wal, let frame = map.newestFrame(of: 1) {
      try readFrame(frame, page: 1, from: wal, into: slice(buffer, 0, 1))
    } else {
      try readDatabase(first: 1, into: slice(buffer, 0, 1))
    }
  }

  private func slice(
    _ buffer: UnsafeMutableRawBufferPointer, _ page: Int, _ count: Int
  ) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(rebasing: buffer[page * pageSize..<(page + count) * pageSize])
  }

  private func readDatabase(first: UInt32, into buffer: UnsafeMutableRawBufferPointer) throws {
    let start = Int64(first - 1) * Int64(pageSize)
    var done = 0
    while done < buffer.count {
      let end = min(done + Self.largestRead, buffer.count)
      let result = database.read(
        into: UnsafeMutableRawBufferPointer(rebasing: buffer[done..<end]), at: start + Int64(done))
      // Past the end of the file there are zeros, which is what xRead has filled in.
      guard result == SQLITE_OK || result == SQLiteFile.shortRead else { throw failure(result, "database file") }
      done = end
    }
  }

  private func readFrame(
    _ frame: UInt32, page: UInt32, from wal: SQLiteFile, into buffer: UnsafeMutableRawBufferPointer
  ) throws {
    let log = WALFile(file: wal, pageSize: pageSize)
    var header: WALFile.FrameHeader?
    var result = log.readHeader(of: frame, into: &header)
    guard result == SQLITE_OK else { throw failure(result, "write-ahead log") }
    // The read transaction keeps these frames in place; should it ever not, this is where it shows. Zeros for salts are what
    // SQLite leaves in a frame that it rewrote within a transaction and, after a ROLLBACK TO, forgot to seal (wal.c,
    // `iReCksum`); other connections read such a frame as we do, by the wal-index.
    guard let header, header.page == page, header.salts == salts || header.salts == 0 else {
      throw DatabaseError(
        .unstable, path: path, message: "cannot read \(path): its write-ahead log changed under a read transaction")
    }
    result = log.readPage(of: frame, into: buffer)
    guard result == SQLITE_OK else { throw failure(result, "write-ahead log") }
  }

  private func failure(_ result: Int32, _ what: String) -> DatabaseError {
    let words = String(cString: sqlite3_errstr(result))
    return DatabaseError(resultCode: result, words: words, doing: "read the \(what) of", path: path)
  }
}
