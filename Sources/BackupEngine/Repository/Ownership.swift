import BackupPolicy
import Names
import SQLitePages

/// A repository's backups as one listing found them, and those among them that are the database's.
struct RepositoryListing {
  /// Every backup of every database, the oldest first, without the problems of chains.
  let all: [StoredPoint]
  /// The database's backups, the oldest first, each with the problems of its chain.
  let own: [StoredPoint]
  /// Nil if the repository was opened for no database.
  let facts: OwnershipFacts?
  let ownership: RepositoryOwnership

  /// The other paths that the next backup records beside the database's path.
  var otherPaths: [String] { facts.map { ownership.otherPaths($0).map(\.text) } ?? [] }
}

/// The owner of a repository's backups at the last listing.
struct KnownOwnership {
  let ownership: RepositoryOwnership
  let databases: RecordedDatabases
}

extension Repository {
  /// Returns all backups, and those of the database for which the repository was opened.
  ///
  /// - Parameters:
  ///   - warns: logs a warning if backups are missing that this host stored.
  ///   - acquitted: the failures that the metadata of these backups records are ignored.
  ///   - proven: the recorded path whose database the given one continues.
  func listing(
    warns: Bool = true, acquitted: Set<PointID> = [], proven: ExactPath? = nil
  ) throws -> RepositoryListing {
    var all = try everything(warns: warns)
    for index in all.indices where acquitted.contains(all[index].id) { all[index].acquit() }
    var facts = try ownershipFacts(all)
    if let proven { facts?.proven = proven }
    let ownership = facts.map { RepositoryOwnership.decide($0) } ?? .unclaimed
    if let facts { lastOwnership.withLock { $0 = KnownOwnership(ownership: ownership, databases: facts.databases) } }
    var own = facts.map { facts in all.filter { ownership.includes($0, facts.databases) } } ?? all
    own.markBrokenChains()
    return RepositoryListing(all: all, own: own, facts: facts, ownership: ownership)
  }

  /// Returns the database's backups, the oldest first, each with its problems.
  ///
  /// - Parameters:
  ///   - warns: logs a warning if backups are missing that this host stored. False while this
  ///     process removes some itself.
  ///   - acquitted: the failures that the metadata of these backups records are ignored.
  /// - Throws: `refused` if the repository holds backups of other databases only.
  package func points(warns: Bool = true, acquitted: Set<PointID> = []) throws -> [StoredPoint] {
    let listing = try listing(warns: warns, acquitted: acquitted)
    guard let database else { return listing.own }
    switch listing.ownership {
    case .foreign(let others): throw RepositoryOwnership.readingError(database, folder: folder, others)
    case .similar(let other): throw RepositoryOwnership.readingError(database, folder: folder, [other])
    case .unclaimed, .owned, .moved, .displaced: return listing.own
    }
  }

  /// Returns the backups beside which a new one is stored. Needs the exclusive lock.
  ///
  /// - Parameters:
  ///   - isSafety: the backup keeps the content that a restore is about to replace.
  ///   - progress: stops the comparison with a moved database's backups.
  /// - Throws: `refused` if the repository holds backups of other databases only, or of a copy of
  ///   this one; `interrupted`.
  func listingToStore(isSafety: Bool, _ progress: Progress) throws -> RepositoryListing {
    var listing = try listing()
    if let facts = listing.facts, let before = listing.ownership.unproven(facts),
      try continues(before, listing.all, progress)
    {
      listing = try self.listing(warns: false, proven: before.path)
    }
    guard let facts = listing.facts else { return listing }
    if let error = listing.ownership.obstacle(facts, folder: folder, isSafety: isSafety) { throw error }
    if case .moved(let before) = listing.ownership {
      logger.warning("\(facts.path) was at \(before.path) before; its backups continue in \(folder)")
    }
    return listing
  }

  /// Returns the path that a backup records if it differs from the given database's, and if the
  /// repository does not know the given database by its own path; else nil.
  func otherDatabase(of point: StoredPoint) throws -> String? {
    guard let database, let path = point.metadata.databasePath, !path.isExactly(database.resolvingLinks) else {
      return nil
    }
    let known = lastOwnership.withLock { $0?.ownership }
    switch try known ?? listing(warns: false).ownership {
    case .moved, .displaced: return path
    case .unclaimed, .owned, .similar, .foreign: return nil
    }
  }

