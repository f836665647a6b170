import CSQLite

/// What a snapshot is made of, gathered inside its transaction.
struct SnapshotState {
  let geometry: DatabaseGeometry
  let position: SnapshotPosition
  let reader: PageReader
  let scratch: ScratchCopy?

  init(_ connection: DatabaseConnection, _ transaction: SnapshotTransaction, scratchPath: () throws -> String) throws {
    let pageSize = Int(try connection.integer("PRAGMA page_size") ?? 0)
    let pageCount = UInt32(truncatingIfNeeded: try connection.integer(.pageCount) ?? 0)
    if case .throughSQLite = transaction.pages {
      scratch = try ScratchCopy(of: connection, at: scratchPath())
    } else {
      scratch = nil
    }
    reader = try Self.reader(connection, transaction, scratch, pageSize: pageSize, pageCount: pageCount)
    let header = try Self.header(reader, pageCount: pageCount)
    geometry = DatabaseGeometry(
      pageSize: pageSize, pageCount: pageCount, reservedBytes: Int(header[20]), freePages: header.word(36),
      textEncoding: Self.encodings[header.word(56)] ?? "UTF-8",
      journalMode: transaction.isWAL && header[18] == 2 ? "wal" : try connection.text(.journalMode) ?? "delete",
      userVersion: Int32(bitPattern: header.word(60)))
    let facts = FileFacts(path: connection.resolvedPath)
    position = SnapshotPosition(
      database: facts?.identity,
      wal: transaction.header.map { SnapshotPosition.WAL($0, backfilled: transaction.backfilled) },
      changeCounter: header.word(24), facts: facts,
      stampBefore: transaction.stampBefore, hasUnpublishedCommit: Self.hasUnpublishedCommit(connection, transaction))
  }

  private static func hasUnpublishedCommit(_ connection: DatabaseConnection, _ transaction: SnapshotTransaction) -> Bool
  {
    guard let index = transaction.header, let log = SQLiteFile.journal(of: connection.handle) else { return false }
    return WALFile.hasUnpublishedCommit(log, beyond: index)
  }

  private static func reader(
    _ connection: DatabaseConnection, _ transaction: SnapshotTransaction, _ scratch: ScratchCopy?, pageSize: Int,
    pageCount: UInt32
  ) throws -> PageReader {
    guard let file = SQLiteFile.database(of: scratch?.connection.handle ?? connection.handle) else {
      throw DatabaseError(
        .other, path: connection.path, message: "cannot read \(connection.path): SQLite has no file open")
    }
    guard case .overlaid(let header, let frames) = transaction.pages else {
      return PageReader(
        path: connection.path, pageSize: pageSize, database: file, wal: nil, map: .empty, salts: 0)
    }
    guard let wal = SQLiteFile.journal(of: connection.handle) else {
      throw DatabaseError(
        .unstable, path: connection.path, message: "cannot read \(connection.path): its write-ahead log is not open")
    }
    return PageReader(
      path: connection.path, pageSize: pageSize, database: file, wal: wal,
      map: WALPageMap(pages: frames, pageCount: pageCount), salts: header.salts)
  }

  /// Page 1, which begins with the database header (<https://www.sqlite.org/fileformat.html#the_database_header>); zeros in
  /// an empty database.
  private static func header(_ reader: PageReader, pageCount: UInt32) throws -> [UInt8] {
    var page = [UInt8](repeating: 0, count: reader.pageSize)
    guard pageCount > 0 else { return page }
    try page.withUnsafeMutableBytes { try reader.readHeader(into: $0) }
    return page
  }

  /// As `PRAGMA encoding` spells them, by their number in the header; an empty database has none yet.
  private static let encodings: [UInt32: String] = [1: "UTF-8", 2: "UTF-16le", 3: "UTF-16be"]
}

extension [UInt8] {
  /// The big-endian number at an offset of the database header.
  fileprivate func word(_ offset: Int) -> UInt32 {
    self[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) }
  }
}

extension SnapshotPosition.WAL {
  init(_ header: WALIndexHeader, backfilled: UInt32) {
    self.init(
      salts: header.salts, maxFrame: header.maxFrame, backfilled: backfilled, changeCount: header.changeCount,
      frameChecksum: header.frameChecksum)
  }
}
