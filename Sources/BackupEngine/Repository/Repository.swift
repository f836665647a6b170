import BackupPolicy
import Glibc
import Logging
import Synchronization

/// A backup directory: its backups, their metadata, its locks and this host's state of it.
///
/// Reading needs no lock, because every change is a rename. Storing and removing need
/// ``exclusively(_:)``.
package final class Repository: Sendable {
  /// The folder with symbolic links resolved, so that one repository has one name.
  package let folder: String
  /// The folder as it was given, absolute: a link in it may lead to another disk tomorrow.
  let givenFolder: String
  package let files: any FileOperations
  let hostStates: HostStateStore
  let credentials: Credentials
  let logger: Logger
  /// The database whose backups are read and stored, with its path as given; nil for all databases.
  let database: String?
  /// The owner of the backups, as the last listing found it.
  let lastOwnership = Mutex<KnownOwnership?>(nil)

  /// Opens a repository.
  ///
  /// - Parameters:
  ///   - folder: the backup directory.
  ///   - database: the database whose backups are read and stored; nil for those of every database.
  ///   - create: makes the folder if it is missing.
  ///   - beginsAnew: makes one also if this host knows another one at this path.
  /// - Throws: `pointNotFound` if it is missing and not to be made; `refused` if this host knows
  ///   one there and it is missing.
  package init(
    _ folder: String, of database: String? = nil, create: Bool, beginsAnew: NewBeginning? = nil,
    credentials: Credentials,
    hostStates: HostStateStore, files: any FileOperations,
    logger: Logger
  ) throws {
    self.folder = folder.resolvingLinks
    givenFolder = folder.tidyAbsolutePath
    self.files = files
    self.hostStates = hostStates
    self.credentials = credentials
    self.logger = logger
    self.database = database
    try FolderObstacle.requireNoLoop(folder)
    try requireOwnFolders()
    if beginsAnew == nil {
      try requirePresence()
      if create { try requireMountedBase() }
    }
    if create { try Self.makeFolders(folder, files) }
    try Self.requireFolder(folder, files)
    if let beginsAnew { try beginAnew(beginsAnew) }
  }

  /// Another user's link in place of one of the repository's own folders can lead anywhere, and
  /// root would write there.
  ///
  /// - Throws: `refused`.
  private func requireOwnFolders() throws {
    let names = [".metadata", ".state", DrillHistory.name]
    guard let link = names.map({ path($0) }).first(where: FolderOwner.isAnothersLink) else { return }
    throw HoldfastError(
      .refused, "\(link) is a symbolic link that another user created",
      hint: "inspect it with ls -l \(link), and remove it with rm \(link)")
  }

  /// Makes the folder and its own folders if they are missing.
  func makeFolders() throws { try Self.makeFolders(folder, files) }

  private static func makeFolders(_ folder: String, _ files: any FileOperations) throws {
    // If the path is something else, the check of the folder reports that, instead of a failure
    // inside it.
    if try files.status(folder) == nil { try FolderObstacle.requireNoDanglingLink(folder) }
    guard try files.status(folder)?.kind ?? .folder == .folder else { return }
    try files.makeFolders(folder)
    for name in [".metadata", ".state"] where try files.status("\(folder)/\(name)") == nil {
      try files.makeFolder("\(folder)/\(name)")
      try files.syncFolder(folder)
    }
  }

  private static func requireFolder(_ folder: String, _ files: any FileOperations) throws {
    guard let status = try files.status(folder) else {
      try FolderObstacle.requireNoDanglingLink(folder)
      throw HoldfastError(
        .pointNotFound, "there is no backup folder \(folder)",
        hint: "create it with holdfast create, or name another one with --backup-dir")
    }
    guard status.kind == .folder else {
      throw HoldfastError(.usage, "\(folder) is not a folder", hint: "name the backup folder with --backup-dir")
    }
  }

  package func path(_ name: String) -> String { "\(folder)/\(name)" }
  func metadataPath(_ id: PointID) -> String { path(".metadata/\(id).json") }

  private func loader() throws -> PointLoader {
    PointLoader(
      folder: folder, files: files, credentials: credentials, trust: try trust(), identity: storedIdentity(),
      pins: pins.entries())
  }

  /// Returns one backup of the database; nil if there is none. Costs one listing and the reading of
  /// its chain's links.
  func stored(_ id: PointID) throws -> StoredPoint? {
    let index = try index()
    guard var point = try index.point(id), try isOwn(point) else { return nil }
    guard point.isIncremental, !point.isDamaged, !point.archiveMissing else { return point }
    do {
      _ = try ChainWalk.chain(of: point) { try index.point($0) }
    } catch let broken as BrokenLink {
      point.breakChain(broken)
    }
    return point
  }

  /// Returns the backup of one archive, without a listing and without the problems of its chain.
  ///
  /// - Throws: `pointNotFound` if the archive is gone.
  func stored(in name: ArchiveName) throws -> StoredPoint {
    guard try files.status(path(name.text)) != nil else { throw HoldfastError.removed(name.id) }
    return try loader().load([name])
  }

  /// Returns the existing archives by ID, for look-ups of some of them.
  func index() throws -> RepositoryIndex {
    RepositoryIndex(
      names: Dictionary(grouping: try files.list(folder).compactMap { ArchiveName($0) }, by: \.id), loader: try loader()
    )
  }

  /// Returns the backups of every database, the oldest first, without the problems of chains. For
  /// the properties of the whole folder: names, sequence numbers, pins, trust.
  func everything(warns: Bool = false) throws -> [StoredPoint] {
    let index = try index()
    var points = try index.names.keys.compactMap { try index.point($0) }
    points += try orphans(index.names).compactMap { try index.loader.orphan($0) }
    points.sort { PointMetadata.precedes($0.metadata, $1.metadata) }
    guard warns else { return points }
    let unreadable = points.compactMap(\.unreadable)
    for error in unreadable.prefix(3) { logger.warning("\(error.message): that backup cannot be listed") }
    // An unreadable backup exists, so its number is not missing.
    if unreadable.isEmpty { numbers.warnOfRollback(points, index.loader) }
    return points
  }

  private func orphans(_ archives: [PointID: [ArchiveName]]) throws -> [PointID] {
    guard try files.status(path(".metadata")) != nil else { return [] }
    return try files.list(path(".metadata")).compactMap { name in
      name.hasSuffix(".json") ? PointID(String(name.dropLast(5))) : nil
    }.filter { archives[$0] == nil }
  }

  /// Returns this host's state, found by path or, if the repository was moved, by its ID.
  package func hostState() throws -> HostState? {
    try hostStates.load(path: folder) { storedIdentity()?.id.hex ?? anyRepositoryID() }
  }

  /// Returns the ID of the first archive that has one.
  private func anyRepositoryID() -> String? {
    for name in (try? files.list(folder)) ?? [] where ArchiveName(name)?.encrypted == true {
      if let id = repositoryID(ofArchive: name) { return id }
    }
    return nil
  }

  func storedIdentity() -> RepositoryIdentity? {
    guard let bytes = try? files.contents(path(".state/repository.json")) else { return nil }
    return JSONValue(parsing: bytes).flatMap { RepositoryIdentity($0) }
  }

  /// Returns the identity for the next archive: the stored one, or that of the newest archive's
  /// head, or a new one. Needs the exclusive lock.
  ///
  /// - Parameter points: of every database.
  /// - Throws: `refused` if this host knows a repository here, and neither its record nor an
  ///   archive of it is there.
  func identity(_ points: [StoredPoint], iterations: UInt32) throws -> RepositoryIdentity {
    let known = try hostState()?.repositoryIDs ?? []
    if let stored = storedIdentity(), known.isEmpty || known.contains(stored.id.hex) {
      // Other users may be able to write the file: it must not make new archives cheaper to guess.
      return RepositoryIdentity(id: stored.id, salt: stored.salt, iterations: max(stored.iterations, iterations))
    }
    let head = try newestHead(points, known: known)
    if head == nil, !known.isEmpty, let error = RepositoryPresence.away.error(folder, states: try stateFiles()) {
      throw error
    }
    let identity = try head.map { try RepositoryIdentity($0, iterations: iterations) } ?? .fresh(iterations: iterations)
    try files.replace(path(".state/repository.json"), with: identity.json.encoded())
    return identity
  }

  /// Returns the head of the newest authenticated archive that the key opens or, if it opens none
  /// of them, of the newest one.
  ///
  /// Anybody who can write the folder can add an archive that looks newer, so the key decides.
  ///
  /// - Parameters:
  ///   - points: the oldest first.
  ///   - known: only these repositories count; empty for any.
  func newestHead(_ points: [StoredPoint], known: Set<String>) throws -> SealedHeader? {
    var newest: SealedHeader?
    var costly: [SealedHeader] = []
    let identity = storedIdentity()
    for point in points.reversed()
    where point.metadata.cipher == .aes256GCM && !point.archiveMissing && !point.isDamaged {
      guard let head = try? head(of: point), known.isEmpty || known.contains(head.header.repositoryID.hex) else {
        continue
      }
      if credentials.isEmpty || opens(head, identity) { return head }
      if !head.isCheap(credentials, identity), head.isModest(credentials) { costly.append(head) }
      newest = newest ?? head
    }
    // The record of the repository's salt may be lost or replaced.
    return costly.prefix(Self.mostDerivations).first { (try? $0.unlock(credentials)) != nil } ?? newest
  }

  /// Checks that the newest backup opens with the password or key.
  ///
  /// - Parameter points: the oldest first.
  /// - Throws: `wrongKey`.
  func requireKey(toNewestOf points: [StoredPoint], _ identity: RepositoryIdentity) throws {
    guard let head = try newestHead(points, known: [identity.id.hex]) else { return }
    do {
      _ = try head.unlock(credentials)
    } catch let error as HoldfastError where [.wrongKey, .keyMissing].contains(error.code) {
      throw HoldfastError.wrongKey(forNewest: head.header.id, of: self)
    }
  }

  /// Nil for an archive without a head.
  func head(of point: StoredPoint) throws -> SealedHeader? {
    let file = try files.open(path(point.name.text), .readNoFollow)
    defer { files.close(file) }
    return try SealedHeader(file, files)
  }

  /// Whether the key opens an archive and proves its header. If an archive needs a key derivation
  /// of its own, it is not tried: anybody can write one.
  func opens(_ head: SealedHeader, _ identity: RepositoryIdentity?) -> Bool {
    head.isCheap(credentials, identity) && (try? head.unlock(credentials)) != nil
  }

  private static let mostDerivations = 8

  /// Stores a backup's metadata. A failure leaves the old one.
  ///
  /// - Throws: also if existing metadata cannot be read, because its record must not be lost.
  func write(_ metadata: PointMetadata, durable: Bool = true) throws {
    let path = metadataPath(metadata.id)
    if try files.status(path)?.kind == .regular { files.close(try files.open(path, .read)) }
    try files.replace(metadataPath(metadata.id), with: metadata.json.encoded(), durable: durable)
  }
}

