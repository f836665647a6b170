import BackupPolicy
import SQLitePages

/// Makes one incremental, under the repository's exclusive lock.
///
/// The durable steps are, in this order: temporary file, flush, rename, flush of the folder. The
/// page hashes, the metadata and this host's state follow without a flush, because each of them can
/// be made anew.
final class IncrementalWork {
  private let repository: Repository
  private let environment: EngineEnvironment
  private let head: ChainHead
  private let request: CreateRequest
  private let progress: Progress
  private let snapshot: DatabaseSnapshot
  /// Read when the snapshot began.
  private let content: DatabaseContent
  private let started: Int64
  /// The head for the next incremental; nil if it must be searched for.
  private(set) var nextHead: ChainHead?
  /// The open table of page hashes.
  private(set) var table: PageDigests?
  /// Monotonic milliseconds of the last write of this host's newest sequence.
  private(set) var remembered: Int64?
  /// Milliseconds for finding the changes, without the wait for the database and without the
  /// storing.
  private(set) var comparing: Int64 = 0

  init(
    repository: Repository, environment: EngineEnvironment, head: ChainHead, request: CreateRequest,
    progress: Progress, snapshot: DatabaseSnapshot, content: DatabaseContent, started: Int64, table: PageDigests?,
    remembered: Int64?
  ) {
    self.repository = repository
    self.environment = environment
    self.head = head
    self.request = request
    self.progress = progress
    self.snapshot = snapshot
    self.content = content
    self.started = started
    self.table = table
    self.remembered = remembered
  }

  private var files: any FileOperations { environment.files }
  private var source: SnapshotSource { SnapshotSource(snapshot: snapshot) }

  func run(_ changes: ChangedPages, _ kind: RequestedKind) throws -> IncrementalOutcome {
    let begun = environment.monotonic()
    let shape = DatabaseShape(
      path: snapshot.connection.resolvedPath, pageSize: source.pageSize, pageCount: source.pageCount,
      attributes: try files.attributes(ofDatabase: snapshot.connection.resolvedPath))
    var facts = ChainFacts(requested: kind, backupType: request.reason.type, protection: request.archive.protection)
    facts.parent = head.facts
    facts.database = shape
    nextHead = head
    if case .full(let reason) = ChainPolicy.decide(facts) { return .fullNeeded(reason: reason) }
    let table: PageDigests
    do {
      table = try currentTable()
    } catch let failure as ChainFailure {
      nextHead = nil
      return .fullNeeded(reason: failure.error(for: head.id).message)
    }
    return try withChanges(changes, table) { detected, pages in
      comparing = ComparisonCost.counted(environment.monotonic() - begun, bytes: source.imageSize)
      guard !detected.pages.isEmpty || shape.pageCount != head.state.pageCount else {
        return .unchanged(since: head.parent, snapshot.position)
      }
      return try store(detected, pages, shape, table)
    }
  }

  /// The table of the parent's page hashes: the open one, the stored one, or a new one from the
  /// parent's chain.
  private func currentTable() throws -> PageDigests {
    if let table, table.header == head.state { return table }
    if let table = try PageDigests.open(head.state, in: repository) { return table }
    environment.logger.info(
      "the page hashes of \(head.id) are missing or belong to another state; they are computed again")
    try PageDigestsRebuild(repository: repository, environment: environment, progress: progress).run(head)
    guard let table = try PageDigests.open(head.state, in: repository) else {
      throw HoldfastError(.failed, "the page hashes of \(head.id) could not be stored in \(repository.folder)/.state")
    }
    return table
  }

  /// Compares the pages, and gives `body` those that differ. They come from the snapshot itself or,
  /// if an open snapshot would block writers, from a copy of just those pages.
  private func withChanges<Result>(
    _ changes: ChangedPages, _ table: PageDigests,
    _ body: (DetectedChanges, any ChangedPageSource) throws -> Result
  ) throws -> Result {
    var detection = ChangeDetection(source: source, table: table, secret: head.secret, progress: progress)
    guard snapshot.blocksWriters else {
      let kept = KeptPages(pageSize: source.pageSize)
      detection.copy = kept.add
      let detected = try detection.run(changes)
      guard kept.isWhole else { return try body(detected, SnapshotPages(snapshot: source)) }
      // A checkpoint of the application need not wait until the archive is flushed.
      snapshot.end()
      return try body(detected, kept)
    }
    return try repository.scratch().withFile(.stage) { file in
      var size: Int64 = 0
      detection.copy = { [files] page in
        try files.write(file, page, at: size)
        size += Int64(page.count)
      }
      let detected = try detection.run(changes)
      snapshot.end()
      return try body(detected, StagedPages(file: file, files: files, pageSize: source.pageSize))
    }
  }
}

// MARK: - Storing

