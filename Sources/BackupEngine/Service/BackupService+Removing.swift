import BackupPolicy

extension BackupService {
  /// What retention would keep and remove now, with reasons.
  package func planCleanup(_ policy: RetentionPolicy) throws -> RetentionDecision {
    let repository = try repository()
    return try decide(policy, repository)
  }

  private func decide(_ policy: RetentionPolicy, _ repository: Repository) throws -> RetentionDecision {
    let space = policy.minFreeSpace == nil ? nil : try space()
    return policy.decide(try retentionPoints(repository), now: environment.now(), space: space)
  }

  /// The file system of the backups.
  package func space() throws -> SpaceFacts {
    SpaceFacts(free: try environment.files.freeSpace(folder), capacity: try environment.files.capacity(folder))
  }

  /// What anomalies hold now.
  package func holds(_ policy: RetentionPolicy) throws -> [AnomalyHold] {
    policy.holds(try retentionPoints(repository()), now: environment.now())
  }

  /// Removes what the policy says, some points a lock, so that others wait only briefly. Each batch is decided anew under the
  /// lock: points may have come and gone since.
  package func cleanup(_ policy: RetentionPolicy, progress: Progress = Progress()) throws -> RetentionDecision {
    let decision = try planCleanup(policy)
    guard decision.refused == nil else { return decision }
    let repository = try repository()
    let planned = Set(decision.remove.map(\.id))
    var removed: Set<PointID> = []
    var goesOn = true
    // Also if it stops half-way: what is gone by then went by our hand.
    defer { try? forgetRemoved(repository) }
    while goesOn {
      do {
        try progress.update("removing", Int64(removed.count), of: Int64(planned.count))
      } catch {
        throw Self.interrupted(removed.count, of: planned.count) ?? error
      }
      try repository.exclusively(patience: environment.repositoryPatience) {
        let now = try decide(policy, repository)
        let due = now.refused == nil ? now.remove.filter { planned.contains($0.id) && !removed.contains($0.id) } : []
        for verdict in due.prefix(Self.batch) {
          if let point = try repository.stored(verdict.id) { try repository.remove(point) }
          removed.insert(verdict.id)
        }
        goesOn = due.count > Self.batch
      }
    }
    return decision
  }

  /// What was done before a removal was interrupted; nil if nothing was.
  static func interrupted(_ removed: Int, of planned: Int) -> HoldfastError? {
    guard removed > 0 else { return nil }
    return HoldfastError(
      .interrupted, "interrupted after \(removed) of \(planned) backups were removed",
      hint: "what is left is whole; the same command removes the rest")
  }

  static var batch: Int { 32 }

  /// What this host removed itself is not missing afterwards.
  func forgetRemoved(_ repository: Repository) throws {
    try repository.exclusively(patience: environment.repositoryPatience) {
      guard var state = try repository.hostState() else { return }
      let newest = repository.newestSequence(try repository.everything())
      guard newest < state.expectedSequence else { return }
      state.expectedSequence = newest
      try repository.hostStates.save(state)
    }
  }

  /// What the repository would hold in the days to come, if all goes on as it did. Nothing is touched.
  ///
  /// - Throws: `pointNotFound` where there is no repository, or no full in it to go by.
  package func simulate(_ settings: RepositorySimulation.Settings, days: Int) throws -> RepositorySimulation {
    let repository = try repository()
    let facts = try repository.points().map { ($0.id, ThinningPoint($0.metadata)) }
    var thinning = Dictionary(facts, uniquingKeysWith: { first, _ in first })
    let points = try retentionPoints(repository)
    for point in points where point.proven { thinning[point.id]?.proven = true }
    guard let pace = RepositoryPace(points) else {
      throw HoldfastError(
        .pointNotFound, "\(folder) has no full backup to go by", hint: "take one first: holdfast create")
    }
    let known = points.compactMap { point in thinning[point.id].map { SimulatedPoint(point, $0) } }
    return RepositorySimulation(known, pace, settings, from: environment.now(), days: days)
  }

  private func retentionPoints(_ repository: Repository) throws -> [RetentionPoint] {
    try retentionPoints(repository.points(), repository)
  }

  /// - Parameter points: every point of the repository.
  func retentionPoints(_ points: [StoredPoint], _ repository: Repository) throws -> [RetentionPoint] {
    let now = environment.now()
    // What cannot be read or proved neither counts nor goes: forged points must not push real ones out.
    let identity = repository.storedIdentity()
    let points = points.filter { isProved($0, repository, identity) }
    let suspects = points.map(\.metadata.created).clockSuspects(now: now)
    let proven = provenPoints(points, repository)
    let pins = try repository.pins.read()
    return zip(points, suspects).map { point, suspect in
      let metadata = point.metadata
      var fact = RetentionPoint(
        id: metadata.id, sequence: metadata.sequence.map { Int64(clamping: $0) }, created: metadata.created,
        type: metadata.backupType, kind: metadata.kind, parent: metadata.parentID, status: metadata.status.rawValue,
        verified: metadata.verified && point.isAuthenticated, clockSuspect: suspect,
        pinned: pins[point.id] ?? metadata.pinned,
        tags: metadata.tags, anomaly: metadata.anomalyInWords, bytes: metadata.compressedSize)
      fact.proven = proven.contains(point.id)
      return fact
    }
  }

  private func isProved(_ point: StoredPoint, _ repository: Repository, _ identity: RepositoryIdentity?) -> Bool {
    guard !point.isDamaged, !point.archiveMissing else { return false }
    guard point.metadata.cipher == .aes256GCM, !credentials.isEmpty else { return true }
    return (try? repository.head(of: point)).flatMap { $0 }.map { repository.opens($0, identity) } ?? false
  }
}

extension Repository {
  /// Removes a point and every file of its ID. Needs the exclusive lock.
  func remove(_ point: StoredPoint) throws {
    // Its number is never given again, and the memory of it may be older than the newest incrementals.
    if var state = try hostState(), let sequence = point.metadata.sequence, sequence > state.newestSequence {
      state.newestSequence = sequence
      try hostStates.save(state)
    }
    try files.unlink(metadataPath(point.id))
    try files.syncFolder(path(".metadata"))
    for name in try files.list(folder) where ArchiveName(name)?.id == point.id { try files.unlink(path(name)) }
    try files.syncFolder(folder)
  }
}
