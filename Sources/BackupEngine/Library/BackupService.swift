import BackupPolicy
import Glibc
import Logging
import SQLitePages

/// Backs up one SQLite database into one repository, and verifies, restores and removes the
/// backups.
///
/// ```swift
/// let service = try BackupService(
///   databaseURL: "/srv/app/app.db", backupDirectory: "/srv/backups", encryptionPassword: password)
/// let backup = try await service.create(description: "before the migration", tags: ["production"])
/// guard try await service.verify(backup.id).verified else { return }
/// do {
///   try await migrate()
/// } catch {
///   try await service.restore(backup.id)
///   throw error
/// }
/// ```
///
/// Each call does its blocking work on a thread of its own, so any task may await it. If the task
/// is cancelled, the work stops at its next step, nothing is left half done, and the call throws
/// `interrupted`. Every error is a `HoldfastError`.
///
/// Several tasks may use one service, also beside the command line and an agent on the same
/// repository: the repository's lock orders the changes.
public struct BackupService: Sendable {
  package let engine: Engine

  /// Makes a service with a password, or without encryption. Nothing is opened or created yet.
  ///
  /// Relative paths start at the current working folder.
  ///
  /// - Parameters:
  ///   - databaseURL: the database: a path, `sqlite:///relative.db` or `sqlite:////absolute.db`.
  ///   - backupDirectory: the repository, which the first backup creates; nil for `backups` beside
  ///     the database.
  ///   - encryptionPassword: opens the archives. Its bytes are copied into memory that is wiped
  ///     with the service. A `String` cannot be wiped; if that matters, use ``Credentials`` from
  ///     bytes or a file. Nil if backups are not encrypted: then ``BackupServiceOptions/encrypt``
  ///     must be false.
  ///   - options: how archives are made.
  ///   - logger: receives events that no result reports, such as the removal of leftovers.
  /// - Throws: `HoldfastError`: `usage` for the URL of another database, or if no state folder can
  ///   be found; `keyMissing` for an empty password.
  public init(
    databaseURL: String, backupDirectory: String? = nil, encryptionPassword: String? = nil,
    options: BackupServiceOptions = BackupServiceOptions(), logger: Logger = Logger(label: "holdfast")
  ) throws {
    let credentials = try encryptionPassword.map { try Credentials(password: Array($0.utf8)) }
    try self.init(
      databaseURL: databaseURL, backupDirectory: backupDirectory, credentials: credentials ?? Credentials(),
      options: options, logger: logger)
  }

  /// Makes a service with a key file, or with a password in bytes. Nothing is opened or created
  /// yet.
  ///
  /// - Parameters:
  ///   - databaseURL: the database: a path, `sqlite:///relative.db` or `sqlite:////absolute.db`.
  ///   - backupDirectory: the repository, which the first backup creates; nil for `backups` beside
  ///     the database.
  ///   - credentials: open the archives.
  ///   - options: how archives are made.
  ///   - logger: receives events that no result reports.
  /// - Throws: `HoldfastError`: `usage` for the URL of another database, or if no state folder can
  ///   be found.
  public init(
    databaseURL: String, backupDirectory: String? = nil, credentials: Credentials,
    options: BackupServiceOptions = BackupServiceOptions(), logger: Logger = Logger(label: "holdfast")
  ) throws {
    let database = try Self.absolute(DatabaseAddress.path(databaseURL, from: "the database URL"), "the database's path")
    let folder = try backupDirectory.map { try Self.absolute($0, "the backup folder's path") }
    let state = try options.stateFolder ?? StandardFolders.ofThisProcess.state()
    var environment = EngineEnvironment.system(
      stateFolder: try Self.absolute(state, "the state folder"), logger: logger)
    environment.busyTimeout = Int32(clamping: max(0, options.busyTimeout.wholeMilliseconds))
    engine = Engine(
      database: database, folder: folder ?? Engine.defaultFolder(of: database), credentials: credentials,
      defaults: options.archive, environment: environment)
  }

  private static func absolute(_ path: String, _ what: String) throws -> String {
    guard !path.isEmpty else { throw HoldfastError(.usage, "\(what) is empty", hint: "name one") }
    guard !path.hasPrefix("/") else { return path }
    guard let folder = String.workingFolder else { throw HoldfastError(errno: errno, "find", "the working folder") }
    return "\(folder)/\(path)"
  }
}

