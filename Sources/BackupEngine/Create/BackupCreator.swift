import BackupPolicy
import Glibc
import SQLitePages

/// A stored full.
package struct StoredFull: Sendable {
  package var metadata: PointMetadata
  /// Its position in the database's history.
  package var position: SnapshotPosition
  package var audit: AuditOutcome
}

/// Stores a full backup of a live database.
///
/// Order of the durable steps: temporary file, flush, this host's state (seal or checksum), rename,
/// flush of the folder, metadata. The rename is the commit; everything after it can be made anew
/// from the archive.
struct BackupCreator {
  let repository: Repository
  let database: String
  let environment: EngineEnvironment
  let progress: Progress

  private var files: any FileOperations { environment.files }

  /// Stores a full of a database that was not followed.
  func create(_ request: CreateRequest) throws -> StoredFull {
    try request.archive.requireKey(repository.credentials)
    let started = environment.monotonic()
    // Opened before the lock is taken: a missing database must not leave a trace in the repository.
    let connection = try onDatabase {
      try DatabaseConnection(path: database, access: .observer, busyTimeout: environment.busyTimeout)
    }
    defer { environment.close(connection) }
    var tracker = ChangeTracker()
    return try create(request, .given(.unknown), on: connection, &tracker, started: started)
  }

  /// Stores a full, and audits the recorded changes since the newest backup. The tracker starts
  /// anew from the full.
  ///
  /// - Parameter connection: stays open.
  func create(
    _ request: CreateRequest, _ candidates: ChangeCandidates, on connection: DatabaseConnection,
    _ tracker: inout ChangeTracker, started: Int64
  ) throws -> StoredFull {
    try request.archive.requireKey(repository.credentials)
    warnOfOtherNames(connection)
    let lock = try repository.lock(patience: environment.repositoryPatience.stopped(by: progress))
    defer { lock.end() }
    let listing = try repository.listingToStore(isSafety: request.reason.type == .safety, progress)
    repository.storeDerived(listing.all)
    let parent = repository.newestParent(of: listing.own)
    var changes = ChangedPages.unknown
    var position: TrackerPosition?
    let stored = try withSource(connection) { snapshot in
      position = TrackerPosition(snapshot)
      if let parent { changes = candidates.pages(since: parent.id, snapshot, &tracker).0 }
    } _: { source, content, position in
      var metadata = try describe(request, listing, source, content, connection.resolvedPath)
      let audit = try store(
        &metadata, request.archive, listing.all, source, content, audit: audit(parent, changes), started: started)
      return StoredFull(metadata: metadata, position: position, audit: audit)
    }
    if let position { tracker.begin(stored.metadata.id, stored.metadata.digest, at: position) }
    return stored
  }

  private func warnOfOtherNames(_ connection: DatabaseConnection) {
    if let links = HardLinks(of: connection.resolvedPath), !links.areHarmless {
      let others = links.beside.isEmpty ? "" : " (\(links.beside.joined(separator: ", ")))"
      environment.logger.warning(
        "\(database) has more than one name\(others): the content of a log or journal of another name is not backed up",
        metadata: ["hint": "open the database by one name only, and remove the others"])
    }
  }

  /// Nil if the changes since the newest backup are unknown.
  private func audit(_ parent: StoredPoint?, _ changes: ChangedPages) -> FullAudit? {
    guard let parent, case .superset(let pages) = changes else { return nil }
    return FullAudit(repository: repository, environment: environment, parent: parent, followed: pages)
  }

  /// Gives `body` an image that does not change: the snapshot itself or, if an open snapshot would
  /// block writers, a raw copy.
  ///
  /// - Parameter look: called with the snapshot before anything is read from it.
  private func withSource<Result>(
    _ connection: DatabaseConnection, _ look: (DatabaseSnapshot) -> Void,
    _ body: (any ImageSource, DatabaseContent, SnapshotPosition) throws -> Result
  ) throws -> Result {
    let scratch = try repository.scratch()
    let snapshot = try onDatabase {
      try DatabaseSnapshot(connection, scratchPath: scratch.path(.copy), patience: Int(environment.busyTimeout))
    }
    defer { snapshot.end() }
    look(snapshot)
    guard snapshot.blocksWriters else {
      let content = DatabaseContent.read(connection)
      return try body(SnapshotSource(snapshot: snapshot), content, snapshot.position)
    }
    return try scratch.withFile(.stage) { file in
      let source = SnapshotSource(snapshot: snapshot)
      try source.copy(to: file, files, progress, as: .copying)
      snapshot.end()
      let staged = try onDatabase { try DatabaseConnection(path: file.path, access: .readOnly) }
      defer { staged.close() }
      let content = DatabaseContent.read(staged)
      return try body(
        StagedSource(file: file, files: files, pageSize: source.pageSize, pageCount: source.pageCount), content,
        snapshot.position)
    }
  }

