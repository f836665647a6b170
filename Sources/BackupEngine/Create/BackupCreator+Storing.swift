import BackupPolicy
import Glibc

extension BackupCreator {
  private var files: any FileOperations { environment.files }

  /// Writes the archive and commits it; completes the metadata with what only the end knows.
  func store(
    _ metadata: inout PointMetadata, _ request: CreateRequest, _ points: [StoredPoint], _ source: any ImageSource,
    _ content: DatabaseContent, started: Int64
  ) throws {
    let temporary = repository.path(".tmp-\(metadata.id)")
    let seal = try request.encrypt && request.cipher == .aes256GCM ? prepareSeal(metadata, points) : nil
    metadata.repositoryID = seal?.repositoryID
    let archive = try Leftovers.withFile(temporary, files) { file in
      let archive = try write(file, metadata, request, source, content, seal)
      try files.sync(file)
      metadata.checksum = archive.checksum.hex
      try rememberTrust(metadata, points, seal)
      try files.rename(file.path, to: repository.path(metadata.filename))
      return archive
    }
    try files.syncFolder(repository.folder)
    metadata.compressedSize = archive.size
    metadata.tableCounts = archive.tableCounts
    metadata.totalRecords = archive.tableCounts?.total
    metadata.digest = archive.digest.hex
    metadata.durationMS = environment.monotonic() - started
    finish(metadata, sealed: seal != nil)
  }

  /// After the commit nothing may fail the backup: what is written here is derived, and derived again when it is missing.
  private func finish(_ metadata: PointMetadata, sealed: Bool) {
    do {
      try repository.write(metadata)
    } catch {
      environment.logger.warning("the metadata of \(metadata.id) was not stored; it will be derived: \(error)")
    }
    guard sealed, var state = try? repository.hostState(), let sequence = metadata.sequence else { return }
    state.newestSequence = max(state.newestSequence, sequence)
    state.expectedSequence = sequence
    do {
      try repository.hostStates.save(state)
    } catch {
      environment.logger.warning("this host's memory of \(repository.folder) was not updated: \(error)")
    }
  }

  /// Header and keys of an authenticated archive.
  private struct Seal {
    var head: SealedHeader
    var payloadKey: SecretBytes
    var digestKey: SecretBytes
    var repositoryID: String
  }

  private func prepareSeal(_ metadata: PointMetadata, _ points: [StoredPoint]) throws -> Seal {
    let identity = try repository.identity(points, iterations: environment.passwordIterations)
    let secrets = try ArchiveSecrets(repository.credentials, salt: identity.salt, iterations: identity.iterations)
    try proveKey(points, identity)
    let header = ArchiveHeader(
      repositoryID: identity.id, sequence: metadata.sequence ?? 1, created: metadata.created,
      pageSize: UInt32(metadata.pageSize ?? 0), kind: metadata.kind == "raw" ? .raw : .full,
      compressed: metadata.compressed,
      parentDigest: [UInt8](repeating: 0, count: 16), id: metadata.id, parentID: nil,
      fields: ArchiveHeader.fields(of: metadata))
    let fileKey = SecretBytes(try SecretBytes.random(32))
    let head = try SealedHeader(header, fileKey: fileKey, secrets: secrets)
    return Seal(
      head: head, payloadKey: try head.payloadKey(fileKey),
      digestKey: try secrets.digestKey(repositoryID: identity.id), repositoryID: identity.id.hex)
  }

  /// A mistyped password would go unnoticed until somebody needs the backup: the newest point must open with it.
  private func proveKey(_ points: [StoredPoint], _ identity: RepositoryIdentity) throws {
    guard let head = try repository.newestHead(points, known: identity.id.hex) else { return }
    do {
      _ = try head.unlock(repository.credentials)
    } catch let error as HoldfastError where [.wrongKey, .keyMissing].contains(error.code) {
      throw HoldfastError(
        .wrongKey, "the password or key does not open the newest point of \(repository.folder), \(head.header.id)",
        hint: "use the same one for all points of a folder, or another --backup-dir for a new one")
    }
  }

  private func write(
    _ file: OpenFile, _ metadata: PointMetadata, _ request: CreateRequest, _ source: any ImageSource,
    _ content: DatabaseContent, _ seal: Seal?
  ) throws -> WrittenArchive {
    let output = try HashingFileWriter(file, files)
    let sink: any PayloadSink
    if let seal {
      try output.write(seal.head.encoded)
      sink = try GCMSink(output, payloadKey: seal.payloadKey)
    } else if request.encrypt {
      sink = try CBCSink(output, credentials: repository.credentials)
    } else {
      sink = PlainSink(output)
    }
    let secret = try seal.map { try PageDigest.Secret(key: $0.digestKey) } ?? .standard
    let writer = ArchiveWriter(
      source, level: request.compress ? request.level : nil, secret: secret, tableRoots: content.tableRoots,
      progress: progress)
    return try writer.write(to: sink, file: output, digestKey: seal?.digestKey.withBytes { Array($0) } ?? [])
  }

  /// Before the commit: the first authenticated point seals the repository, and a point without authentication in a sealed
  /// one is remembered. The other way round, a crash in between would leave a point that this host does not trust.
  private func rememberTrust(_ metadata: PointMetadata, _ points: [StoredPoint], _ seal: Seal?) throws {
    var state = try repository.hostState() ?? HostState(repositoryPath: repository.folder)
    let before = state
    state.repositoryPath = repository.folder
    if let seal {
      for point in points where !state.sealed {
        if let checksum = try checksum(of: point) { state.accept(point.id, checksum: checksum) }
      }
      state.sealed = true
      state.repositoryID = seal.repositoryID
    } else if state.sealed, let checksum = metadata.checksum {
      state.accept(metadata.id, checksum: checksum)
    }
    if state != before { try repository.hostStates.save(state) }
  }

  /// The checksum of a plain or CBC point that was there before the seal; computed where none is recorded.
  private func checksum(of point: StoredPoint) throws -> String? {
    guard point.metadata.cipher != .aes256GCM, !point.archiveMissing else { return nil }
    if let recorded = point.metadata.checksum { return recorded }
    let file = try files.open(repository.path(point.name.text), .readNoFollow)
    defer { files.close(file) }
    return try HashingFileReader(file, files).finish().hex
  }
}