  /// Whether the given database's pages prove that it is another one, whose file is gone. Needs the
  /// exclusive lock.
  private func continues(
    _ before: RecordedDatabase, _ all: [StoredPoint], _ progress: Progress
  ) throws -> Bool {
    guard let database else { return false }
    let own = all.filter { $0.metadata.databasePath.map { before.paths.contains(ExactPath($0)) } ?? false }
    guard let newest = own.newestWhole() else { return false }
    return try PageContinuity(repository: self, database: database, progress: progress)
      .holds(since: newest, oldest: Array(own.reversed()).newestWhole())
  }

  /// Returns whether a backup is the database's.
  ///
  /// - Throws: `refused` if the repository holds backups of other databases only.
  func isOwn(_ point: StoredPoint) throws -> Bool {
    guard let database else { return true }
    if let path = point.metadata.databasePath, path.isExactly(database.resolvingLinks) { return true }
    // There are many backups without a path, or from before a move. One listing decides about them
    // all.
    if let known = lastOwnership.withLock({ $0 }), !known.ownership.isForeign {
      return known.ownership.includes(point, known.databases)
    }
    return try points(warns: false).contains { $0.id == point.id }
  }

  private func ownershipFacts(_ points: [StoredPoint]) throws -> OwnershipFacts? {
    guard let database else { return nil }
    let path = ExactPath(database.resolvingLinks)
    let recorded = RecordedDatabases(
      points.lazy.filter { $0.isAuthenticated && !$0.archiveMissing }.map { OwnershipRecord($0.metadata) })
    var facts = OwnershipFacts(path: path, givenPath: ExactPath(database.tidyAbsolutePath), databases: recorded)
    // In the usual case no other file is examined.
    guard recorded.all.contains(where: { $0.path != path }) else { return facts }
    let own = try? files.status(path.text)
    for other in recorded.all where other.path != path {
      switch presence(of: other.path.text, beside: own ?? nil) {
      case .another: facts.present.insert(other.path)
      case .same: facts.sameFiles.insert(other.path)
      case .gone: break
      }
    }
    if let state = try hostState(), let file = state.databaseFile, FileBirth(path: path.text) == file {
      facts.proven = state.databasePath
    }
    // The present path identifies the database, whatever tables it has.
    if recorded.all.contains(where: { $0.path == path }) { return facts }
    if own ?? nil != nil { facts.tableMarks = tableMarks(of: path.text) }
    return facts
  }

  private enum FilePresence { case gone, same, another }

  /// If a path may not be examined, it counts as existing.
  private func presence(of path: String, beside own: FileStatus?) -> FilePresence {
    do {
      guard let status = try files.status(path) else { return .gone }
      return own?.device == status.device && own?.inode == status.inode ? .same : .another
    } catch {
      return .another
    }
  }

  /// Nil if the database cannot be read now.
  private func tableMarks(of path: String) -> Set<UInt32>? {
    guard let connection = try? DatabaseConnection(path: path, access: .observer, busyTimeout: 1000) else { return nil }
    defer { connection.close() }
    return (try? connection.tableNames()).map { TableMarks.of($0) }
  }
}

extension RepositoryOwnership {
  fileprivate var isForeign: Bool {
    switch self {
    case .similar, .foreign: true
    case .unclaimed, .owned, .moved, .displaced: false
    }
  }

  /// Whether a backup is the database's. A backup of no known database is shown to every database.
  fileprivate func includes(_ point: StoredPoint, _ databases: RecordedDatabases) -> Bool {
    guard let owner = databases.database(of: point.metadata.databasePath.map { ExactPath($0) }) else { return true }
    return owner == database
  }
}

extension OwnershipRecord {
  init(_ metadata: PointMetadata) {
    self.init(
      path: metadata.databasePath.map { ExactPath($0) }, otherPaths: metadata.otherPaths.map { ExactPath($0) },
      tableMarks: metadata.content.tableMarks)
  }
}

/// Checks whether the repository that this host knows at a path is there.
extension Repository {
  /// - Throws: `refused` if it is not there. A new one in an empty mount point would hide that
  ///   backups are missing.
  func requirePresence() throws {
    guard let facts = try presenceFacts() else { return }
    let presence = RepositoryPresence.decide(facts)
    guard presence != .there else { return }
    if let error = presence.error(givenFolder, states: try stateFiles()) { throw error }
  }

