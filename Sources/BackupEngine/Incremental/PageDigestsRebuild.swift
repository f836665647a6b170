import BackupPolicy

/// Makes the table of page hashes anew from a point's chain: its image is read page by page, and no image is written.
struct PageDigestsRebuild {
  let repository: Repository
  let environment: EngineEnvironment
  let progress: Progress

  /// Needs the exclusive lock.
  ///
  /// - Throws: ``ChainFailure`` where the chain does not add up to its digest.
  func run(_ tip: ChainTip) throws {
    let writer = try PageDigestsWriter(in: repository, pageSize: tip.state.pageSize)
    defer { writer.discard() }
    guard let point = try repository.stored(tip.id) else {
      throw HoldfastError(.factsChanged, "\(tip.id) was removed meanwhile", hint: "run the command again")
    }
    let open = try OpenChain(repository.chain(of: point), in: repository, isLocked: true)
    let target = HashTarget(writer: writer, pageSize: tip.state.pageSize, secret: tip.secret)
    _ = try ChainReader(
      open: open, files: environment.files, credentials: repository.credentials, progress: progress
    ).read(to: target)
    try writer.commit(tip.state, in: repository)
  }
}

/// Takes the pages of an image for their hashes alone.
private struct HashTarget: ImageTarget {
  let writer: PageDigestsWriter
  let pageSize: Int
  let secret: PageDigest.Secret

  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws {
    _ = writer.add(bytes, first: UInt32(offset / Int64(pageSize)) + 1, secret: secret)
  }
}
