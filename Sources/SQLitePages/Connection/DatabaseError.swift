import CSQLite
import Glibc

/// The operation that SQLite (or `stat`, before SQLite was called) refused, on which database, and
/// why.
package struct DatabaseError: Error, Sendable, CustomStringConvertible {
  /// The failures that callers treat differently.
  package enum Kind: Hashable, Sendable {
    /// There is no file at that path; none was created.
    case missing
    /// A folder, a device, a pipe.
    case notAFile
    case notADatabase
    case corrupt
    /// A lock could not be obtained within the busy timeout.
    case busy
    /// The same, beside a WAL: only an application in `locking_mode=EXCLUSIVE` keeps readers out.
    case exclusive
    case permission
    case noSpace
    /// The limit of open files, of this process or of the machine, is reached.
    case noDescriptor
    case ioError
    /// This process has the database open together with a write-ahead log or an index that was
    /// deleted or moved.
    case logDeleted(OtherProcess)
    /// This process has the database open under another name, with a write-ahead log of that name.
    case logElsewhere(OtherProcess, name: String)
    /// This process has the index of the write-ahead log open but no longer holds a lock on it; nil
    /// if it cannot be seen.
    case indexUnlocked(OtherProcess?)
    /// This process is in a transaction with a rollback journal but no longer holds a lock.
    case journalUnlocked(OtherProcess)
    /// The log or the journal ends in a transaction. If its writer is still running, it has no lock
    /// and cannot be seen.
    case transactionInDoubt
    /// The file has another name whose log may hold commits: the first such name, nil if none was
    /// found.
    case hardLinked(other: String?)
    /// The file is a mount point of its own, so its log may be in a folder that is not seen.
    case mountedAlone
    /// The database was never stable for long enough, or was replaced while it was read.
    case unstable
    /// A time limit or an interrupt stopped the statement.
    case interrupted
    /// A collation, function, tokenizer or virtual-table module that only the application has.
    case missingExtension
    case other
  }

  package var kind: Kind
  /// SQLite's extended result code, or `SQLITE_OK` if SQLite was not called.
  package var resultCode: Int32
  package var path: String
  /// What failed, on which path, and why: lower case, no full stop.
  package var message: String

  package var description: String { message }

  /// Why it failed, without the path, which may be one of our scratch files.
  package var reason: String {
    message.firstRange(of: "\(path): ").map { String(message[$0.upperBound...]) } ?? message
  }

  /// For `.missingExtension`: the missing part, in SQLite's words.
  package var missing: String {
    let marker = "needs something that only the application has: "
    return message.firstRange(of: marker).map { String(message[$0.upperBound...]) } ?? reason
  }

  package init(_ kind: Kind, path: String, message: String, resultCode: Int32 = SQLITE_OK) {
    self.kind = kind
    self.path = path
    self.message = message
    self.resultCode = resultCode
  }
}

extension DatabaseError {
  /// An error of SQLite's, from its extended result code and its message.
  init(resultCode: Int32, words: String, systemErrno: Int32 = 0, doing verb: String, path: String) {
    let kind = Self.kind(of: resultCode, words: words, systemErrno: systemErrno)
    let reason =
      resultCode == Self.needsRollback
      ? "only a user who may write to it can roll back its hot journal" : Self.reason(kind, words: words)
    self.init(kind, path: path, message: "cannot \(verb) \(path): \(reason)", resultCode: resultCode)
  }

  private static func kind(of resultCode: Int32, words: String, systemErrno: Int32) -> Kind {
    switch resultCode & 0xff {
    // SQLITE_PROTOCOL: other connections interfered too often while a WAL transaction began.
    case SQLITE_BUSY, SQLITE_LOCKED, SQLITE_PROTOCOL: .busy
    case SQLITE_NOTADB: .notADatabase
    case SQLITE_CORRUPT: .corrupt
    case SQLITE_PERM, SQLITE_AUTH, SQLITE_READONLY: .permission
    case SQLITE_FULL: .noSpace
    case SQLITE_IOERR where [ENOSPC, EDQUOT, EFBIG].contains(systemErrno): .noSpace
    case SQLITE_IOERR: .ioError
    case SQLITE_INTERRUPT: .interrupted
    case SQLITE_CANTOPEN where [EMFILE, ENFILE].contains(systemErrno): .noDescriptor
    case SQLITE_CANTOPEN where [EACCES, EPERM, EROFS].contains(systemErrno): .permission
    case SQLITE_ERROR where namesMissingExtension(words): .missingExtension
    default: .other
    }
  }

  /// SQLite has no result code for these. The messages are fixed strings in its sources
  /// (`sqlite3LocateCollSeq`, `resolveExprStep`, `sqlite3VtabCallConnect`, the FTS modules).
  private static func namesMissingExtension(_ words: String) -> Bool {
    [
      "no such collation sequence", "no such function", "unknown function", "no such module", "no such tokenizer",
      "unknown tokenizer", "unsafe use of",
    ].contains { words.hasPrefix($0) }
  }

  /// `SQLITE_READONLY_ROLLBACK`; the macro is an expression that Swift does not import.
  private static let needsRollback: Int32 = SQLITE_READONLY | (3 << 8)

  private static func reason(_ kind: Kind, words: String) -> String {
    switch kind {
    case .busy: "another connection holds its lock (\(words))"
    case .notADatabase: "it is not a SQLite database, or it is encrypted"
    case .noSpace: "no space left on its file system"
    case .noDescriptor: "too many open files"
    case .interrupted: "stopped before it was finished"
    case .missingExtension: "needs something that only the application has: \(words)"
    default: words
    }
  }

  /// The system's message for an errno, in this project's spelling (lower-case first letter).
  static func message(of code: Int32) -> String {
    var buffer = [CChar](repeating: 0, count: 256)
    _ = strerror_r(code, &buffer, buffer.count)
    let text = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return text.prefix(1).lowercased() + text.dropFirst()
  }
}
