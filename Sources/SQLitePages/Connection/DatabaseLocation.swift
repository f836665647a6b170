import CSQLite
import Glibc
import Names

/// A database's path, checked without opening it, and the URI under which SQLite opens it.
struct DatabaseLocation {
  /// As the caller wrote it, for messages.
  let given: String
  /// Absolute, with links resolved if the file exists: the side files are beside this one.
  let resolved: String

  /// - Throws: `.missing`, `.notAFile` or `.permission`; a missing file is no error if it
  ///   `mayBeCreated`.
  init(_ path: String, mayBeCreated: Bool) throws(DatabaseError) {
    given = path
    guard !path.isEmpty, !path.utf8.contains(0) else {
      throw DatabaseError(
        .missing, path: path, message: "cannot open a database: its path is empty or holds a NUL byte")
    }
    guard let facts = FileFacts(path: path) else {
      let code = errno
      guard mayBeCreated, code == ENOENT else { throw Self.failure(path, errno: code) }
      resolved = Self.absolute(path)
      return
    }
    guard facts.isRegular else {
      let kind = facts.isFolder ? "a folder" : "not a regular file"
      throw DatabaseError(.notAFile, path: path, message: "cannot open \(path): it is \(kind)")
    }
    guard faccessat(AT_FDCWD, path.raw, R_OK, AT_EACCESS) == 0 else { throw Self.failure(path, errno: errno) }
    guard let real = realpath(path.raw, nil) else { throw Self.failure(path, errno: errno) }
    defer { free(real) }
    resolved = String(path: real)
  }

  /// Whether this process may write the file, by its effective user.
  var isWritable: Bool { faccessat(AT_FDCWD, resolved.raw, W_OK, AT_EACCESS) == 0 }

  /// Whether this process may create files beside it.
  var isFolderWritable: Bool {
    faccessat(AT_FDCWD, resolved.parentPath.raw, W_OK | X_OK, AT_EACCESS) == 0
  }

  var hasWAL: Bool { FileFacts(path: resolved + "-wal") != nil }
  var hasJournal: Bool { FileFacts(path: resolved + "-journal") != nil }

  /// `file:` with every byte percent-encoded that could end the path or has a meaning in a URI.
  func uri(parameters: [String]) -> String {
    let query = parameters.isEmpty ? "" : "?" + parameters.joined(separator: "&")
    return "file://" + Self.percentEncoded(resolved) + query
  }

  static func percentEncoded(_ path: String) -> String {
    let digits = Array("0123456789ABCDEF")
    var encoded = ""
    for byte in path.pathBytes {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "/"), UInt8(ascii: "."), UInt8(ascii: "-"),
        UInt8(ascii: "_"):
        encoded.unicodeScalars.append(Unicode.Scalar(byte))
      default:
        encoded.append("%")
        encoded.append(digits[Int(byte >> 4)])
        encoded.append(digits[Int(byte & 15)])
      }
    }
    return encoded
  }

  private static func absolute(_ path: String) -> String {
    guard !path.hasPrefix("/"), let folder = String.workingFolder else { return path }
    return "\(folder)/\(path)"
  }

  private static func failure(_ path: String, errno code: Int32) -> DatabaseError {
    let kind: DatabaseError.Kind =
      switch code {
      case ENOENT, ENOTDIR: .missing
      case EACCES, EPERM: .permission
      case EIO: .ioError
      default: .other
      }
    return DatabaseError(kind, path: path, message: "cannot open \(path): \(DatabaseError.message(of: code))")
  }
}

/// A file that SQLite has open, read through SQLite's own handle: closing a second descriptor on it
/// would drop the POSIX locks that SQLite holds in this process.
///
/// The pointer belongs to the connection and is valid until the end of the transaction in which it
/// was requested.
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
    // `pMethods` is NULL if SQLite has no such file open, for instance beside an exclusive
    // application.
    guard sqlite3_file_control(handle, "main", operation, &file) == SQLITE_OK, let file,
      let methods = file.pointee.pMethods
    else { return nil }
    pointer = file
    self.methods = methods.pointee
  }

  /// Fills the buffer from `offset`; bytes past the end of the file are zeros.
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