/// Create, list and verify.
extension BackupService {
  /// Stores a full backup of the database, and returns when it is on the disk.
  ///
  /// The backup holds the committed transactions of one moment. In WAL mode no other connection
  /// waits for it; with a rollback journal writers wait while the file is copied. The last step
  /// gives the archive its name, so a call that fails, is cancelled or loses power leaves no backup
  /// behind.
  ///
  /// - Parameters:
  ///   - type: the reason for the backup; retention depends on it.
  ///   - description: text for people, stored in the clear.
  ///   - tags: words by which to find the backup, stored in the clear.
  ///   - encrypt: nil for the service's own setting.
  ///   - compress: nil for the service's own setting.
  ///   - progress: called with bytes of the database while it is read.
  /// - Returns: the metadata of the backup.
  /// - Throws: `HoldfastError`: `databaseMissing` (a backup never creates a database),
  ///   `notADatabase`, `databaseCorrupt`, `busy`, `refused` if the repository belongs to another
  ///   database, `keyMissing`, `wrongKey` if the newest backup has another key, `noSpace`,
  ///   `permissionDenied`, `ioError`, `interrupted`.
  @discardableResult
  public func create(
    type: BackupType = .manual, description: String? = nil, tags: [String] = [], encrypt: Bool? = nil,
    compress: Bool? = nil, progress: ProgressReport? = nil
  ) async throws -> PointMetadata {
    var request = CreateRequest(engine.defaults, for: BackupReason(type, description: description, tags: tags))
    request.archive.encrypt = encrypt ?? engine.defaults.encrypt
    request.archive.compress = compress ?? engine.defaults.compress
    return try await BlockingWork.run("create a backup", report: progress) { [engine, request] in
      engine.recordClock()
      return try engine.create(request, progress: $0)
    }
  }

  /// Lists the backups in the repository, the newest first.
  ///
  /// Nothing is verified: ``PointMetadata/status`` is the last known one, except that a backup
  /// whose archive cannot be read now is `failed`.
  ///
  /// - Parameter limit: the most to return, the newest ones; nil for all.
  /// - Throws: `HoldfastError`: `pointNotFound` if there is no repository yet, `usage` for a
  ///   negative limit.
  public func list(limit: Int? = nil) async throws -> [PointMetadata] {
    guard limit ?? 0 >= 0 else { throw HoldfastError(.usage, "the limit must not be negative, and is \(limit ?? 0)") }
    return try await BlockingWork.run("list the backups") { [engine] _ in
      let points = try engine.list().map(\.metadata)
      return Array(points.prefix(limit ?? points.count))
    }
  }

  /// Returns the metadata of one backup.
  ///
  /// - Parameter reference: an ID, a unique prefix of one, or `latest` for the newest sound backup
  ///   of the database's own history.
  /// - Throws: `HoldfastError`: `pointNotFound`, or `usage` if a prefix fits several.
  public func metadata(of reference: String) async throws -> PointMetadata {
    try await BlockingWork.run("find a backup") { [engine] _ in try engine.point(reference).metadata }
  }

  /// Verifies a backup and records the result in its metadata.
  ///
  /// A backup that fails is a result and no error: see ``Verification/verified`` and
  /// ``Verification/errors``.
  ///
  /// - Parameters:
  ///   - id: the backup.
  ///   - depth: `full` decrypts and decompresses everything and runs SQLite's own checks; `quick`
  ///     needs no key.
  ///   - recheck: whether SQLite's checks run even if the same content passed them before.
  ///   - progress: called with bytes of the archive.
  /// - Throws: `HoldfastError`: `pointNotFound`, `keyMissing`, `wrongKey`, `noSpace` in the state
  ///   folder, `interrupted`.
  @discardableResult
  public func verify(
    _ id: PointID, depth: VerificationDepth = .full, recheck: Bool = false, progress: ProgressReport? = nil
  ) async throws -> Verification {
    try await BlockingWork.run("verify a backup", report: progress) { [engine] in
      try engine.verify(id.text, depth: depth, recheck: recheck, progress: $0)
    }
  }

  /// Returns figures of the whole repository, from its metadata.
  ///
  /// - Throws: `HoldfastError`: `pointNotFound` if there is no repository.
  public func stats() async throws -> RepositoryStatistics {
    try await BlockingWork.run("count the backups") { [engine] _ in try engine.statistics() }
  }
}

