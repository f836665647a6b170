import CSQLite

/// A file that SQLite holds open, read through SQLite's own handle: a second descriptor on it would, when closed, drop
/// the POSIX locks that SQLite holds in this process.
///
/// The pointer belongs to the connection and is good until the end of the transaction in which it was asked for.
struct SQLiteFile {
  let pointer: UnsafeMutablePointer<sqlite3_file>
  let methods: sqlite3_io_methods

  /// The main database file.
  static func database(of handle: OpaquePointer?) -> SQLiteFile? {
    SQLiteFile(handle, SQLITE_FCNTL_FILE_POINTER)
  }

  /// The `-wal` in WAL mode (or a journal that is open).
  static func journal(of handle: OpaquePointer?) -> SQLiteFile? {
    SQLiteFile(handle, SQLITE_FCNTL_JOURNAL_POINTER)
  }

  private init?(_ handle: OpaquePointer?, _ operation: Int32) {
    var file: UnsafeMutablePointer<sqlite3_file>?
    // `pMethods` is NULL where SQLite has no such file open, for instance beside an exclusive application.
    guard sqlite3_file_control(handle, "main", operation, &file) == SQLITE_OK, let file,
      let methods = file.pointee.pMethods
    else { return nil }
    pointer = file
    self.methods = methods.pointee
  }

  /// Fills the buffer from `offset`; what lies past the end of the file comes back as zeros.
  ///
  /// - Returns: an extended result code: `SQLITE_OK`, `shortRead`, or a failure.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) -> Int32 {
    methods.xRead(pointer, buffer.baseAddress, Int32(buffer.count), offset)
  }

  /// `SQLITE_IOERR_SHORT_READ`; the macro is an expression that Swift does not import.
  static let shortRead: Int32 = SQLITE_IOERR | (2 << 8)

  /// Whether the header says that the database is read through a WAL (file format, bytes 18 and 19).
  var hasWALFormat: Bool {
    var header = [UInt8](repeating: 0, count: 100)
    let result = header.withUnsafeMutableBytes { read(into: $0, at: 0) }
    return result == SQLITE_OK && header[18] == 2 && header[19] == 2
  }
}