/// How a new repository is begun at a path at which this host knows another one.
package struct NewBeginning: Sendable {
  /// Of the derivation of a key from a password.
  package var iterations: UInt32
  /// How long to wait for the lock of the repository.
  package var patience: LockPatience

  package init(iterations: UInt32, patience: LockPatience = LockPatience(milliseconds: 30000)) {
    (self.iterations, self.patience) = (iterations, patience)
  }
}

/// The archives of a repository by ID, as one listing found them.
struct RepositoryIndex {
  let names: [PointID: [ArchiveName]]
  let loader: PointLoader

  /// Nil if there is neither an archive nor metadata.
  func point(_ id: PointID) throws -> StoredPoint? {
    guard let archives = names[id] else { return try loader.orphan(id) }
    return try loader.load(archives.sorted { $0.text > $1.text })
  }
}

/// The steps that storing a full and storing an incremental share. All of them need the exclusive
/// lock.
extension Repository {
  /// Stores the metadata that a listing derived from archives, with their checksums. It does so
  /// once, because it reads the archives.
  func storeDerived(_ points: [StoredPoint]) {
    for var point in points where point.needsRewrite {
      if point.metadata.checksum == nil { point.metadata.checksum = try? checksum(ofArchive: point.name.text) }
      try? write(point.metadata, durable: false)
    }
  }