/// Restore and undo.
extension BackupService {
  /// Plans a restore. Nothing changes; ``execute(_:progress:)`` executes the returned plan.
  ///
  /// - Parameters:
  ///   - id: the backup to restore.
  ///   - newFile: a path without a file, to restore there instead of into the database.
  ///   - verifyFirst: verify the archive, and check the database in it, before it is installed.
  ///   - createSafetyBackup: back up the current content of the database first.
  ///   - recheck: run SQLite's checks even if the same content passed them before.
  ///   - acceptUnauthenticated: restore a backup although nothing proves its origin.
  /// - Throws: `HoldfastError`: the reason if the restore is refused, with the next step as its
  ///   hint; `pointNotFound`, `keyMissing`, `wrongKey`, `busy`, `noSpace`, `refused`,
  ///   `unauthenticated`, `verificationFailed`.
  public func planRestore(
    _ id: PointID, to newFile: String? = nil, verifyFirst: Bool = true, createSafetyBackup: Bool = true,
    recheck: Bool = false, acceptUnauthenticated: Bool = false
  ) async throws -> RestorePlan {
    let target: RestoreTarget = try newFile.map { .newFile(path: $0) } ?? .database(path: engine.requireDatabase())
    let request = RestoreRequest(
      pointID: id, target: target, safetyBackup: createSafetyBackup, verifyFirst: verifyFirst, recheck: recheck,
      acceptUnauthenticated: acceptUnauthenticated)
    return try await BlockingWork.run("plan a restore") { [engine] _ in
      // First: a wrong password is reported before anything else is examined.
      try engine.requireKey(to: engine.point(request.pointID.text))
      return try engine.planRestore(request).plan
    }
  }

  /// Executes a plan. The facts behind it are read again before each step that destroys something.
  ///
  /// A live restore is one transaction: programs that have the database open see all of it or
  /// nothing, and need no restart. A replacement is one rename. If the call throws, the database is
  /// unchanged. The one exception is a failure to flush the folder, whose message says that the
  /// content is in place.
  ///
  /// - Parameters:
  ///   - plan: from
  ///     ``planRestore(_:to:verifyFirst:createSafetyBackup:recheck:acceptUnauthenticated:)`` or
  ///     ``planUndo()`` of this service.
  ///   - progress: called with steps of the plan and with bytes, by the activity.
  /// - Throws: `HoldfastError`: `factsChanged` if the plan no longer fits (plan again), `busy`,
  ///   `verificationFailed`, `archiveCorrupt`, `wrongKey`, `noSpace`, `interrupted`.
  @discardableResult
  public func execute(_ plan: RestorePlan, progress: ProgressReport? = nil) async throws -> RestoreOutcome {
    try await BlockingWork.run("restore \(plan.pointID)", report: progress) { [engine] in
      try engine.restore(plan, progress: $0)
    }
  }

  /// Restores a backup into the database: plans, and executes the plan.
  ///
  /// - Parameters:
  ///   - id: the backup to restore.
  ///   - verifyFirst: verify the archive, and check the database in it, before it is installed.
  ///   - createSafetyBackup: back up the current content of the database first.
  ///   - progress: called with steps of the plan and with bytes, by the activity.
  /// - Throws: `HoldfastError`: the errors of
  ///   ``planRestore(_:to:verifyFirst:createSafetyBackup:recheck:acceptUnauthenticated:)`` and of
  ///   ``execute(_:progress:)``.
  @discardableResult
  public func restore(
    _ id: PointID, verifyFirst: Bool = true, createSafetyBackup: Bool = true, progress: ProgressReport? = nil
  ) async throws -> RestoreOutcome {
    let plan = try await planRestore(id, verifyFirst: verifyFirst, createSafetyBackup: createSafetyBackup)
    return try await execute(plan, progress: progress)
  }

  /// Plans to undo the last restore into the database: a plan like that of any restore, with
  /// remarks about the undo among its warnings. ``execute(_:progress:)`` executes it.
  ///
  /// The plan makes a safety backup, so that a second undo brings back the restored content.
  ///
  /// - Throws: `HoldfastError`: `refused` if there is nothing to undo, `pointNotFound` if the
  ///   safety backup of the last restore is gone, and the errors of planning a restore.
  public func planUndo() async throws -> RestorePlan {
    try await BlockingWork.run("plan an undo") { [engine] in try engine.planUndo(progress: $0).plan }
  }
}

/// Pin, accept, remove.
extension BackupService {
  /// Pins a backup until ``unpin(_:)``: no rule, lack of space, compaction or `delete` removes it,
  /// or a backup that it needs.
  ///
  /// Rules do not count pinned backups. To pin a pinned backup changes nothing.
  ///
  /// - Throws: `HoldfastError`: `pointNotFound`, `busy`, `permissionDenied`, `ioError`.
  @discardableResult
  public func pin(_ id: PointID) async throws -> PinChange {
    try await BlockingWork.run("pin \(id)") { [engine] _ in try engine.setPin(true, of: id.text) }
  }

