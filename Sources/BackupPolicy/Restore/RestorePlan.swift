/// What a restore would do: the value a dry run prints and a real run executes.
package enum RestoreDecision: Hashable, Sendable {
  case plan(RestorePlan)
  case refuse(RestoreRefusal)
}

/// Why a restore is not done, and what to do instead.
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

/// How the restored image takes its place.
public enum Install: String, Hashable, Sendable, CaseIterable {
  /// Through SQLite's backup API into the open database: applications see the new content in one transaction.
  case live
  /// A new file renamed over the old one, or put where none is, under SQLite's exclusive lock where the old one opens.
  case replace
  /// A file at a path where nothing was.
  case newFile = "new_file"
}

/// The steps of a restore, in order. Nothing has happened yet; the facts it rests on are read again when it is carried out.
public struct RestorePlan: Hashable, Sendable {
  /// How the image takes its place.
  public package(set) var install: Install
  /// What will be done, in this order.
  public package(set) var steps: [RestoreStep]
  /// Sentences for people; lower case, no full stop.
  public package(set) var warnings: [String]
  /// Whom the file is going to belong to, and who may use it; nil if the database's own file stays.
  public package(set) var attributes: FileAttributes?
  /// What was asked for, and the facts the plan was made from.
  package let request: RestoreRequest
  package let facts: RestoreFacts

  /// The point that it restores.
  public var pointID: PointID { request.pointID }
  /// The file that it writes, symbolic links resolved.
  public var target: String { facts.target.path }
}

/// One step of a plan.
public struct RestoreStep: Hashable, Sendable {
  /// The raw values are the names in JSON.
  public enum Kind: String, Hashable, Sendable, CaseIterable {
    /// Is there room for all that follows?
    case checkSpace = "check_space"
    /// A backup of what the target holds now, read back before anything is changed.
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
    /// Puts the image where no file is.
    case installNew = "install_new"
    /// Flushes the folder.
    case sync
    /// Notes the restore in the repository.
    case record

    /// Whether it changes or removes what lies at the target's path.
    public var isDestructive: Bool {
      switch self {
      case .installLive, .moveSideFiles, .installReplace, .installNew: true
      case .checkSpace, .safetyBackup, .damagedSafetyCopy, .verify, .stage, .integrityCheck, .sync, .record: false
      }
    }

    /// Whether it keeps what the target held.
    public var isSafety: Bool { self == .safetyBackup || self == .damagedSafetyCopy }
  }

  /// What it does.
  public package(set) var kind: Kind
  /// A sentence part for people.
  public package(set) var detail: String
  /// Bytes that it will write at most (`check_space`: that all steps together need; `verify`: that it reads).
  public package(set) var bytes: Int64?
  /// What must still be so just before it runs; not nil for every destructive step.
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
  /// Go on; the steps up to and including `stage` are the ones already done, those after it may have changed.
  case proceed(RestorePlan)
  case refuse(RestoreRefusal)
}
