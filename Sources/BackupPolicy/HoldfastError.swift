/// A failure, described so that a person can act on it.
///
/// `message` names the failed operation, the path and the reason: lower case, no full stop. `hint`
/// gives the next action. The command line prints both; scripts branch on ``Code``, which also
/// determines the process's exit code.
///
/// ```swift
/// do {
///   try await service.create()
/// } catch let error as HoldfastError where error.code == .busy {
///   print("the database is locked; later: \(error.message)")
/// } catch let error as HoldfastError {
///   print(error.message, error.hint ?? "")
/// }
/// ```
public struct HoldfastError: Error, Sendable {
  /// The kinds of failure that scripts can distinguish.
  public enum Code: String, Sendable, CaseIterable {
    /// Any failure without a code of its own.
    case failed
    /// The operating system refused to read or write.
    case ioError = "io_error"
    /// This user lacks the permission.
    case permissionDenied = "permission_denied"
    /// There is no file at the database's path.
    case databaseMissing = "database_missing"
    /// The file there is not a SQLite database.
    case notADatabase = "not_a_database"
    /// SQLite finds the database damaged.
    case databaseCorrupt = "database_corrupt"
    /// A point, or a safety backup, did not verify.
    case verificationFailed = "verification_failed"
    /// An archive is cut off, altered or damaged.
    case archiveCorrupt = "archive_corrupt"
    /// There is no such point, or no repository.
    case pointNotFound = "point_not_found"
    /// The password or key does not open the archive.
    case wrongKey = "wrong_key"
    /// A password or key is needed but not given.
    case keyMissing = "key_missing"
    /// Another process holds a lock; try again later.
    case busy
    /// A process writes into a write-ahead log that was deleted: no other program sees its commits.
    case logDeleted = "log_deleted"
    /// A fact behind a plan has changed; nothing was installed.
    case factsChanged = "facts_changed"
    /// The disk is full, or would become full.
    case noSpace = "no_space"
    /// The request is possible but not permitted.
    case refused
    /// There is no proof of the point's origin.
    case unauthenticated
    /// The request makes no sense in this form.
    case usage
    /// It was asked to stop before its end; the previous content is unchanged.
    case interrupted
  }

  /// The kind of the failure.
  public var code: Code
  /// The failed operation, the path and the reason.
  public var message: String
  /// The next action, or nil if there is no advice.
  public var hint: String?
  /// The failure underneath, if another layer reported one.
  public var cause: (any Error)?

  /// - Parameters:
  ///   - code: the kind of the failure.
  ///   - message: the failed operation, the path and the reason; lower case, no full stop.
  ///   - hint: the next action.
  ///   - cause: the failure underneath.
  public init(_ code: Code, _ message: String, hint: String? = nil, cause: (any Error)? = nil) {
    self.code = code
    self.message = message
    self.hint = hint
    self.cause = cause
  }

  /// The same failure with the activity in front: `restore backup_…: cannot write …`.
  public func during(_ activity: String) -> HoldfastError {
    HoldfastError(code, "\(activity): \(message)", hint: hint, cause: self)
  }
}

extension HoldfastError: CustomStringConvertible {
  /// The message, with the hint if there is one.
  public var description: String {
    hint.map { "\(message) (hint: \($0))" } ?? message
  }
}

extension HoldfastError.Code {
  /// The process exit code that documents this failure; this is the only table of exit codes.
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
