import CSQLite
import Glibc
import Names

/// A database's path, checked without opening it, and the URI that SQLite opens it by.
struct DatabaseLocation {
  /// As the caller wrote it, for messages.
  let given: String
  /// Absolute, with links resolved where the file exists: the side files stand beside this one.
  let resolved: String

  /// - Throws: `.missing`, `.notAFile` or `.permission`, unless the file `mayBeCreated` and is not there.
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
    let folder = resolved.lastIndex(of: "/").map { resolved[...$0] } ?? "./"
    return faccessat(AT_FDCWD, String(folder).raw, W_OK | X_OK, AT_EACCESS) == 0
  }

  var hasWAL: Bool { FileFacts(path: resolved + "-wal") != nil }
  var hasJournal: Bool { FileFacts(path: resolved + "-journal") != nil }

  /// `file:` with every byte percent-encoded that could end the path or mean something in a URI.
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
    guard !path.hasPrefix("/"), let folder = getcwd(nil, 0) else { return path }
    defer { free(folder) }
    return String(path: folder) + "/" + path
  }

  private static func failure(_ path: String, errno code: Int32) -> DatabaseError {
    let kind: DatabaseError.Kind =
      switch code {
      case ENOENT, ENOTDIR: .missing
      case EACCES, EPERM: .permission
      case EIO: .ioError
      default: .other
      }
    return DatabaseError(kind, path: path, message: "cannot open \(path): \(DatabaseError.words(of: code))")
  }
}
