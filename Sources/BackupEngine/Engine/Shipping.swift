import BackupPolicy

/// The state of a repository for a copy elsewhere.
package struct ShippingFacts: Sendable {
  /// 32 hexadecimal digits.
  package var repositoryID: String
  /// Every backup of the database, the oldest first, as the rules of retention see it. A backup
  /// that the key does not prove is among them as one that is not authenticated.
  package var points: [Point]
  /// The newest number that the repository or this host ever used.
  package var newestSequence: Int64
  /// Wall time that rules about age may rely on.
  package var now: Timestamp
  /// The reason why nothing may be copied: the key opens no backup. Nil if that is not so.
  package var keyProblem: HoldfastError?
}

extension Engine {
  /// Collects the facts for a copy elsewhere. Gives the repository an ID if it has none.
  package func shippingFacts() throws -> ShippingFacts {
    let repository = try repository()
    let stored = try repository.points()
    let now = try clockVerdict(.waiting, stored).time
    let judged = try retentionPoints(stored, repository, at: now)
    let proved = Dictionary(judged.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    let points = stored.map { stored in
      if var point = proved[stored.id] {
        point.isUnreadable = stored.unreadable != nil
        return point
      }
      var point = Point(stored)
      if point.status != .failed { point.status = .unauthenticated }
      return point
    }
    let remembered = try repository.hostState()?.newestSequence ?? 0
    return ShippingFacts(
      repositoryID: try repositoryID(repository), points: points,
      newestSequence: Int64(
        clamping: max(repository.numbers.newest(of: stored, repository.storedIdentity()), remembered)), now: now,
      keyProblem: try keyProblem(stored, repository))
  }

  /// With a wrong key every backup looks like a forged one, so nothing would be copied without a word.
  private func keyProblem(_ stored: [StoredPoint], _ repository: Repository) throws -> HoldfastError? {
    guard !credentials.isEmpty, let identity = repository.storedIdentity() else { return nil }
    do {
      try repository.requireKey(toNewestOf: stored, identity)
    } catch let error as HoldfastError where error.code == .wrongKey {
      return error
    } catch let error as HoldfastError where error.code == .archiveCorrupt {
      // The only backup is damaged: it is not sent, and the reason is said.
    }
    return nil
  }

  /// The marks of a record that this host writes about the repository.
  package func marks(of record: [UInt8], by seal: RecordSeal) throws -> RecordSeal.Marks {
    guard let identity = try repository().storedIdentity() else { return RecordSeal.Marks() }
    return try seal.marks(of: record, salt: identity.salt, iterations: identity.iterations)
  }

  /// The next backup gets a larger number than this one, and is a full.
  package func continueBehind(sequence: Int64) throws {
    guard let sequence = UInt64(exactly: sequence) else { return }
    let repository = try repository()
    try repository.exclusively(patience: environment.repositoryPatience) {
      var state = try repository.hostState() ?? HostState(repositoryPath: repository.folder)
      let stored = repository.numbers.newest(of: try repository.everything(), repository.storedIdentity())
      state.newestSequence = max(state.newestSequence, sequence)
      state.fullAfter = max(state.newestSequence, stored)
      try repository.save(state)
    }
  }

  private func repositoryID(_ repository: Repository) throws -> String {
    if let known = repository.storedIdentity() { return known.id.hex }
    return try repository.exclusively(patience: environment.repositoryPatience) {
      try repository.identity(repository.everything(), iterations: environment.passwordIterations).id.hex
    }
  }
}

// MARK: - Archives

extension Engine {
  /// Opens the archive of a backup.
  ///
  /// - Parameter filename: of the archive, if it is known: then the folder is not listed.
  /// - Throws: `pointNotFound` if it was removed meanwhile.
  package func openArchive(of id: PointID, filename: String? = nil) throws -> ShippedArchive {
    let repository = try repository()
    return try repository.shared(patience: environment.repositoryPatience) {
      let known = try filename.flatMap { ArchiveName($0) }.map { try repository.stored(in: $0) }
      guard let point = try known ?? repository.index().point(id), point.id == id, !point.archiveMissing else {
        throw HoldfastError.removed(id)
      }
      let file = try environment.files.open(repository.path(point.name.text), .readNoFollow)
      return try ShippedArchive(point.metadata, point.name, file, environment.files)
    }
  }

