import BackupPolicy
import SQLitePages

/// Stores a full backup of a live database.
///
/// Order of the durable steps: temporary file, flush, this host's memory (seal or checksum), rename, flush of the folder,
/// metadata. The rename is the commit; everything after it can be made anew from the archive.
struct BackupCreator {
  let repository: Repository
  let database: String
  let environment: EngineEnvironment
  let progress: Progress

  private var files: any FileOperations { environment.files }

  /// Makes one backup; returns its metadata, where in the database's history it stands, and what it found as an auditor.
  ///
  /// - Parameter follower: says what changed since the newest point, for the audit.
  func create(
    _ request: CreateRequest, for follower: Follower? = nil
  ) throws -> (metadata: PointMetadata, position: SnapshotPosition, audit: AuditOutcome) {
    try request.requireKey(repository.credentials)
    let started = environment.monotonic()
    // Opened before the lock is taken: a missing database must not leave a trace in the repository.
    let connection = try onDatabase {
      try follower?.connect()
        ?? DatabaseConnection(path: database, access: .observer, busyTimeout: environment.busyTimeout)
    }
    defer { if follower == nil { environment.close(connection) } }
    if let links = HardLinks(of: connection.resolvedPath), !links.areHarmless {
      let others = links.beside.isEmpty ? "" : " (\(links.beside.joined(separator: ", ")))"
      environment.logger.warning(
        "\(database) has more than one name\(others): what is in a log or journal of another name is not backed up",
        metadata: ["hint": "open the database by one name only, and remove the others"])
    }
    return try repository.exclusively(patience: environment.repositoryPatience) {
      let listing = try repository.listingToStore()
      repository.storeDerived(listing.all)
      let parent = repository.newestParent(of: listing.own)
      var changes = ChangedPages.unknown
      return try withSource(connection) { snapshot in
        changes = follower?.changes(parent.map { IncrementalParent($0) }, snapshot) ?? .unknown
      } _: { source, content, position in
        var metadata = try describe(request, listing, source, content, connection.resolvedPath)
        let audit = try store(
          &metadata, request, listing.all, source, content, audit: audit(parent, changes), started: started)
        return (metadata, position, audit)
      }
    }
  }

  /// Nil where nobody knows what changed since the newest point.
  private func audit(_ parent: StoredPoint?, _ changes: ChangedPages) -> FullAudit? {
    guard let parent, case .superset(let pages) = changes else { return nil }
    return FullAudit(repository: repository, environment: environment, parent: parent, followed: pages)
  }

  /// Gives `body` an image that does not change: the snapshot itself, or a raw copy where holding it would block writers.
  ///
  /// - Parameter look: called with the snapshot before anything is read from it.
  private func withSource<Result>(
    _ connection: DatabaseConnection, _ look: (DatabaseSnapshot) -> Void,
    _ body: (any ImageSource, DatabaseContent, SnapshotPosition) throws -> Result
  ) throws -> Result {
    let folder = try repository.scratchFolder()
    let snapshot = try onDatabase {
      try DatabaseSnapshot(connection, scratchPath: "\(folder)/.tmp-copy", patience: Int(environment.busyTimeout))
    }
    defer { snapshot.end() }
    look(snapshot)
    guard snapshot.blocksWriters else {
      let content = DatabaseContent.read(connection)
      return try body(SnapshotSource(snapshot: snapshot), content, snapshot.position)
    }
    return try Leftovers.withFile("\(folder)/.tmp-stage", files, .createPrivate) { file in
      defer { try? files.unlink(file.path) }
      let source = SnapshotSource(snapshot: snapshot)
      try source.copy(to: file, files, progress, as: "copying")
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
      attributes: try environment.files.status(resolvedPath)?.attributes)
    var metadata = request.metadata(
      Repository.unusedID(at: now, among: listing.all.map(\.id)), sequence: try repository.nextSequence(listing.all),
      payload, of: shape, environment, created: now)
    metadata.otherPaths = listing.otherPaths
    metadata.originalSize = source.imageSize
    metadata.schemaVersion = content.schemaVersion
    guard payload != .raw else { return metadata }
    metadata.describe(content)
    metadata.anomalies = try repository.anomalies(of: metadata, after: ContentHistory(listing.own), now: now)
    metadata.settleAnomaly()
    return metadata
  }
}
