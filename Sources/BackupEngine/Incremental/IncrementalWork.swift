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
      attributes: try files.attributes(ofDatabase: snapshot.connection.resolvedPath))
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

extension IncrementalWork {
  /// Writes and commits the archive, then what is derived from it.
  func store(
    _ detected: DetectedChanges, _ pages: any ChangedPageSource, _ shape: DatabaseShape, _ table: PageDigests
  ) throws -> (IncrementalOutcome, ChainTip?) {
    var metadata = try describe(detected, shape)
    let archive = try Leftovers.withFile(repository.path(".tmp-\(metadata.id)"), files) { file in
      let archive = try write(file, metadata, detected, pages)
      try files.sync(file)
      metadata.checksum = archive.checksum.hex
      if tip.seal == nil { try repository.rememberTrust(metadata, [], sealed: nil) }
      try files.rename(file.path, to: repository.path(metadata.filename))
      return archive
    }
    try files.syncFolder(repository.folder)
    metadata.compressedSize = archive.size
    metadata.durationMS = environment.monotonic() - started
    let state = PageDigestsHeader(
      point: metadata.id, digest: detected.digest, pageSize: shape.pageSize, pageCount: shape.pageCount)
    finish(metadata)
    keep(table, state, detected)
    return (.stored(metadata, snapshot.position), try? nextTip(metadata, state))
  }

  private func describe(_ detected: DetectedChanges, _ shape: DatabaseShape) throws -> PointMetadata {
    let now = environment.now()
    let id =
      try tip.numbers.unusedID(at: now)
      ?? Repository.unusedID(at: now, among: repository.everything().map(\.id))
    var metadata = request.metadata(
      id, sequence: tip.numbers.nextSequence, .pages, of: shape, environment, created: now)
    metadata.kind = .incremental
    metadata.otherPaths = tip.otherPaths
    metadata.parentID = tip.id
    metadata.chainID = tip.chainID
    metadata.repositoryID = tip.seal?.identity.id.hex
    metadata.pagesStored = UInt32(detected.pages.count)
    metadata.digest = detected.digest.hex
    metadata.describe(content)
    metadata.anomalies = try repository.anomalies(of: metadata, after: tip.history, now: now)
    metadata.settleAnomaly()
    metadata.schemaVersion = content.schemaVersion
    return metadata
  }

  private func header(_ metadata: PointMetadata, _ detected: DetectedChanges) -> ArchiveHeader {
    var header = ArchiveHeader(
      repositoryID: tip.seal?.identity.id ?? [UInt8](repeating: 0, count: 16), sequence: metadata.sequence ?? 1,
      created: metadata.created, pageSize: UInt32(metadata.pageSize ?? 0), kind: .incremental,
      compressed: metadata.compressed, parentDigest: tip.state.digest, id: metadata.id, parentID: tip.id,
      fields: ArchiveHeader.fields(of: metadata))
    guard tip.seal == nil else { return header }
    header.isSealed = false
    header.setImage(
      pageCount: metadata.pageCount ?? 0, pagesStored: UInt32(detected.pages.count), digest: detected.digest)
    return header
  }

  private func write(
    _ file: OpenFile, _ metadata: PointMetadata, _ detected: DetectedChanges, _ pages: any ChangedPageSource
  ) throws -> (size: Int64, checksum: [UInt8]) {
    let output = try HashingFileWriter(file, files)
    let header = header(metadata, detected)
    var sink: any PayloadSink = PlainSink(output)
    if let seal = try tip.seal?.seal(header) {
      try output.write(seal.head.encoded)
      sink = try GCMSink(output, payloadKey: seal.payloadKey)
    }
    let writer = PagesWriter(
      plainHead: try tip.seal == nil ? PlainHead.encode(header) : [], pages: detected.pages, pages,
      level: request.compress ? request.level : nil, progress: progress)
    return try writer.write(to: sink, file: output) { order in
      ArchiveTrailer(
        imageSize: UInt64(metadata.originalSize ?? 0), payloadSize: order.written, pageCount: metadata.pageCount ?? 0,
        digest: detected.digest, digestKey: tip.seal?.digestKey.withBytes { Array($0) } ?? [],
        memberStride: order.index.stride, memberOffsets: order.index.offsets, tableCounts: nil,
        pagesStored: UInt32(detected.pages.count))
    }
  }

  /// The archive and its folder are flushed: only now may the page hashes move on.
  private func keep(_ table: PageDigests, _ state: PageDigestsHeader, _ detected: DetectedChanges) {
    session.table = nil
    do {
      try table.update(to: state, detected.pages, detected.hashes)
      session.table = table
    } catch {
      environment.logger.warning("the page hashes of \(state.point) were not stored; they will be made anew: \(error)")
    }
  }

  /// After the commit nothing may fail the backup: what is written here is derived, and derived again when it is missing.
  private func finish(_ metadata: PointMetadata) {
    do {
      try repository.write(metadata, durable: false)
      if let sequence = metadata.sequence, tip.seal != nil { try remember(sequence) }
    } catch {
      environment.logger.warning("what is derived of \(metadata.id) was not stored; it will be derived again: \(error)")
    }
  }

  /// This host's memory is flushed, for it must never be damaged; so it is not written for every incremental.
  private func remember(_ sequence: UInt64) throws {
    let now = environment.monotonic()
    if let last = session.remembered, now - last < 60_000 { return }
    try repository.rememberNewest(sequence)
    session.remembered = now
  }

  private func nextTip(_ metadata: PointMetadata, _ state: PageDigestsHeader) throws -> ChainTip {
    var next = tip
    next.id = metadata.id
    next.sequence = metadata.sequence ?? tip.sequence
    next.state = state
    next.weight.incrementals += 1
    next.weight.incrementalBytes = next.weight.incrementalBytes.addingClamped(metadata.compressedSize)
    guard let name = ArchiveName(metadata.filename) else { throw HoldfastError(.failed, "not a name of ours") }
    let point = StoredPoint(name: name, metadata: metadata)
    next.facts = ParentFacts(point)
    next.history.add(metadata)
    next.numbers.use(metadata.id)
    next.filename = metadata.filename
    next.stamps = try RepositoryStamps(repository, archive: metadata.filename)
    return next
  }
}