  /// Makes an archive of a backup with the pages of others merged into it, as compaction would, in
  /// this host's scratch folder. The repository does not change.
  ///
  /// - Parameter others: the backups between this one and the one on which the archive builds, the
  ///   oldest first.
  /// - Throws: `factsChanged` if the backups are not such a chain any more.
  package func mergedArchive(
    of id: PointID, with others: [PointID], progress: Progress = Progress()
  ) throws -> ShippedArchive {
    let repository = try repository()
    let files = environment.files
    let open = try repository.shared(patience: environment.repositoryPatience) {
      let index = try repository.index()
      let links = try ([id] + others.reversed()).map { id in
        guard let point = try index.point(id), !point.archiveMissing else { throw HoldfastError.removed(id) }
        return point
      }
      for (child, parent) in zip(links, links.dropFirst()) where child.metadata.parentID != parent.id {
        throw HoldfastError(.factsChanged, "\(child.id) does not build on \(parent.id) any more")
      }
      return try OpenChain(PointChain(links: links), in: repository, isLocked: true)
    }
    let merged = MergedArchive(
      open: open, files: files, credentials: repository.credentials, level: defaults.level, progress: progress)
    let scratch = try repository.scratch()
    let file = try scratch.makeFile(.stage)
    // Without a name it disappears with its last descriptor, also if this process is killed.
    try files.unlink(file.path)
    do {
      let metadata = try scratch.withFile(.stage) { try merged.write(to: file, scratch: $0) }
      return try ShippedArchive(metadata, open.chain.point.name, file, files)
    } catch let failure as ChainFailure {
      files.close(file)
      throw failure.error(for: id)
    } catch {
      files.close(file)
      throw error
    }
  }
}

// MARK: - Heads of archives elsewhere

extension Engine {
  /// The bytes from the start of an archive that hold its header, in nearly every case.
  package static let headBytes: Int64 = 64 << 10

  /// Returns the facts that the header of an archive elsewhere states.
  ///
  /// - Parameters:
  ///   - head: the first ``headBytes`` of the archive.
  ///   - bytes: of the whole archive.
  /// - Returns: nil if it is not an authenticated archive of this repository, or does not open with
  ///   the key.
  package func point(
    ofHead head: [UInt8], _ name: ArchiveName, bytes: Int64, repositoryID: String
  ) throws -> Point? {
    try sealedHeader(head, name, repositoryID).map { Point($0.metadata(filename: name.text, archiveSize: bytes)) }
  }

  /// Whether an archive elsewhere was made by another backup than the one of the same ID here: on
  /// another host, or at another time of the same second.
  ///
  /// - Parameter head: the first ``headBytes`` of the archive.
  /// - Returns: false if it is not known.
  package func differs(_ head: [UInt8], _ name: ArchiveName, repositoryID: String) throws -> Bool {
    guard let there = try sealedHeader(head, name, repositoryID)?.metadata(filename: name.text, archiveSize: 0),
      let here = try repository().points().first(where: { $0.id == name.id })?.metadata
    else { return false }
    return there.created != here.created || there.host != here.host
  }

  private func sealedHeader(_ head: [UInt8], _ name: ArchiveName, _ repositoryID: String) throws -> ArchiveHeader? {
    let repository = try repository()
    let identity = repository.storedIdentity()
    return try repository.scratch().withFile(.stage) { file in
      try head.withUnsafeBytes { try environment.files.write(file, $0, at: 0) }
      let sealed: SealedHeader?
      do {
        sealed = try SealedHeader(file, environment.files)
      } catch let error as HoldfastError where error.code == .archiveCorrupt {
        return nil
      }
      guard let sealed, sealed.header.id == name.id, sealed.header.repositoryID.hex == repositoryID,
        sealed.isCheap(credentials, identity) || sealed.isModest(credentials), (try? sealed.unlock(credentials)) != nil
      else { return nil }
      return sealed.header
    }
  }
}