  /// Unpins a backup: the rules apply to it again. A backup of type `guard` then counts as a safety
  /// backup, which stays for `RetentionPolicy.safetyGrace`.
  ///
  /// - Throws: `HoldfastError`: `pointNotFound`, `busy`, `permissionDenied`, `ioError`.
  @discardableResult
  public func unpin(_ id: PointID) async throws -> PinChange {
    try await BlockingWork.run("unpin \(id)") { [engine] _ in try engine.setPin(false, of: id.text) }
  }

  /// Accepts the unusual content of a backup: it no longer holds the backups before it.
  ///
  /// To accept a backup again changes nothing. A backup that fails SQLite's checks stays failed;
  /// only its hold ends.
  ///
  /// - Throws: `HoldfastError`: `pointNotFound`, `refused` for a backup with nothing to accept or
  ///   one that this host cannot authenticate, `busy`, `permissionDenied`, `ioError`.
  @discardableResult
  public func accept(_ id: PointID) async throws -> Acceptance {
    try await BlockingWork.run("accept \(id)") { [engine] _ in try engine.accept(id.text) }
  }

  /// Removes one backup and all its files, also the newest verified one.
  ///
  /// - Throws: `HoldfastError`: `pointNotFound`, `refused` if other backups need it or it is
  ///   pinned, `busy`, `permissionDenied`, `ioError`.
  public func delete(_ id: PointID) async throws {
    _ = try await BlockingWork.run("delete \(id)") { [engine] _ in try engine.delete(id.text) }
  }

  /// Decides which backups ``cleanUp(by:trustingClock:progress:)`` would keep and remove now,
  /// with the reasons. Nothing is removed.
  ///
  /// - Parameters:
  ///   - policy: the rules for keeping backups.
  ///   - trustingClock: this machine's clock is right, although it jumped or was never confirmed.
  /// - Throws: `HoldfastError`: `pointNotFound` if there is no repository, `usage` for a rule below
  ///   1, `refused` if the clock would remove more than the trusted time.
  public func planCleanup(
    by policy: RetentionPolicy, trustingClock: Bool = false
  ) async throws -> RetentionDecision {
    try await BlockingWork.run("plan a cleanup") { [engine] _ in
      try Self.requireRules(engine.planCleanup(policy, clock: trustingClock ? .trusting : .refusing))
    }
  }

  /// Removes the backups that a policy does not keep, in small batches, each under the repository's
  /// lock.
  ///
  /// Independent of the policy, the newest verified backup stays, safety backups stay for their
  /// grace period, and backups without authentication are neither counted nor removed. Without any
  /// rule nothing is removed.
  ///
  /// - Parameters:
  ///   - policy: the rules for keeping backups.
  ///   - trustingClock: this machine's clock is right, although it jumped or was never confirmed.
  ///   - progress: called with the number of removed backups.
  /// - Returns: each backup that stayed and each that was removed, with the reasons.
  /// - Throws: `HoldfastError`: `pointNotFound` if there is no repository, `usage` for a rule below
  ///   1, `refused` if the clock would remove more than the trusted time, `busy`,
  ///   `permissionDenied`, `ioError`, `interrupted`. Some backups may be removed by then.
  @discardableResult
  public func cleanUp(
    by policy: RetentionPolicy, trustingClock: Bool = false, progress: ProgressReport? = nil
  ) async throws -> RetentionDecision {
    try await BlockingWork.run("delete old backups", report: progress) { [engine] in
      try Self.requireRules(engine.cleanup(policy, clock: trustingClock ? .trusting : .refusing, progress: $0))
    }
  }

  /// Removes all but the newest backups: ``cleanUp(by:trustingClock:progress:)`` with a count
  /// alone.
  ///
  /// - Parameter count: how many to keep, at least 1. Safety backups are not counted.
  /// - Throws: `HoldfastError`: as ``cleanUp(by:trustingClock:progress:)``.
  @discardableResult
  public func cleanUp(keeping count: Int = 30) async throws -> RetentionDecision {
    try await cleanUp(by: RetentionPolicy(keepLast: count))
  }

  private static func requireRules(_ decision: RetentionDecision) throws -> RetentionDecision {
    guard let refused = decision.refused else { return decision }
    throw HoldfastError(.usage, "nothing was removed: \(refused)", hint: "give each rule at least 1")
  }
}

extension RestoreDecision {
  /// - Throws: the refusal, as an error.
  fileprivate var plan: RestorePlan {
    get throws {
      switch self {
      case .plan(let plan): return plan
      case .refuse(let refusal): throw refusal.error
      }
    }
  }
}
