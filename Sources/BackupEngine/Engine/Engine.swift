import BackupPolicy
import SQLitePages

/// One database, its repository, and all operations on them: the blocking half of
/// ``BackupService``, which the command line and the agent use directly.
///
/// Its calls block until they are done and never run on Swift's cooperative pool. Several threads
/// may use one engine. The repository's lock orders the changes, also those of other processes.
package final class Engine: Sendable {
  package let environment: EngineEnvironment
  package let credentials: Credentials
  /// The database's path as it was given; nil if the operations need none.
  package let database: String?
  package let folder: String
  /// The options for the engine's own backups: safety backups before a restore.
  package let defaults: ArchiveOptions
  /// Keeps the repository open between calls; nil if each call opens it. See ``keepingOpen()``.
  private let kept: KeptRepository?

  package init(
    database: String?, folder: String, credentials: Credentials, defaults: ArchiveOptions = ArchiveOptions(),
    environment: EngineEnvironment, kept: KeptRepository? = nil
  ) {
    self.database = database
    self.folder = folder
    self.credentials = credentials
    self.defaults = defaults
    self.environment = environment
    self.kept = kept
  }

  /// The same engine, which opens its repository once: for a command that reads the repository
  /// first and then does its work.
  package func keepingOpen() -> Engine {
    Engine(
      database: database, folder: folder, credentials: credentials, defaults: defaults, environment: environment,
      kept: KeptRepository())
  }

  /// The folder of backups if none is named: `backups` beside the database.
  package static func defaultFolder(of database: String) -> String {
    database.parentPath == "/" ? "/backups" : "\(database.parentPath)/backups"
  }

  /// Opens the repository.
  ///
  /// - Parameter beginsAnew: makes one also if this host knows another one at this path.
  /// - Throws: `pointNotFound` if it is missing and not to be made; `refused` if this host knows
  ///   one there and it is missing.
  package func repository(create: Bool = false, beginsAnew: Bool = false) throws -> Repository {
    guard let kept, !beginsAnew else { return try open(create: create, beginsAnew: beginsAnew) }
    let repository = try kept.repository { try open(create: create, beginsAnew: false) }
    if create { try repository.makeFolders() }
    return repository
  }

  private func open(create: Bool, beginsAnew: Bool) throws -> Repository {
    try Repository(
      folder, of: database, create: create,
      beginsAnew: beginsAnew
        ? NewBeginning(
          iterations: environment.passwordIterations, patience: environment.repositoryPatience) : nil,
      credentials: credentials,
      hostStates: HostStateStore(folder: environment.stateFolder, files: environment.files), files: environment.files,
      logger: environment.logger)
  }

  /// The database's path.
  ///
  /// - Throws: `usage` if none was given.
  package func requireDatabase() throws -> String {
    if let database { return database }
    throw HoldfastError.noDatabaseNamed
  }

  /// Called if the database is missing. If its backups are also missing, the disk with both is
  /// probably not mounted, and a restore would be the wrong advice.
  ///
  /// - Throws: `refused` if this host stored backups in the folder and they are not there.
  package func requireKnownRepository() throws {
    do {
      _ = try repository()
    } catch let error as HoldfastError where error.code == .refused {
      throw error
    } catch {
      // The missing database is reported.
    }
  }

  /// Stores a full backup of the database.
  package func create(_ request: CreateRequest, progress: Progress = Progress()) throws -> PointMetadata {
    let stored = try creator(for: request, progress).create(request)
    if case .notAudited(let reason) = stored.audit {
      environment.logger.debug("\(stored.metadata.id): not audited: \(reason)")
    }
    return stored.metadata
  }

  /// Requires a key if archives are to be encrypted. If the repository has encrypted backups, the
  /// hint asks for their key, because a new one would not open them.
  ///
  /// - Throws: `keyMissing`.
  package func requireKey(toStore archive: ArchiveOptions) throws {
    do {
      try archive.requireKey(credentials)
    } catch var error as HoldfastError {
      let names = (try? environment.files.list(folder)) ?? []
      if names.contains(where: { ArchiveName($0)?.encrypted == true }) {
        error.hint =
          "put back the key of the encrypted backups in \(folder): --key-file PATH, or BACKUP_ENCRYPTION_PASSWORD; "
          + "--no-encrypt stores without encryption"
      }
      throw error
    }
  }

  /// Makes the repository if there is none.
  func creator(for request: CreateRequest, _ progress: Progress) throws -> BackupCreator {
    let database = try requireDatabase()
    if try environment.files.status(database) == nil {
      try requireKnownRepository()
      throw HoldfastError(
        .databaseMissing, "there is no database \(database)",
        hint: "check the path: a database is never created by a backup")
    }
    // Checked before a folder is made: a backup that cannot be stored leaves nothing behind.
    try requireKey(toStore: request.archive)
    return BackupCreator(
      repository: try repository(create: true), database: database, environment: environment, progress: progress)
  }

  /// Stores a full or an incremental, as ``ChainPolicy`` decides. For an incremental, every page is
  /// compared.
  package func store(
    _ request: CreateRequest, kind: RequestedKind, progress: Progress = Progress()
  ) throws -> StoringOutcome {
    let facts = ChainFacts(requested: kind, backupType: request.reason.type, protection: request.archive.protection)
    // Without a parent the policy decides as far as it can: it chooses most fulls before the
    // repository is read.
    if kind == .full || kind == .automatic && request.reason.type != .change,
      case .full(let reason) = ChainPolicy.decide(facts)
    {
      return .stored(try create(request, progress: progress), reason: reason)
    }
    switch try storeIncremental(request, kind, progress) {
    case .stored(let metadata, _):
      return .stored(metadata, reason: "only the changes since \(metadata.parentID?.text ?? "before")")
    case .unchanged(let parent, _): return .unchanged(since: parent.id)
    case .fullNeeded(let reason): return .stored(try create(request, progress: progress), reason: reason)
    }
  }

  private func storeIncremental(
    _ request: CreateRequest, _ kind: RequestedKind, _ progress: Progress
  ) throws -> IncrementalOutcome {
    let database = try requireDatabase()
    guard try environment.files.status(database) != nil, try environment.files.status(folder) != nil else {
      return .fullNeeded(reason: ChainPolicy.noParent)
    }
    let connection = try onDatabase {
      try DatabaseConnection(path: database, access: .observer, busyTimeout: environment.busyTimeout)
    }
    defer { connection.close() }
    let visit = try ChangeFollower(self).beginVisit(request, kind: kind, progress: progress)
    defer { visit.end() }
    if case .fullNeeded(let reason) = visit.base { return .fullNeeded(reason: reason) }
    return try visit.store(visit.snapshot(of: connection), .given(.unknown), progress: progress).outcome.get()
  }

  /// All backups, newest first.
  package func list() throws -> [StoredPoint] {
    try Array(repository().points().reversed())
  }

  /// One backup by its ID, a unique prefix, or `latest`.
  package func point(_ reference: String) throws -> StoredPoint {
    try repository().point(reference)
  }

  /// Verifies a backup and records the result in its metadata.
  package func verify(
    _ reference: String, depth: VerificationDepth = .full, recheck: Bool = false, progress: Progress = Progress()
  ) throws -> Verification {
    let repository = try repository()
    let point = try repository.point(reference)
    return try verify(point, in: repository, depth: depth, recheck: recheck, progress: progress)
  }

  private func verify(
    _ point: StoredPoint, in repository: Repository, depth: VerificationDepth, recheck: Bool, progress: Progress
  ) throws -> Verification {
    var verifier = Verifier(repository: repository, environment: environment, progress: progress)
    verifier.recheck = recheck
    do {
      var verification = try verifier.verify(point, depth)
      let record = VerificationRecord(repository: repository, environment: environment, progress: progress)
      if let problem = record.store(verification, of: point) { verification.notes.append(problem) }
      return verification
    } catch let error as HoldfastError {
      throw error.during("verify \(point.id)")
    }
  }
}

