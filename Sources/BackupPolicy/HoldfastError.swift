/// What failed, in words a person can act on.
///
/// `message` says what failed, on which path, and why: lower case, no full stop. `hint` says the next action.
/// The command line prints both; scripts branch on ``Code``, which also fixes the process's exit code.
public struct HoldfastError: Error, Sendable {
  /// The kinds of failure that scripts can tell apart.
  public enum Code: String, Sendable, CaseIterable {
    case failed
    case ioError = "io_error"
    case permissionDenied = "permission_denied"
    case databaseMissing = "database_missing"
    case notADatabase = "not_a_database"
    case databaseCorrupt = "database_corrupt"
    case verificationFailed = "verification_failed"
    case archiveCorrupt = "archive_corrupt"
    case pointNotFound = "point_not_found"
    case wrongKey = "wrong_key"
    case keyMissing = "key_missing"
    case busy
    case factsChanged = "facts_changed"
    case noSpace = "no_space"
    case refused
    case unauthenticated
    case usage
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
    case .refused, .unauthenticated: 8
    case .usage: 64
    case .interrupted: 130
    }
  }
}
