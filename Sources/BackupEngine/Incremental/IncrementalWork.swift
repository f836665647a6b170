import BackupPolicy
import SQLitePages

/// The making of one incremental, under the repository's exclusive lock.
///
/// Order of the durable steps: temporary file, flush, rename, flush of the folder; that is all. The page hashes, the metadata
/// and this host's memory follow without a flush, for each can be made anew.
struct IncrementalWork {
  let session: IncrementalSession
  let tip: ChainTip
  let request: CreateRequest
  let progress: Progress
  let snapshot: DatabaseSnapshot
  /// Read when the snapshot began.
  let content: DatabaseContent
  let started: Int64

  var repository: Repository { session.repository }
  var environment: EngineEnvironment { session.environment }
  var files: any FileOperations { environment.files }
  var source: SnapshotSource { SnapshotSource(snapshot: snapshot) }

  /// The outcome, and the tip for the next one; nil where that must be looked for.
  func run(_ changes: ChangedPages, _ kind: RequestedKind) throws -> (IncrementalOutcome, ChainTip?) {
    let begun = environment.monotonic()
    let shape = DatabaseShape(
      path: snapshot.connection.resolvedPath, pageSize: source.pageSize, pageCount: source.pageCount,
      attributes: try files.status(snapshot.connection.resolvedPath)?.attributes)
    var facts = ChainFacts(requested: kind, backupType: request.backupType, protection: request.protection)
    facts.parent = tip.facts
    facts.database = shape
    if case .full(let reason) = ChainPolicy.decide(facts) { return (.fullNeeded(reason: reason), tip) }
    let table: PageDigests
    do {
      table = try currentTable()
    } catch let failure as ChainFailure {
      return (.fullNeeded(reason: failure.error(for: tip.id).message), nil)
    }
    return try withChanges(changes, table) { detected, pages in
      session.detecting = environment.monotonic() - begun
      guard !detected.pages.isEmpty || shape.pageCount != tip.state.pageCount else {
        return (.unchanged(since: tip.parent, snapshot.position), tip)
      }
      return try store(detected, pages, shape, table)
    }
  }

  /// The table of the parent's page hashes: the open one, the stored one, or a new one from the parent's chain.
  private func currentTable() throws -> PageDigests {
    if let table = session.table, table.header == tip.state { return table }
    if let table = try PageDigests.open(tip.state, in: repository) { return table }
    environment.logger.info("the page hashes of \(tip.id) are missing or of another state; they are made anew")
    try PageDigestsRebuild(repository: repository, environment: environment, progress: progress).run(tip)
    guard let table = try PageDigests.open(tip.state, in: repository) else {
      throw HoldfastError(.failed, "the page hashes of \(tip.id) could not be stored in \(repository.folder)/.state")
    }
    return table
  }

  /// Compares, and gives `body` the pages that differ: from the snapshot itself or, where holding it would block writers, from
  /// a copy of just those pages.
  private func withChanges<Result>(
    _ changes: ChangedPages, _ table: PageDigests,
    _ body: (DetectedChanges, any ChangedPageSource) throws -> Result
  ) throws -> Result {
    var detection = ChangeDetection(source: source, table: table, secret: tip.secret, progress: progress)
    guard snapshot.blocksWriters else {
      let kept = KeptPages(pageSize: source.pageSize)
      detection.copy = kept.add
      let detected = try detection.run(changes)
      guard kept.isWhole else { return try body(detected, SnapshotPages(snapshot: source)) }
      // A checkpoint of the application's need not wait until the archive is flushed.
      snapshot.end()
      return try body(detected, kept)
    }
    return try Leftovers.withFile("\(repository.scratchFolder())/.tmp-stage", files, .createPrivate) { file in
      defer { try? files.unlink(file.path) }
      var size: Int64 = 0
      detection.copy = { page in
        try files.write(file, page, at: size)
        size += Int64(page.count)
      }
      let detected = try detection.run(changes)
      snapshot.end()
      return try body(detected, StagedPages(file: file, files: files, pageSize: source.pageSize))
    }
  }
}