/// The files that SQLite keeps beside a database in WAL mode.
enum SideFiles {
  /// Assigns `-wal` and `-shm` that we created to the database's group.
  ///
  /// SQLite copies the database's mode to them, and its owner if it runs as root. A process that
  /// may write the database as a member of its group would leave files of its own primary group,
  /// which the application cannot write.
  static func shareWithOwner(of path: String) {
    let user = geteuid()
    var database = stat()
    guard user != 0, stat(path.raw, &database) == 0, database.st_uid != user else { return }
    for suffix in ["-wal", "-shm"] {
      var file = stat()
      guard lstat((path + suffix).raw, &file) == 0, file.st_uid == user, file.st_gid != database.st_gid else {
        continue
      }
      // If this fails, the file stays as SQLite created it.
      _ = lchown((path + suffix).raw, user, database.st_gid)
    }
  }
}

/// The other names of a database file.
///
/// SQLite finds `-wal` and `-journal` by the name under which a database is opened. Content that an
/// application has written under one name is invisible under another, and two logs for one file
/// damage it.
package struct HardLinks: Hashable, Sendable {
  /// Names that lead to the file, this one included.
  package var count: Int
  /// The other names that were found in its folder, in the folder above, and in the folders in
  /// both.
  package var beside: [String]
  /// The names in ``beside`` that have a `-wal` or a `-journal` in use.
  package var namesWithLog: [String]
  package var hasLog: Bool { !namesWithLog.isEmpty }

  /// Returns nil if the file has one name or does not exist.
  ///
  /// - Parameter path: links resolved.
  package init?(of path: String) {
    var status = stat()
    guard stat(path.raw, &status) == 0, status.st_nlink > 1 else { return nil }
    count = Int(status.st_nlink)
    var search = NameSearch(path, status)
    beside = search.run()
    namesWithLog = beside.filter { (FileFacts(path: $0 + "-wal")?.size ?? 0) > 0 || LogCheck.isInUse($0 + "-journal") }
  }

  /// Every other name was found, and no log is beside it.
  package var areHarmless: Bool { beside.count == count - 1 && !hasLog }
}

/// Looks for the other names of a file in the places that people use: beside it, and in a folder
/// beside or below its own. A search of the whole file system could take hours.
private struct NameSearch {
  private let path: String
  private let file: stat
  private var names: Set<ExactPath> = []
  /// Entries that may still be read.
  private var left = 20_000

  init(_ path: String, _ file: stat) {
    self.path = path
    self.file = file
  }

  mutating func run() -> [String] {
    let own = Self.folder(of: path)
    for folder in [own, Self.folder(of: String(own.dropLast()))] where !isDone {
      for inner in read(folder) where !isDone { _ = read(inner) }
    }
    return names.map(\.text).sorted()
  }

  private var isDone: Bool { names.count + 1 >= Int(file.st_nlink) || left <= 0 }

  private static func folder(of path: String) -> String {
    path.utf8.lastIndex(of: UInt8(ascii: "/")).map { String(path[...$0]) } ?? "./"
  }

  /// Adds the names in a folder, and returns the folders in it that are on the same file system.
  private mutating func read(_ path: String) -> [String] {
    guard let folder = opendir(path.raw) else { return [] }
    defer { closedir(folder) }
    var folders: [String] = []
    while left > 0, let entry = readdir(folder) {
      left -= 1
      let isFolder = entry.pointee.d_type == UInt8(DT_DIR)
      guard isFolder || entry.pointee.d_ino == file.st_ino else { continue }
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: $0.pointee)) { String(path: $0) }
      }
      // Another file system may be one that does not answer.
      var (device, inode) = (UInt64(0), UInt64(0))
      guard name != ".", name != "..", csqlite_stat_cached(dirfd(folder), name.raw, &device, &inode) == 0,
        device == UInt64(file.st_dev)
      else { continue }
      if isFolder { folders.append(path + name + "/") }
      if !isFolder, inode == UInt64(file.st_ino), !(path + name).isExactly(self.path) {
        names.insert(ExactPath(path + name))
      }
    }
    return folders
  }
}

extension String {
  /// This process's working folder; nil, with `errno`, if it cannot be found.
  package static var workingFolder: String? {
    guard let folder = getcwd(nil, 0) else { return nil }
    defer { free(folder) }
    return String(path: folder)
  }
}
