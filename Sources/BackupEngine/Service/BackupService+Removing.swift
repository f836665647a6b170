import BackupPolicy

extension BackupService {
  /// What retention would keep and remove now, with reasons.
  package func planCleanup(
    _ policy: RetentionPolicy, clock reliance: ClockReliance = .refusing
  ) throws -> RetentionDecision {
    let repository = try repository()
    let points = try repository.points()
    return try decide(policy, points, repository, clockVerdict(reliance, points), reliance)
  }

  private func decide(
    _ policy: RetentionPolicy, _ points: [StoredPoint], _ repository: Repository, _ clock: ClockVerdict,
    _ reliance: ClockReliance
  ) throws -> RetentionDecision {
    let decision = try decide(policy, points, repository, at: clock.time)
    guard reliance == .refusing, let doubt = clock.doubt else { return decision }
    let byTheClock = try decide(policy, points, repository, at: environment.now())
    guard Set(byTheClock.remove.map(\.id)) == Set(decision.remove.map(\.id)) else { throw Self.refusedByClock(doubt) }
    return decision
  }

  private func decide(
    _ policy: RetentionPolicy, _ points: [StoredPoint], _ repository: Repository, at time: Timestamp
  ) throws -> RetentionDecision {
    let space = policy.minFreeSpace == nil ? nil : try space()
    return policy.decide(try retentionPoints(points, repository, at: time), now: time, space: space)
  }

  /// The file system of the backups.
  package func space() throws -> SpaceFacts {
    SpaceFacts(free: try environment.files.freeSpace(folder), capacity: try environment.files.capacity(folder))
  }

  /// What anomalies hold now.
  package func holds(_ policy: RetentionPolicy) throws -> [AnomalyHold] {
    let repository = try repository()
    let points = try repository.points()
    let time = try clockVerdict(.waiting, points).time
    return policy.holds(try retentionPoints(points, repository, at: time), now: time)
  }

  /// Removes what the policy says, some points a lock, so that others wait only briefly.
  ///
  /// It is decided once. If others were there meanwhile, the files tell whether what it was decided from is still the same; if
  /// not, it is decided anew, and only what goes by both decisions goes.
  package func cleanup(
    _ policy: RetentionPolicy, clock reliance: ClockReliance = .refusing, progress: Progress = Progress()
  ) throws -> RetentionDecision {
    let repository = try repository()
    var census = try RepositoryCensus(repository)
    let points = try repository.points()
    let clock = try clockVerdict(reliance, points)
    let decision = try decide(policy, points, repository, clock, reliance)
    guard decision.refused == nil, !decision.remove.isEmpty else { return decision }
    let known = Dictionary(points.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    let going = decision.remove.compactMap { known[$0.id] }
    let run = RemovalRun(repository: repository, environment: environment, progress: progress)
    // Also if it stops half-way: what is gone by then went by our hand.
    defer { try? forgetRemoved(going, repository) }
    try run.remove(going) { left in
      let now = try RepositoryCensus(repository)
      defer { census = now }
      let ids = Set(left.map(\.id))
      let gone = Set(going.map(\.id)).subtracting(ids)
      if let newcomers = now.newcomers(since: census, without: gone),
        try repository.index().areHarmless(newcomers, to: ids)
      {
        return Array(left)
      }
      let decision = try decide(policy, repository.points(warns: false), repository, at: clock.time)
      let due = decision.refused == nil ? Set(decision.remove.map(\.id)) : []
      return left.filter { due.contains($0.id) }
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

  /// What this host removed itself is not missing afterwards.
  ///
  /// - Parameter removed: what went, or was to go.
  func forgetRemoved(_ removed: [StoredPoint], _ repository: Repository) throws {
    guard let highest = removed.compactMap(\.metadata.sequence).max() else { return }
    try repository.exclusively(patience: environment.repositoryPatience) {
      guard var state = try repository.hostState(), highest >= state.expectedSequence else { return }
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
    let points = try retentionPoints(repository.points(), repository, at: environment.now())
    for point in points where point.proven { thinning[point.id]?.proven = true }
    guard let pace = RepositoryPace(points) else {
      throw HoldfastError(
        .pointNotFound, "\(folder) has no full backup to go by", hint: "take one first: holdfast create")
    }
    let known = points.compactMap { point in thinning[point.id].map { SimulatedPoint(point, $0) } }
    return RepositorySimulation(known, pace, settings, from: environment.now(), days: days)
  }

  /// - Parameters:
  ///   - points: every point of the repository.
  ///   - now: the time that is believed.
  func retentionPoints(
    _ points: [StoredPoint], _ repository: Repository, at now: Timestamp
  ) throws -> [RetentionPoint] {
    // What cannot be read or proved neither counts nor goes: forged points must not push real ones out.
    let identity = repository.storedIdentity()
    let points = points.filter { isProved($0, repository, identity) }
    let suspects = points.map(\.metadata.created).clockSuspects(now: now)
    let proven = provenPoints(points, repository)
    let pins = try repository.pins.read()
    let ends = try repository.pins.ends()
    return zip(points, suspects).map { point, suspect in
      let metadata = point.metadata
      var fact = RetentionPoint(
        id: metadata.id, sequence: metadata.sequence.map { Int64(clamping: $0) }, created: metadata.created,
        type: metadata.backupType, kind: metadata.kind, parent: metadata.parentID, status: metadata.status.rawValue,
        verified: metadata.verified && point.isAuthenticated, clockSuspect: suspect,
        pinned: (pins[point.id] ?? metadata.pinned) && ends[point.id].map { now < $0 } ?? true,
        tags: metadata.tags, anomaly: metadata.anomalyInWords, bytes: metadata.compressedSize)
      fact.proven = proven.contains(point.id)
      fact.isFlawed = metadata.isFlawed
      return fact
    }
  }

  private func isProved(_ point: StoredPoint, _ repository: Repository, _ identity: RepositoryIdentity?) -> Bool {
    guard !point.isDamaged, !point.archiveMissing else { return false }
    guard point.metadata.cipher == .aes256GCM, !credentials.isEmpty else { return true }
    return (try? repository.head(of: point)).flatMap { $0 }.map { repository.opens($0, identity) } ?? false
  }
}

extension RepositoryIndex {
  /// Whether points that were stored meanwhile change nothing about a removal: they neither need what goes nor hold anything.
  fileprivate func areHarmless(_ newcomers: [PointID], to going: Set<PointID>) throws -> Bool {
    try newcomers.allSatisfy { id in
      guard let point = try point(id), !point.isDamaged, !point.archiveMissing else { return false }
      return point.metadata.openAnomalies.isEmpty && point.metadata.parentID.map { !going.contains($0) } ?? true
    }
  }
}
