/// What failed, in words a person can act on.
///
/// `message` says what failed, on which path, and why: lower case, no full stop. `hint` says the next action.
/// The command line prints both; scripts branch on ``Code``, which also fixes the process's exit code.
public struct HoldfastError: Error, Sendable {
  /// The kinds of failure that scripts can tell apart.
  public enum Code: String, Sendable, CaseIterable {
    /// Anything that no other code names.
    case failed
    /// The operating system refused to read or write.
    case ioError = "io_error"
    /// This user may not.
    case permissionDenied = "permission_denied"
    /// There is no file at the database's path.
    case databaseMissing = "database_missing"
    /// The file there is none of SQLite's.
    case notADatabase = "not_a_database"
    /// SQLite finds the database damaged.
    case databaseCorrupt = "database_corrupt"
    /// A point, or a safety backup, did not verify.
    case verificationFailed = "verification_failed"
    /// An archive is cut off, altered or damaged.
    case archiveCorrupt = "archive_corrupt"
    /// No such point, or no repository.
    case pointNotFound = "point_not_found"
    /// The password or key does not open the archive.
    case wrongKey = "wrong_key"
    /// A password or key is needed and none is given.
    case keyMissing = "key_missing"
    /// Somebody else holds a lock; trying again later may do.
    case busy
    /// A process writes into a write-ahead log that was deleted: no other program sees what it commits.
    case logDeleted = "log_deleted"
    /// What a plan relied on has changed; nothing was installed.
    case factsChanged = "facts_changed"
    /// The disk is full, or would be.
    case noSpace = "no_space"
    /// The request could be carried out, and must not be.
    case refused
    /// Nothing proves where the point comes from.
    case unauthenticated
    /// The request makes no sense as it is.
    case usage
    /// It was told to stop before its end; what was there before is unchanged.
    case interrupted
  }

  /// What kind of failure this is.
  public var code: Code
  /// What failed, on which path, and why.
  public var message: String
  /// The next action, or nil where there is nothing to advise.
  public var hint: String?
  /// The failure underneath, if another layer reported one.
  public var cause: (any Error)?

  /// - Parameters:
  ///   - code: what kind of failure this is.
  ///   - message: what failed, on which path, and why; lower case, no full stop.
  ///   - hint: the next action.
  ///   - cause: the failure underneath.
  public init(_ code: Code, _ message: String, hint: String? = nil, cause: (any Error)? = nil) {
    self.code = code
    self.message = message
    self.hint = hint
    self.cause = cause
  }

  /// The same failure with what was being done in front: `restore backup_…: cannot write …`.
  public func during(_ activity: String) -> HoldfastError {
    HoldfastError(code, "\(activity): \(message)", hint: hint, cause: self)
  }
}

extension HoldfastError: CustomStringConvertible {
  /// The message, with the hint where there is one.
  public var description: String {
    hint.map { "\(message) (hint: \($0))" } ?? message
  }
}

extension HoldfastError.Code {
  /// The process exit code that documents this failure; the one table of them.
  public var exitCode: Int32 {
    switch self {
    case .failed, .ioError, .permissionDenied, .databaseMissing, .notADatabase, .databaseCorrupt: 1
    case .verificationFailed, .archiveCorrupt: 3
    case .pointNotFound: 4
    case .wrongKey, .keyMissing: 5
    case .busy, .factsChanged: 6
    case .noSpace: 7
    case .refused, .unauthenticated, .logDeleted: 8
    case .usage: 64
    case .interrupted: 130
    }
  }
}