  /// Records trust before the commit. The first authenticated backup seals the repository, and a
  /// backup without authentication in a sealed one is recorded. In the opposite order, a crash in
  /// between would leave a backup that this host does not trust.
  ///
  /// - Parameters:
  ///   - points: of every database.
  ///   - sealed: the repository's ID, for an authenticated backup.
  func rememberTrust(_ metadata: PointMetadata, _ points: [StoredPoint], sealed repositoryID: String?) throws {
    let trust = try trust()
    var state = trust.state ?? HostState(repositoryPath: folder)
    let before = state
    state.repositoryPath = folder
    if let repositoryID {
      // If the folder was sealed before this host saw it, old plain archives cannot be
      // distinguished from planted ones.
      for point in points where !trust.isSealed {
        if let checksum = try checksum(of: point) { state.accept(point.id, checksum: checksum) }
      }
      state.sealed = true
      state.use(repositoryID)
    } else if trust.isSealed, let checksum = metadata.checksum {
      state.accept(metadata.id, checksum: checksum)
    }
    if state != before { try save(state) }
  }

  /// Makes a backup this host's own because a person confirmed it. Needs the exclusive lock.
  func rememberAsOwn(_ point: StoredPoint) throws {
    var state = try hostState() ?? HostState(repositoryPath: folder)
    state.repositoryPath = folder
    if point.metadata.cipher == .aes256GCM, let head = try head(of: point) {
      _ = try head.unlock(credentials)
      state.know(head.header.repositoryID.hex)
    } else {
      state.accept(point.id, checksum: try checksum(ofArchive: point.name.text))
    }
    try save(state)
  }

  /// Returns the checksum of a plain or CBC backup from before the seal, and computes it if it is
  /// not recorded.
  private func checksum(of point: StoredPoint) throws -> String? {
    guard point.metadata.cipher != .aes256GCM, !point.archiveMissing else { return nil }
    return try point.metadata.checksum ?? checksum(ofArchive: point.name.text)
  }

  /// Reads the whole file.
  func checksum(ofArchive name: String) throws -> String {
    let file = try files.open(path(name), .readNoFollow)
    defer { files.close(file) }
    return try HashingFileReader(file, files).finish().hex
  }
}
