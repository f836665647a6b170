import BackupPolicy

/// Carries out steps of a ``CompactionPlan``.
///
/// The merged archive is made and proved without the exclusive lock, under a temporary name. Then, under the lock: the
/// survivor's metadata is removed (it names the old file's checksum; without it everything is derived from the archive), the
/// archive is renamed *over* the old one, the folder is flushed, and the metadata is written anew. Only then do the other
/// points go, the newest first. So each name has one file at any moment, both the old and the new one restore to the same
/// bytes, and what a crash leaves is a branch that nobody needs, which the next compaction removes.
struct Compactor {
  let repository: Repository
  let environment: EngineEnvironment
  let level: CompressionLevel
  let progress: Progress
  /// The parents of all points that the plan was made from.
  let known: [PointID: PointID?]
  /// Runs its argument under the repository's exclusive lock, and is told what that will change.
  let exclusively: (_ touched: Set<PointID>, _ body: () throws -> Void) throws -> Void

  /// Whoever waits for the lock gets it after so many removals, each of which is flushed.
  private static let batch = 16

  private var files: any FileOperations { environment.files }

  /// - Returns: bytes of the merged archive; 0 where nothing is left.
  /// - Throws: `factsChanged` where the points are not as they were planned; ``ChainFailure`` and `verificationFailed` where
  ///   one cannot be read or the merged archive is not right. Nothing is removed then.
  func run(_ step: CompactionStep) throws -> Int64 {
    try progress.check()
    let (run, open) = try repository.shared(patience: environment.repositoryPatience) {
      let run = try CompactionRun(step, known: known, in: repository)
      let chain = PointChain(links: run.links.map(\.point))
      return (run, step.survivor == nil ? nil : try OpenChain(chain, in: repository, isLocked: true))
    }
    let bytes = try open.map { try merge(run, $0) } ?? 0
    try remove(run)
    return bytes
  }

  private func merge(_ run: CompactionRun, _ open: OpenChain) throws -> Int64 {
    let merged = MergedArchive(
      open: open, files: files, credentials: repository.credentials, level: level, progress: progress)
    return try Leftovers.using(makeFile(open.chain.point.id), files) { file in
      let metadata = try Leftovers.withFile("\(repository.scratchFolder())/.tmp-stage", files, .createPrivate) {
        scratch in
        defer { try? files.unlink(scratch.path) }
        return try merged.write(to: file, scratch: scratch)
      }
      try exclusively([metadata.id]) {
        try run.requireUnchanged(run.links)
        try swap(file, metadata)
      }
      return metadata.compressedSize
    }
  }

  /// Under the lock too: a session would take an unknown change of the folder for somebody else's.
  private func makeFile(_ id: PointID) throws -> OpenFile {
    var made: OpenFile?
    try exclusively([]) { made = try Leftovers.make(repository.path(".tmp-\(id)"), files) }
    guard let made else { throw HoldfastError(.failed, "no temporary file was made in \(repository.folder)") }
    return made
  }

  private func swap(_ file: OpenFile, _ metadata: PointMetadata) throws {
    if !metadata.encrypted { try repository.rememberTrust(metadata, [], sealed: nil) }
    try files.unlink(repository.metadataPath(metadata.id))
    try files.syncFolder(repository.path(".metadata"))
    try files.rename(file.path, to: repository.path(metadata.filename))
    try files.syncFolder(repository.folder)
    do {
      try repository.write(metadata, durable: false)
    } catch {
      environment.logger.warning("the metadata of \(metadata.id) was not stored; it will be derived: \(error)")
    }
  }

  /// The newest first: a point never outlives what it needs.
  private func remove(_ run: CompactionRun) throws {
    var rest = run.removed
    while !rest.isEmpty {
      let part = rest.prefix(Self.batch)
      try exclusively(Set(part.map(\.point.id))) {
        try run.requireUnchanged(part)
        for link in part { try files.unlink(repository.metadataPath(link.point.id)) }
        try files.syncFolder(repository.path(".metadata"))
        for link in part {
          try files.unlink(repository.path(link.point.name.text))
          // Unflushed removals may survive a loss of power in any order.
          try files.syncFolder(repository.folder)
        }
      }
      rest = rest.dropFirst(part.count)
    }
  }
}
