/// The result of planning a restore: the value that a dry run prints and a real run executes.
package enum RestoreDecision: Hashable, Sendable {
  case plan(RestorePlan)
  case refuse(RestoreRefusal)
}

/// The reason why a restore is refused, and an alternative.
package struct RestoreRefusal: Error, Hashable, Sendable {
  /// Lower case, no full stop.
  package var reason: String
  /// The next action.
  package var hint: String
  package var code: HoldfastError.Code

  package init(_ code: HoldfastError.Code, _ reason: String, hint: String) {
    self.code = code
    self.reason = reason
    self.hint = hint
  }

  /// The refusal as the error that the command ends with.
  package var error: HoldfastError { HoldfastError(code, reason, hint: hint) }
}

/// The method that puts the restored image in place.
///
/// ```swift
/// let plan = try await service.planRestore(backup.id)
/// if plan.install == .replace { print("stop the programs that use \(plan.target)") }
/// ```
public enum Install: String, Hashable, Sendable, CaseIterable {
  /// Through SQLite's backup API into the open database: applications see the new content in one transaction.
  case live
  /// A new file renamed over the old one, or put at an empty path; under SQLite's exclusive lock if
  /// the old one opens.
  case replace
  /// A file at a path without a file.
  case newFile = "new_file"
}

/// The steps of a restore, in order. Nothing has happened yet; the facts behind it are read again
/// when it is carried out.
///
/// ```swift
/// let plan = try await service.planRestore(backup.id)
/// for step in plan.steps { print(step.kind.rawValue, step.detail) }
/// for warning in plan.warnings { print("warning: \(warning)") }
/// try await service.execute(plan)
/// ```
public struct RestorePlan: Hashable, Sendable {
  /// The install method.
  public package(set) var install: Install
  /// The actions, in this order.
  public package(set) var steps: [RestoreStep]
  /// Sentences for people; lower case, no full stop.
  public package(set) var warnings: [String]
  /// The future owner and permissions of the file; nil if the database's own file stays.
  public package(set) var attributes: FileAttributes?
  /// The request, and the facts behind the plan.
  package let request: RestoreRequest
  package let facts: RestoreFacts

  /// The point that it restores.
  public var pointID: PointID { request.pointID }
  /// The file that it writes, symbolic links resolved.
  public var target: String { facts.target.path }
}

/// One step of a plan.
///
/// ```swift
/// let plan = try await service.planRestore(backup.id)
/// let destroys = plan.steps.contains { $0.kind.isDestructive }
/// let isKept = plan.steps.contains { $0.kind.isSafety }
/// ```
public struct RestoreStep: Hashable, Sendable {
  /// The raw values are the names in JSON.
  public enum Kind: String, Hashable, Sendable, CaseIterable {
    /// Checks the space for all later steps.
    case checkSpace = "check_space"
    /// A backup of the target's current content, read back before anything is changed.
    case safetyBackup = "safety_backup"
    /// A raw, checksummed copy of a database that fails its checks or does not open, with its `-wal` and `-journal`.
    case damagedSafetyCopy = "damaged_safety_copy"
    /// Proves the archive.
    case verify
    /// Decrypts and decompresses it into a file beside the target.
    case stage
    /// SQLite's own checks of that file.
    case integrityCheck = "integrity_check"
    /// Writes the image into the open database.
    case installLive = "install_live"
    /// Moves `-wal` and `-journal` away from a path whose file cannot be opened (or is missing), before the rename:
    /// SQLite would replay an old one into the new file.
    case moveSideFiles = "move_side_files"
    /// Renames the image over the old file.
    case installReplace = "install_replace"
    /// Puts the image at a path without a file.
    case installNew = "install_new"
    /// Flushes the folder.
    case sync
    /// Records the restore in the repository.
    case record

    /// Whether it changes or removes files at the target's path.
    public var isDestructive: Bool {
      switch self {
      case .installLive, .moveSideFiles, .installReplace, .installNew: true
      case .checkSpace, .safetyBackup, .damagedSafetyCopy, .verify, .stage, .integrityCheck, .sync, .record: false
      }
    }

    /// Whether it keeps the target's previous content.
    public var isSafety: Bool { self == .safetyBackup || self == .damagedSafetyCopy }
  }

  /// The kind of the step.
  public package(set) var kind: Kind
  /// A sentence part for people.
  public package(set) var detail: String
  /// Bytes that it writes at most (`check_space`: that all steps together need; `verify`: that it
  /// reads).
  public package(set) var bytes: Int64?
  /// The facts that must still be true just before it runs; not nil for every destructive step.
  package var reliesOn: ReliedFacts?

  package init(_ kind: Kind, _ detail: String, bytes: Int64? = nil, reliesOn: ReliedFacts? = nil) {
    self.kind = kind
    self.detail = detail
    self.bytes = bytes
    self.reliesOn = reliesOn
  }
}

/// The answer to a staged image.
package enum RestoreConfirmation: Hashable, Sendable {
  /// Continue; the steps up to and including `stage` are already done, those after it may have
  /// changed.
  case proceed(RestorePlan)
  case refuse(RestoreRefusal)
}