  func describe(
    _ request: CreateRequest, _ listing: RepositoryListing, _ source: any ImageSource, _ content: DatabaseContent,
    _ resolvedPath: String, as payload: ArchiveName.Content = .database
  ) throws -> PointMetadata {
    let now = environment.now()
    let shape = DatabaseShape(
      path: resolvedPath, pageSize: source.pageSize, pageCount: source.pageCount,
      attributes: try environment.files.attributes(ofDatabase: resolvedPath))
    var metadata = request.metadata(
      BackupNumbers.unusedID(at: now, among: listing.all.map(\.id)),
      sequence: try repository.numbers.next(after: listing.all),
      payload, of: shape, environment, created: now)
    metadata.otherPaths = listing.otherPaths
    metadata.originalSize = source.imageSize
    metadata.schemaVersion = content.schemaVersion
    guard payload != .raw else { return metadata }
    metadata.describe(content)
    metadata.anomalies = try repository.anomalies(of: metadata, after: ContentHistory(listing.own), now: now)
    metadata.resolveAnomaly()
    return metadata
  }
}

extension BackupCreator {
  /// Writes the archive and commits it; completes the metadata with the values that are known only
  /// at the end.
  @discardableResult
  func store(
    _ metadata: inout PointMetadata, _ options: ArchiveOptions, _ points: [StoredPoint], _ source: any ImageSource,
    _ content: DatabaseContent, audit: FullAudit? = nil, started: Int64
  ) throws -> AuditOutcome {
    let seal = try options.protection == .aes256GCM ? prepareSeal(points) : nil
    metadata.repositoryID = seal?.identity.id.hex
    let table = makeTable(metadata, options)
    defer { table?.discard() }
    var judgement = AuditOutcome.notAudited("the changes since the newest backup were not tracked")
    let archive = try Leftovers.withFile(repository.path(".tmp-\(metadata.id)"), files) { file in
      let archive = try write(file, metadata, options, source, content, seal, table)
      try files.sync(file)
      metadata.checksum = archive.checksum.hex
      if let audit { judgement = judge(audit, table, source, seal) }
      try repository.rememberTrust(metadata, points, sealed: metadata.repositoryID)
      try files.rename(file.path, to: repository.path(metadata.filename))
      return archive
    }
    try files.syncFolder(repository.folder)
    metadata.compressedSize = archive.size
    metadata.tableCounts = archive.tableCounts
    metadata.totalRecords = archive.tableCounts?.total
    metadata.digest = archive.digest.hex
    metadata.durationMS = environment.monotonic() - started
    finish(metadata)
    put(table, metadata, digest: archive.digest)
    return judgement
  }

  private func judge(
    _ audit: FullAudit, _ table: PageDigestsWriter?, _ source: any ImageSource, _ seal: RepositorySeal?
  ) -> AuditOutcome {
    guard let table else { return .notAudited("the page hashes were not stored") }
    let key = seal?.digestKey.withBytes { Array($0) } ?? []
    return audit.judge(table, pageSize: source.pageSize, pageCount: source.pageCount, digestKey: key)
  }

  /// Makes the table of page hashes for the next incremental; nil if no incremental may build on
  /// the backup.
  private func makeTable(_ metadata: PointMetadata, _ options: ArchiveOptions) -> PageDigestsWriter? {
    guard metadata.mayBeParent, options.protection != .aes256CBC,
      let pageSize = metadata.pageSize, pageSize > 0
    else { return nil }
    // Without the table, the next incremental costs more, and nothing else changes.
    return try? PageDigestsWriter(in: repository, pageSize: pageSize)
  }

  private func put(_ table: PageDigestsWriter?, _ metadata: PointMetadata, digest: [UInt8]) {
    guard let table, let pageSize = metadata.pageSize, let pageCount = metadata.pageCount else { return }
    let header = PageDigestsHeader(point: metadata.id, digest: digest, pageSize: pageSize, pageCount: pageCount)
    do {
      try table.commit(header, in: repository)
    } catch {
      environment.logger.warning(
        "the page hashes of \(metadata.id) were not stored; they will be computed again: \(error)")
    }
  }

