import BackupPolicy
import Glibc
import Logging

/// A backup directory: its points, their metadata, its locks and what this host remembers of it.
///
/// Reading needs no lock, for every change is a rename. Whoever stores or removes holds ``exclusively(_:)``.
package final class Repository: Sendable {
  /// The folder with symbolic links resolved, so that one repository has one name.
  package let folder: String
  package let files: any FileOperations
  let hostStates: HostStateStore
  let credentials: Credentials
  let logger: Logger

  /// Opens a repository.
  ///
  /// - Parameters:
  ///   - folder: the backup directory.
  ///   - create: makes it where it is missing.
  /// - Throws: `pointNotFound` where it is missing and not to be made.
  package init(
    _ folder: String, create: Bool, credentials: Credentials, hostStates: HostStateStore, files: any FileOperations,
    logger: Logger
  ) throws {
    // Something else at that path is told as such below, not as a failure inside it.
    if create, try files.status(folder)?.kind ?? .folder == .folder {
      try files.makeFolders(folder)
      for name in [".metadata", ".state"] where try files.status("\(folder)/\(name)") == nil {
        try files.makeFolder("\(folder)/\(name)")
        try files.syncFolder(folder)
      }
    }
    guard let status = try files.status(folder) else {
      throw HoldfastError(
        .pointNotFound, "there is no backup folder \(folder)",
        hint: "holdfast create makes it, or --backup-dir names another one")
    }
    guard status.kind == .folder else {
      throw HoldfastError(.failed, "\(folder) is not a folder", hint: "--backup-dir names the folder of backups")
    }
    self.folder = folder.resolvingLinks
    self.files = files
    self.hostStates = hostStates
    self.credentials = credentials
    self.logger = logger
  }

  package func path(_ name: String) -> String { "\(folder)/\(name)" }
  func metadataPath(_ id: PointID) -> String { path(".metadata/\(id).json") }

  private func loader() throws -> PointLoader {
    PointLoader(
      folder: folder, files: files, credentials: credentials, state: try hostState(),
      knownSalt: storedIdentity()?.salt, pins: pins.entries())
  }

  /// One point; nil where there is none. Costs one listing, and what the links of its chain cost.
  func stored(_ id: PointID) throws -> StoredPoint? {
    let index = try index()
    guard var point = try index.point(id) else { return nil }
    guard point.isIncremental, !point.isDamaged, !point.archiveMissing else { return point }
    do {
      _ = try ChainWalk.chain(of: point) { try index.point($0) }
    } catch let broken as BrokenLink {
      point.breakChain(broken)
    }
    return point
  }

  /// The archives that are there now, by ID, to look some of them up.
  func index() throws -> RepositoryIndex {
    RepositoryIndex(
      names: Dictionary(grouping: try files.list(folder).compactMap { ArchiveName($0) }, by: \.id), loader: try loader()
    )
  }

  /// All points, oldest first, each with what is odd about it.
  ///
  /// - Parameter warns: says aloud where points are missing that this host stored; not while it removes some itself.
  package func points(warns: Bool = true) throws -> [StoredPoint] {
    let index = try index()
    var points = try index.names.keys.compactMap { try index.point($0) }
    points += try orphans(index.names).compactMap { try index.loader.orphan($0) }
    points.sort { PointMetadata.precedes($0.metadata, $1.metadata) }
    points.settleChains()
    if warns { warnOfRollback(points, index.loader.state) }
    return points
  }

  /// Whoever can write the repository can take points away; this host remembers what it stored last.
  private func warnOfRollback(_ points: [StoredPoint], _ state: HostState?) {
    let newest = points.compactMap(\.metadata.sequence).max() ?? 0
    guard let state, state.sealed, newest < state.expectedSequence else { return }
    logger.warning(
      "the newest point of \(folder) is number \(newest), and this host stored number \(state.expectedSequence): points were deleted elsewhere, withheld, or the folder was rolled back"
    )
  }

  private func orphans(_ archives: [PointID: [ArchiveName]]) throws -> [PointID] {
    guard try files.status(path(".metadata")) != nil else { return [] }
    return try files.list(path(".metadata")).compactMap { name in
      name.hasSuffix(".json") ? PointID(String(name.dropLast(5))) : nil
    }.filter { archives[$0] == nil }
  }

  /// What this host remembers, found by path or, where the repository was moved, by its ID.
  package func hostState() throws -> HostState? {
    try hostStates.load(path: folder) { storedIdentity()?.id.hex ?? anyRepositoryID() }
  }

  /// From the first archive that has one.
  private func anyRepositoryID() -> String? {
    for name in (try? files.list(folder)) ?? [] where ArchiveName(name)?.encrypted == true {
      guard let file = try? files.open(path(name), .readNoFollow) else { continue }
      defer { files.close(file) }
      if let head = try? SealedHeader(file, files) { return head.header.repositoryID.hex }
    }
    return nil
  }

  func storedIdentity() -> RepositoryIdentity? {
    guard let bytes = try? files.contents(path(".state/repository.json")) else { return nil }
    return JSONValue(parsing: bytes).flatMap { RepositoryIdentity($0) }
  }

  /// The identity for the next archive: stored, or from the newest archive's head, or new. Needs the exclusive lock.
  func identity(_ points: [StoredPoint], iterations: UInt32) throws -> RepositoryIdentity {
    let known = try hostState()?.repositoryID
    if let stored = storedIdentity(), known == nil || known == stored.id.hex {
      // The file lies where others may write: it must not make new archives cheaper to guess.
      return RepositoryIdentity(id: stored.id, salt: stored.salt, iterations: max(stored.iterations, iterations))
    }
    let identity =
      try newestHead(points, known: known).map { try RepositoryIdentity($0, iterations: iterations) }
      ?? .fresh(iterations: iterations)
    try files.replace(path(".state/repository.json"), with: identity.json.encoded())
    return identity
  }

  func newestHead(_ points: [StoredPoint], known: String?) throws -> SealedHeader? {
    for point in points.reversed()
    where point.metadata.cipher == .aes256GCM && !point.archiveMissing && !point.isDamaged {
      let file = try files.open(path(point.name.text), .readNoFollow)
      defer { files.close(file) }
      guard let head = try? SealedHeader(file, files) else { continue }
      if known == nil || head.header.repositoryID.hex == known { return head }
    }
    return nil
  }

  /// Stores a point's metadata. A failure leaves the old one.
  ///
  /// - Throws: also if there is metadata that cannot be read: what it records must not be lost.
  func write(_ metadata: PointMetadata, durable: Bool = true) throws {
    let path = metadataPath(metadata.id)
    if try files.status(path)?.kind == .regular { files.close(try files.open(path, .read)) }
    try files.replace(metadataPath(metadata.id), with: metadata.json.encoded(), durable: durable)
  }
}

/// The archives of a repository by ID, as one listing found them.
struct RepositoryIndex {
  let names: [PointID: [ArchiveName]]
  let loader: PointLoader

  /// Nil where there is neither an archive nor metadata.
  func point(_ id: PointID) throws -> StoredPoint? {
    guard let archives = names[id] else { return try loader.orphan(id) }
    return try loader.load(archives.sorted { $0.text > $1.text })
  }
}