  /// The files in which this host remembers the repository.
  func stateFiles() throws -> [String] { try knownStates().map { try hostStates.path(of: $0) } }

  /// Asked before a new repository is made.
  ///
  /// - Throws: `refused` if the disk for it is probably not mounted.
  func requireMountedBase() throws {
    guard try files.status(folder) == nil else { return }
    let base = folder.parentPath
    let facts = NewRepositoryFacts(
      folder: folder, neighbours: try files.status(base).map { _ in try files.list(base) },
      known: try hostStates.all().filter(\.isOfStoredBackups).map(\.repositoryPath))
    if let error = NewRepositoryPlace.decide(facts).error(facts, given: givenFolder) { throw error }
  }

  /// Nil if this host stored nothing at this path.
  private func presenceFacts() throws -> PresenceFacts? {
    let states = try knownStates()
    guard !states.isEmpty else { return nil }
    let known = states.reduce(into: Set<String>()) { $0.formUnion($1.repositoryIDs) }
    var facts = PresenceFacts(known: known, recorded: storedIdentity()?.id.hex)
    // In the usual case no archive is examined.
    if let recorded = facts.recorded, facts.known.contains(recorded) { return facts }
    guard try files.status(folder)?.kind == .folder else { return facts }
    let names = try files.list(folder)
    facts.isRepository = names.contains { $0 == ".state" || ArchiveName($0) != nil }
    for name in names where ArchiveName(name)?.encrypted == true && facts.archived.isDisjoint(with: facts.known) {
      if let id = repositoryID(ofArchive: name) { facts.archived.insert(id) }
    }
    return facts
  }

  /// Returns the states for backups that this host stored at this path. They are found by the path
  /// with links resolved or, if a link now leads elsewhere, by the given path.
  private func knownStates() throws -> [HostState] {
    if let state = try hostStates.load(path: folder, repositoryID: { nil }) {
      return state.isOfStoredBackups ? [state] : []
    }
    guard !givenFolder.isExactly(folder) else { return [] }
    // The folder may have been moved to a disk, with a link in its place.
    let before = try hostStates.load(path: givenFolder, repositoryID: { nil }).map { [$0] } ?? []
    return (before + (try hostStates.load(givenPath: ExactPath(givenFolder)))).filter(\.isOfStoredBackups)
  }

  /// Saves the state, with the link by which the folder was reached.
  func save(_ state: HostState) throws {
    var state = state
    if !givenFolder.isExactly(folder) { state.record(givenPath: ExactPath(givenFolder)) }
    try hostStates.save(state)
  }

  /// Returns the ID in an archive's head; nil if it has no head.
  func repositoryID(ofArchive name: String) -> String? {
    guard let file = try? files.open(path(name), .readNoFollow) else { return nil }
    defer { files.close(file) }
    return (try? SealedHeader(file, files))?.header.repositoryID.hex
  }

  /// Begins a repository at a path at which this host knows another one. The other stays known: its
  /// backups are this host's own as soon as they are back.
  ///
  /// If a repository is there already, it is taken over, provided that the key opens it. Takes the
  /// lock, because another process may store the first backup there.
  ///
  /// - Throws: `wrongKey`, `keyMissing` if the key does not open the repository that is there; `busy`
  ///   if another process locks it.
  func beginAnew(_ start: NewBeginning) throws {
    guard try !knownStates().isEmpty else { return }
    try exclusively(patience: start.patience) { try beginAnewUnderLock(iterations: start.iterations) }
  }

  private func beginAnewUnderLock(iterations: UInt32) throws {
    guard var state = try knownStates().first else { return }
    state.repositoryPath = folder
    guard let facts = try presenceFacts(), RepositoryPresence.decide(facts) != .there else { return }
    let identity: RepositoryIdentity
    if let head = try newestHead(try everything(warns: false), known: []) {
      _ = try head.unlock(credentials)
      identity = try RepositoryIdentity(head, iterations: iterations)
    } else {
      identity = try .fresh(iterations: iterations)
    }
    try files.replace(path(".state/repository.json"), with: identity.json.encoded())
    // Without encryption no archive has an ID.
    guard !state.repositoryIDs.isEmpty else { return }
    state.use(identity.id.hex)
    try save(state)
  }
}
