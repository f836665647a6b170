import CSQLite

/// The pages of a connection's own file, as an attached database that SQLite takes for a writable one.
///
/// SQLite parses CHECK constraints only of such a database (`sqlite3AddCheckConstraint` in build.c),
/// so its checks miss their violations in a read-only one. The view refuses each write, and shows
/// the format of a rollback journal, because SQLite would look for the shared memory of a log.
private final class WritableView: DatabasePages {
  let pageSize: Int
  let pageCount: UInt32
  private let file: SQLiteFile

  init?(of connection: DatabaseConnection) throws(DatabaseError) {
    var size: Int64 = 0
    guard let file = SQLiteFile.database(of: connection.handle),
      file.methods.xFileSize(file.pointer, &size) == SQLITE_OK,
      let pageSize = try connection.integer("PRAGMA main.page_size"), pageSize > 0,
      let pageCount = UInt32(exactly: size / pageSize), pageCount > 0
    else { return nil }
    (self.pageSize, self.pageCount, self.file) = (Int(pageSize), pageCount, file)
  }

  func read(page number: UInt32, at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws {
    let result = file.read(into: buffer, at: Int64(number - 1) * Int64(pageSize) + Int64(offset))
    guard result == SQLITE_OK else {
      throw DatabaseError(.ioError, path: "", message: "cannot read page \(number)", resultCode: result)
    }
    guard number == 1 else { return }
    for place in [18, 19] where (offset..<offset + buffer.count).contains(place) { buffer[place - offset] = 1 }
  }
}

extension DatabaseConnection {
  /// The rows of a pragma that checks the content, CHECK constraints included.
  ///
  /// A constraint may need a function that only the application has. Then, and if the file is not an
  /// immutable one of ours, the constraints are left out.
  ///
  /// - Parameter pragma: its name and argument.
  func checkRows(_ pragma: String) throws(DatabaseError) -> [[DatabaseValue]] {
    guard access == .readOnly, isImmutable, let view = try WritableView(of: self) else {
      return try rows("PRAGMA main.\(pragma)")
    }
    do {
      try PageVFS.offerAsWritable(view, path: path) { uri throws(DatabaseError) in
        try execute("ATTACH '\(uri)' AS \(Self.viewName)")
      }
      defer { try? execute("DETACH \(Self.viewName)") }
      return try rows("PRAGMA \(Self.viewName).\(pragma)")
    } catch {
      guard error.kind == .missingExtension || error.isAboutSchema else { throw error }
      return try rows("PRAGMA main.\(pragma)")
    }
  }

  /// The name of the view in SQLite's messages.
  static let viewName = "holdfast_check"
}

extension DatabaseError {
  /// A statement did not compile, or the schema was not understood.
  fileprivate var isAboutSchema: Bool {
    resultCode & 0xff == SQLITE_ERROR || kind == .corrupt && reason.hasPrefix("malformed database schema")
  }
}