  /// After the commit nothing may fail the backup. The data written here is derived, and if it is
  /// missing, it is derived again.
  private func finish(_ metadata: PointMetadata) {
    do {
      try repository.write(metadata)
    } catch {
      environment.logger.warning("the metadata of \(metadata.id) was not stored; it will be derived: \(error)")
    }
    guard let sequence = metadata.sequence else { return }
    do {
      try repository.numbers.remember(sequence)
    } catch {
      environment.logger.warning("this host's record of \(repository.folder) was not updated: \(error)")
    }
  }

  private func prepareSeal(_ points: [StoredPoint]) throws -> RepositorySeal {
    let identity = try repository.identity(points, iterations: environment.passwordIterations)
    let seal = try RepositorySeal(identity, repository.credentials)
    try repository.requireKey(toNewestOf: points, identity)
    return seal
  }

  private func write(
    _ file: OpenFile, _ metadata: PointMetadata, _ options: ArchiveOptions, _ source: any ImageSource,
    _ content: DatabaseContent, _ seal: RepositorySeal?, _ table: PageDigestsWriter?
  ) throws -> WrittenArchive {
    let output = try HashingFileWriter(file, files)
    let sink: any PayloadSink
    if let seal {
      let sealed = try seal.seal(header(metadata, seal.identity))
      try output.write(sealed.head.encoded)
      sink = try GCMSink(output, payloadKey: sealed.payloadKey)
    } else if options.encrypt {
      sink = try CBCSink(output, credentials: repository.credentials)
    } else {
      sink = PlainSink(output)
    }
    let secret = try seal.map { try PageDigest.Secret(key: $0.digestKey) } ?? .standard
    let writer = ArchiveWriter(
      source, level: options.compress ? options.level : nil, secret: secret, tableRoots: content.tableRoots,
      table: table, progress: progress)
    return try writer.write(to: sink, file: output, digestKey: seal?.digestKey.withBytes { Array($0) } ?? [])
  }

  private func header(_ metadata: PointMetadata, _ identity: RepositoryIdentity) -> ArchiveHeader {
    ArchiveHeader(
      repositoryID: identity.id, sequence: metadata.sequence ?? 1, created: metadata.created,
      pageSize: UInt32(metadata.pageSize ?? 0), kind: metadata.kind == .raw ? .raw : .full,
      compressed: metadata.compressed, parentDigest: [UInt8](repeating: 0, count: 16), id: metadata.id, parentID: nil,
      fields: ArchiveHeader.fields(of: metadata))
  }
}

extension Repository {
  /// Returns the backup on which an incremental would build, or whose condition explains why it
  /// cannot: the newest one of the database's own history.
  ///
  /// Anybody who can write the folder could have added some files. So these are skipped: metadata
  /// without an archive, archives without authentication, and those that the key does not open
  /// while it opens others.
  ///
  /// - Parameter points: the database's, the oldest first.
  func newestParent(of points: [StoredPoint]) -> StoredPoint? {
    let identity = storedIdentity()
    let parents = points.reversed().filter { $0.metadata.mayBeParent && $0.isAuthenticated && !$0.archiveMissing }
    let proven = parents.first { point in
      guard point.metadata.cipher == .aes256GCM, !credentials.isEmpty, !point.isDamaged else { return true }
      return (try? head(of: point)).flatMap { $0 }.map { opens($0, identity) } ?? false
    }
    return proven ?? parents.first
  }
}

extension PointMetadata {
  /// Whether incrementals may build on it: a backup of the database's own history, not one that a
  /// restore or a guard made.
  var mayBeParent: Bool { kind != .raw && !backupType.isSafety }
}

/// The identity and keys that seal a repository's next archives; made once, because it may cost a
/// key derivation.
struct RepositorySeal {
  let identity: RepositoryIdentity
  let digestKey: SecretBytes
  private let secrets: ArchiveSecrets

  init(_ identity: RepositoryIdentity, _ credentials: Credentials) throws {
    self.identity = identity
    secrets = try ArchiveSecrets(credentials, salt: identity.salt, iterations: identity.iterations)
    digestKey = try secrets.digestKey(repositoryID: identity.id)
  }

  /// Returns the head and the keys of one new archive.
  func seal(_ header: ArchiveHeader) throws -> ArchiveSeal {
    let fileKey = SecretBytes(try SecretBytes.random(32))
    let head = try SealedHeader(header, fileKey: fileKey, secrets: secrets)
    return ArchiveSeal(head: head, payloadKey: try head.payloadKey(fileKey))
  }
}

/// The head and the payload key of one authenticated archive.
struct ArchiveSeal {
  var head: SealedHeader
  var payloadKey: SecretBytes
}