// MARK: - Choosing a backup

extension Engine {
  /// Returns the newest readable backup of the database's own history; nil if there is none. A
  /// backup that cannot be read now is no reason to store nothing.
  package func newestReadable() throws -> StoredPoint? {
    try repository().points().last { $0.obstacle == nil }
  }

  /// Returns the newest sound backup that is not after a moment, and its distance from the moment.
  ///
  /// - Parameter zone: the time zone of the text that describes the choice.
  /// - Throws: `pointNotFound` if every sound backup is later.
  package func point(
    notAfter moment: Timestamp, zone: ZoneRules
  ) throws -> (point: StoredPoint, choice: PointByTime) {
    let points = try repository().points()
    let result = Result { () throws(HoldfastError) in
      try PointByTime.choose(points.map { Point($0) }, notAfter: moment, zone: zone, now: environment.now())
    }
    let id = try? result.get().id
    try points.requireNothingHidden(after: points.first { $0.id == id }, notAfter: moment)
    let choice = try result.get()
    guard let point = points.first(where: { $0.id == choice.id }) else {
      throw HoldfastError(.pointNotFound, "\(choice.id) was removed by another process", hint: "run the command again")
    }
    return (point, choice)
  }

  /// Returns the backups that a restore would read, from the given one to a full. Nil if a link is
  /// missing or known to be damaged.
  package func chain(of point: StoredPoint) throws -> PointChain? {
    guard !point.archiveMissing else { return nil }
    do {
      return try repository().chain(of: point)
    } catch let error as HoldfastError where error.cause is BrokenLink {
      return nil
    }
  }

  /// Returns the newest backup that can be restored, as far as is known, after some were found to
  /// be damaged.
  ///
  /// - Parameter broken: the damaged backups. They and all backups that need them cannot be
  ///   restored.
  package func newestWhole(besides broken: Set<PointID>) throws -> PointID? {
    try repository().points().newestWhole(besides: broken)?.id
  }
}
