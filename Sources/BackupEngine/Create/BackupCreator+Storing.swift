import BackupPolicy
import Glibc

extension BackupCreator {
  private var files: any FileOperations { environment.files }

  /// Writes the archive and commits it; completes the metadata with what only the end knows.
  @discardableResult
  func store(
    _ metadata: inout PointMetadata, _ request: CreateRequest, _ points: [StoredPoint], _ source: any ImageSource,
    _ content: DatabaseContent, audit: FullAudit? = nil, started: Int64
  ) throws -> AuditOutcome {
    let seal = try request.encrypt && request.cipher == .aes256GCM ? prepareSeal(points) : nil
    metadata.repositoryID = seal?.identity.id.hex
    let table = makeTable(metadata, request)
    defer { table?.discard() }
    var judgement = AuditOutcome.notAudited("nobody followed what changed since the newest point")
    let archive = try Leftovers.withFile(repository.path(".tmp-\(metadata.id)"), files) { file in
      let archive = try write(file, metadata, request, source, content, seal, table)
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

  /// The page hashes that the next incremental compares with; nil for what nothing is built on.
  private func makeTable(_ metadata: PointMetadata, _ request: CreateRequest) -> PageDigestsWriter? {
    guard metadata.mayBeParent, request.protection != ArchiveCipher.aes256CBC.rawValue,
      let pageSize = metadata.pageSize, pageSize > 0
    else { return nil }
    // Without it the next incremental costs more, and that is all.
    return try? PageDigestsWriter(in: repository, pageSize: pageSize)
  }

  private func put(_ table: PageDigestsWriter?, _ metadata: PointMetadata, digest: [UInt8]) {
    guard let table, let pageSize = metadata.pageSize, let pageCount = metadata.pageCount else { return }
    let header = PageDigestsHeader(point: metadata.id, digest: digest, pageSize: pageSize, pageCount: pageCount)
    do {
      try table.commit(header, in: repository)
    } catch {
      environment.logger.warning("the page hashes of \(metadata.id) were not stored; they will be made anew: \(error)")
    }
  }

  /// After the commit nothing may fail the backup: what is written here is derived, and derived again when it is missing.
  private func finish(_ metadata: PointMetadata) {
    do {
      try repository.write(metadata)
    } catch {
      environment.logger.warning("the metadata of \(metadata.id) was not stored; it will be derived: \(error)")
    }
    guard let sequence = metadata.sequence else { return }
    do {
      try repository.rememberNewest(sequence)
    } catch {
      environment.logger.warning("this host's memory of \(repository.folder) was not updated: \(error)")
    }
  }

  private func prepareSeal(_ points: [StoredPoint]) throws -> RepositorySeal {
    let identity = try repository.identity(points, iterations: environment.passwordIterations)
    let seal = try RepositorySeal(identity, repository.credentials)
    try proveKey(points, identity)
    return seal
  }

  /// A mistyped password would go unnoticed until somebody needs the backup: the newest point must open with it.
  private func proveKey(_ points: [StoredPoint], _ identity: RepositoryIdentity) throws {
    guard let head = try repository.newestHead(points, known: [identity.id.hex]) else { return }
    do {
      _ = try head.unlock(repository.credentials)
    } catch let error as HoldfastError where [.wrongKey, .keyMissing].contains(error.code) {
      throw HoldfastError(
        .wrongKey,
        "the password or key does not open the newest point of \(repository.folder), \(head.header.id)\(repository.credentials.tried)",
        hint: "use the same one for all points of a folder, or another --backup-dir for a new one")
    }
  }

  private func write(
    _ file: OpenFile, _ metadata: PointMetadata, _ request: CreateRequest, _ source: any ImageSource,
    _ content: DatabaseContent, _ seal: RepositorySeal?, _ table: PageDigestsWriter?
  ) throws -> WrittenArchive {
    let output = try HashingFileWriter(file, files)
    let sink: any PayloadSink
    if let seal {
      let sealed = try seal.seal(header(metadata, seal.identity))
      try output.write(sealed.head.encoded)
      sink = try GCMSink(output, payloadKey: sealed.payloadKey)
    } else if request.encrypt {
      sink = try CBCSink(output, credentials: repository.credentials)
    } else {
      sink = PlainSink(output)
    }
    let secret = try seal.map { try PageDigest.Secret(key: $0.digestKey) } ?? .standard
    let writer = ArchiveWriter(
      source, level: request.compress ? request.level : nil, secret: secret, tableRoots: content.tableRoots,
      table: table, progress: progress)
    return try writer.write(to: sink, file: output, digestKey: seal?.digestKey.withBytes { Array($0) } ?? [])
  }

  private func header(_ metadata: PointMetadata, _ identity: RepositoryIdentity) -> ArchiveHeader {
    ArchiveHeader(
      repositoryID: identity.id, sequence: metadata.sequence ?? 1, created: metadata.created,
      pageSize: UInt32(metadata.pageSize ?? 0), kind: metadata.kind == "raw" ? .raw : .full,
      compressed: metadata.compressed, parentDigest: [UInt8](repeating: 0, count: 16), id: metadata.id, parentID: nil,
      fields: ArchiveHeader.fields(of: metadata))
  }
}

extension Repository {
  /// The point that an incremental would build on, or be told why it cannot: the newest one of the database's own history.
  ///
  /// What anybody could have put into the folder is passed over: metadata without an archive, archives that nothing
  /// authenticates, and those that the key does not open while it opens others.
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
  /// Whether incrementals may build on it: a point of the database's own history, not what a restore or a guard put aside.
  var mayBeParent: Bool { kind != "raw" && !["safety", "guard"].contains(backupType) }
}