extension IncrementalWork {
  /// Writes and commits the archive, then the data that is derived from it.
  private func store(
    _ detected: DetectedChanges, _ pages: any ChangedPageSource, _ shape: DatabaseShape, _ table: PageDigests
  ) throws -> IncrementalOutcome {
    var metadata = try describe(detected, shape)
    let archive = try Leftovers.withFile(repository.path(".tmp-\(metadata.id)"), files) { file in
      let archive = try write(file, metadata, detected, pages)
      try files.sync(file)
      metadata.checksum = archive.checksum.hex
      if head.seal == nil { try repository.rememberTrust(metadata, [], sealed: nil) }
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
    nextHead = try? head(after: metadata, state)
    return .stored(metadata, snapshot.position)
  }

  private func describe(_ detected: DetectedChanges, _ shape: DatabaseShape) throws -> PointMetadata {
    let now = environment.now()
    let id =
      try head.numbers.unusedID(at: now)
      ?? BackupNumbers.unusedID(at: now, among: repository.everything().map(\.id))
    var metadata = request.metadata(
      id, sequence: head.numbers.nextSequence, .pages, of: shape, environment, created: now)
    metadata.kind = .incremental
    metadata.otherPaths = head.otherPaths
    metadata.parentID = head.id
    metadata.chainID = head.chainID
    metadata.repositoryID = head.seal?.identity.id.hex
    metadata.pagesStored = UInt32(detected.pages.count)
    metadata.digest = detected.digest.hex
    metadata.describe(content)
    metadata.anomalies = try repository.anomalies(of: metadata, after: head.history, now: now)
    metadata.resolveAnomaly()
    metadata.schemaVersion = content.schemaVersion
    return metadata
  }

  private func header(_ metadata: PointMetadata, _ detected: DetectedChanges) -> ArchiveHeader {
    var header = ArchiveHeader(
      repositoryID: head.seal?.identity.id ?? [UInt8](repeating: 0, count: 16), sequence: metadata.sequence ?? 1,
      created: metadata.created, pageSize: UInt32(metadata.pageSize ?? 0), kind: .incremental,
      compressed: metadata.compressed, parentDigest: head.state.digest, id: metadata.id, parentID: head.id,
      fields: ArchiveHeader.fields(of: metadata))
    guard head.seal == nil else { return header }
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
    if let seal = try head.seal?.seal(header) {
      try output.write(seal.head.encoded)
      sink = try GCMSink(output, payloadKey: seal.payloadKey)
    }
    let writer = PagesWriter(
      plainHead: try head.seal == nil ? PlainHead.encode(header) : [], pages: detected.pages, pages,
      level: request.archive.compress ? request.archive.level : nil, progress: progress)
    return try writer.write(to: sink, file: output) { order in
      ArchiveTrailer(
        imageSize: UInt64(metadata.originalSize ?? 0), payloadSize: order.written, pageCount: metadata.pageCount ?? 0,
        digest: detected.digest, digestKey: head.seal?.digestKey.withBytes { Array($0) } ?? [],
        memberStride: order.index.stride, memberOffsets: order.index.offsets, tableCounts: nil,
        pagesStored: UInt32(detected.pages.count))
    }
  }

  /// Updates the page hashes, which is allowed only after the archive and its folder are flushed.
  private func keep(_ table: PageDigests, _ state: PageDigestsHeader, _ detected: DetectedChanges) {
    self.table = nil
    do {
      try table.update(to: state, detected.pages, detected.hashes)
      self.table = table
    } catch {
      environment.logger.warning(
        "the page hashes of \(state.point) were not stored; they will be computed again: \(error)")
    }
  }

  /// After the commit nothing may fail the backup. The data written here is derived, and if it is
  /// missing, it is derived again.
  private func finish(_ metadata: PointMetadata) {
    do {
      try repository.write(metadata, durable: false)
      if let sequence = metadata.sequence, head.seal != nil { try remember(sequence) }
    } catch {
      environment.logger.warning(
        "the derived data of \(metadata.id) was not stored; it will be derived again: \(error)")
    }
  }

  /// This host's state is flushed because it must never be damaged; so it is not written for every
  /// incremental.
  private func remember(_ sequence: UInt64) throws {
    let now = environment.monotonic()
    if let last = remembered, now - last < 60_000 { return }
    try repository.numbers.remember(sequence)
    remembered = now
  }

  private func head(after metadata: PointMetadata, _ state: PageDigestsHeader) throws -> ChainHead {
    var next = head
    next.id = metadata.id
    next.sequence = metadata.sequence ?? head.sequence
    next.state = state
    next.weight.incrementals += 1
    next.weight.incrementalBytes = next.weight.incrementalBytes.addingClamped(metadata.compressedSize)
    guard let name = ArchiveName(metadata.filename) else {
      throw HoldfastError(.failed, "the file name is not the name of an archive")
    }
    let point = StoredPoint(name: name, metadata: metadata)
    next.facts = ParentFacts(point)
    next.history.add(metadata)
    next.numbers.use(metadata.id)
    next.filename = metadata.filename
    next.stamps = try RepositoryStamps(repository, archive: metadata.filename)
    return next
  }
}
