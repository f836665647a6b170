import BackupPolicy

/// What a cleanup decides from.
private struct CleanupBasis {
  let policy: RetentionPolicy
  /// The backups that a target should have and does not have yet, with the reasons to keep them.
  let awaited: [PointID: [String]]
  /// The backups that only their clear metadata calls failed.
  let acquitted: Set<PointID>
  var points: [StoredPoint]
  /// The trusted time.
  let time: Timestamp
}

extension Engine {
  /// Removes the backups that the policy selects. Each lock covers a few of them, so that others
  /// wait only briefly.
  ///
  /// The decision is made once. If another process had the lock meanwhile, the files show whether
  /// the facts of the decision still hold. If they do not, it is made anew, and only the backups
  /// that both decisions select are removed.
  ///
  /// - Parameter awaited: the backups that a target should have and does not have yet, with the
  ///   reasons to keep them.
  package func cleanup(
    _ policy: RetentionPolicy, awaited: [PointID: [String]] = [:], clock reliance: ClockReliance = .refusing,
    progress: Progress = Progress()
  ) throws -> RetentionDecision {
    let repository = try repository()
    var census = try RepositoryCensus(repository)
    let (basis, decision) = try decide(policy, awaited, reliance, repository, progress)
    guard decision.refused == nil, !decision.remove.isEmpty else { return decision }
    let known = Dictionary(basis.points.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    let going = decision.remove.compactMap { known[$0.id] }
    // Also if it stops half-way: by then this process removed the missing ones.
    defer { try? forgetRemoved(going, repository) }
    var run = RemovalRun(of: going, repository, environment, progress)
    while let lock = try run.lock() {
      defer { lock.end() }
      if !lock.isUndisturbed { run.keepOnly(try recheck(run.left, of: going, basis, repository, &census)) }
      try run.removeSome()
    }
    return decision
  }

  /// Decides which backups retention would keep and remove now, with reasons.
  ///
  /// - Parameter awaited: the backups that a target should have and does not have yet, with the
  ///   reasons.
  package func planCleanup(
    _ policy: RetentionPolicy, awaited: [PointID: [String]] = [:], clock reliance: ClockReliance = .refusing
  ) throws -> RetentionDecision {
    try decide(policy, awaited, reliance, repository(), Progress()).decision
  }

  /// Reads the backups and decides which of them go.
  private func decide(
    _ policy: RetentionPolicy, _ awaited: [PointID: [String]], _ reliance: ClockReliance, _ repository: Repository,
    _ progress: Progress
  ) throws -> (basis: CleanupBasis, decision: RetentionDecision) {
    let acquitted = try acquitted(repository, progress)
    let points = try repository.points(acquitted: acquitted)
    try points.requireReadable(to: Self.deciding)
    let clock = try clockVerdict(reliance, points)
    let basis = CleanupBasis(policy: policy, awaited: awaited, acquitted: acquitted, points: points, time: clock.time)
    let decision = try decide(basis, repository, at: clock.time)
    if reliance == .refusing, let doubt = clock.doubt {
      let byTheClock = try decide(basis, repository, at: environment.now())
      guard Set(byTheClock.remove.map(\.id)) == Set(decision.remove.map(\.id)) else { throw Self.refusedByClock(doubt) }
    }
    return (basis, decision)
  }

  private static let deciding = "decide which backups to keep"

  /// Returns the backups that only their clear metadata calls failed. Their archives are read.
  private func acquitted(_ repository: Repository, _ progress: Progress) throws -> Set<PointID> {
    var acquittal = Acquittal()
    let identity = repository.storedIdentity()
    let points = try repository.listing(warns: false).all
    // A planted archive may cost many key derivations. Without a proof it is not removed either way.
    for point in points
    where point.isAccused && ((try? repository.isOwn(point)) ?? false) && isProved(point, repository, identity) {
      acquittal.add(point.id, try evidence(point, repository, progress))
    }
    return acquittal.acquitted
  }

  private func evidence(
    _ point: StoredPoint, _ repository: Repository, _ progress: Progress
  ) throws -> ArchiveEvidence {
    do {
      let verifier = Verifier(repository: repository, environment: environment, progress: progress)
      let verification = try verifier.verify(point, .full)
      if verification.verified { return .whole }
      return verification.brokenLink.map { .needs($0) } ?? .failed
    } catch let error as HoldfastError where error.code != .interrupted {
      return .unknown
    }
  }

  private func decide(
    _ basis: CleanupBasis, _ repository: Repository, at time: Timestamp
  ) throws -> RetentionDecision {
    let space = basis.policy.minFreeSpace == nil ? nil : try space()
    let points = try retentionPoints(basis.points, repository, at: time)
    return basis.policy.decide(points, now: time, space: space, awaited: basis.awaited)
  }

  /// - Parameters:
  ///   - points: every backup of the repository.
  ///   - now: the trusted time.
  func retentionPoints(
    _ points: [StoredPoint], _ repository: Repository, at now: Timestamp
  ) throws -> [Point] {
    // A backup that cannot be read or proven is neither counted nor removed: forged ones must not
    // displace real ones.
    let identity = repository.storedIdentity()
    let points = points.filter { isProved($0, repository, identity) }
    let suspects = points.map(\.metadata.created).clockSuspects(now: now)
    let proven = provenPoints(points, repository)
    let pins = try repository.pins.read()
    let ends = try repository.pins.ends()
    return zip(points, suspects).map { point, suspect in
      let metadata = point.metadata
      var fact = Point(metadata)
      fact.verified = metadata.verified && point.isAuthenticated
      fact.clockSuspect = suspect
      fact.pinned = (pins[point.id] ?? metadata.pinned) && ends[point.id].map { now < $0 } ?? true
      fact.proven = proven.contains(point.id)
      return fact
    }
  }

  private func isProved(_ point: StoredPoint, _ repository: Repository, _ identity: RepositoryIdentity?) -> Bool {
    guard !point.isDamaged, !point.archiveMissing else { return false }
    guard point.metadata.cipher == .aes256GCM, !credentials.isEmpty else { return true }
    return (try? repository.head(of: point)).flatMap { $0 }.map { repository.opens($0, identity) } ?? false
  }

  /// Returns those of the backups that may still be removed, if another process had the lock since
  /// the last look.
  ///
  /// - Parameters:
  ///   - left: the rest of `going`.
  ///   - census: the last look at the files.
  private func recheck(
    _ left: ArraySlice<StoredPoint>, of going: [StoredPoint], _ basis: CleanupBasis, _ repository: Repository,
    _ census: inout RepositoryCensus
  ) throws -> [StoredPoint] {
    let now = try RepositoryCensus(repository)
    defer { census = now }
    let ids = Set(left.map(\.id))
    let gone = Set(going.map(\.id)).subtracting(ids)
    if let newcomers = now.newcomers(since: census, without: gone),
      try repository.index().areHarmless(newcomers, to: ids)
    {
      return Array(left)
    }
    var basis = basis
    basis.points = try repository.points(warns: false, acquitted: basis.acquitted)
    try basis.points.requireReadable(to: Self.deciding)
    let decision = try decide(basis, repository, at: basis.time)
    let due = decision.refused == nil ? Set(decision.remove.map(\.id)) : []
    return left.filter { due.contains($0.id) }
  }

  /// The error of an interrupted removal, with the number of removed backups; nil if none was
  /// removed.
  static func interrupted(_ removed: Int, of planned: Int) -> HoldfastError? {
    guard removed > 0 else { return nil }
    return HoldfastError(
      .interrupted, "interrupted after \(removed) of \(planned) backups were removed",
      hint: "the remaining backups are usable; run the same command again to remove the rest")
  }

  /// Records that backups which this host removed itself are not missing.
  ///
  /// - Parameter removed: the backups that were removed, or were to be removed.
  func forgetRemoved(_ removed: [StoredPoint], _ repository: Repository) throws {
    guard let highest = removed.compactMap(\.metadata.sequence).max() else { return }
    try repository.exclusively(patience: environment.repositoryPatience) {
      guard var state = try repository.hostState(), highest >= state.expectedSequence else { return }
      let newest = repository.numbers.newest(of: try repository.everything(), repository.storedIdentity())
      guard newest < state.expectedSequence else { return }
      state.expectedSequence = newest
      try repository.save(state)
    }
  }
}

extension RepositoryIndex {
  /// Whether backups that were stored meanwhile change nothing about a removal: they need no
  /// removed backup and hold none.
  fileprivate func areHarmless(_ newcomers: [PointID], to going: Set<PointID>) throws -> Bool {
    try newcomers.allSatisfy { id in
      guard let point = try point(id), !point.isDamaged, !point.archiveMissing else { return false }
      return point.metadata.openAnomalies.isEmpty && point.metadata.parentID.map { !going.contains($0) } ?? true
    }
  }
}

// MARK: - Looking ahead

extension Engine {
  /// The file system of the backups.
  package func space() throws -> SpaceFacts {
    SpaceFacts(free: try environment.files.freeSpace(folder), capacity: try environment.files.capacity(folder))
  }

  /// The holds of anomalies at this moment.
  package func holds(_ policy: RetentionPolicy) throws -> [AnomalyHold] {
    let repository = try repository()
    let points = try repository.points()
    let time = try clockVerdict(.waiting, points).time
    return policy.holds(try retentionPoints(points, repository, at: time), now: time)
  }

  /// Simulates the content of the repository in the coming days, if backups continue at the present
  /// rate. Nothing is changed.
  ///
  /// - Throws: `pointNotFound` if there is no repository, or no full in it from which to estimate.
  package func simulate(_ settings: RepositorySimulation.Settings, days: Int) throws -> RepositorySimulation {
    let repository = try repository()
    let points = try retentionPoints(repository.points(), repository, at: environment.now())
    guard let pace = RepositoryPace(points) else {
      throw HoldfastError(
        .pointNotFound, "\(folder) has no full backup to estimate from", hint: "store one first: holdfast create")
    }
    return RepositorySimulation(points.map { SimulatedPoint($0) }, pace, settings, from: environment.now(), days: days)
  }
}

/// The backups that a manual removal takes away.
package struct RemovalPlan: Sendable {
  /// The backup that the user named.
  package let point: StoredPoint
  /// All backups to remove, in the order of removal: children before their parents, the named one
  /// last.
  package let points: [StoredPoint]

  /// Bytes of all archives.
  package var archiveBytes: Int64 { points.reduce(0) { $0.addingClamped($1.metadata.compressedSize) } }
}

extension Engine {
  /// Plans the removal of a backup.
  ///
  /// - Parameter withChildren: also removes the backups that need it.
  /// - Throws: `refused` if others need it and are not to be removed, and if one of them is pinned.
  package func planDelete(_ reference: String, withChildren: Bool = false) throws -> RemovalPlan {
    let repository = try repository()
    let point = try repository.point(reference)
    let children = try repository.points().descendants(of: point.id)
    guard withChildren || children.isEmpty else { throw Self.refusal(point.id, neededBy: children) }
    try Self.requireUnpinned([point] + children, for: point.id, repository)
    return RemovalPlan(point: point, points: children.reversed() + [point])
  }

  /// Executes a plan: metadata first, then the archive, so that a listed backup can always be
  /// restored. Each lock covers a few backups, so that others wait only briefly. A backup that is
  /// already gone is no error.
  ///
  /// - Throws: `factsChanged` if a backup was stored meanwhile that needs one of them; some may be
  ///   removed by then.
  package func delete(_ plan: RemovalPlan, progress: Progress = Progress()) throws {
    let repository = try repository()
    // Also if it stops half-way: by then this process removed the missing ones.
    defer { try? forgetRemoved(plan.points, repository) }
    var run = RemovalRun(of: plan.points, repository, environment, progress)
    while let lock = try run.lock() {
      defer { lock.end() }
      if !lock.isUndisturbed { run.keepOnly(try recheck(run.left, of: plan, repository)) }
      try run.removeSome()
    }
  }

  /// Returns those of the backups that are still the same, if another process had the lock.
  private func recheck(
    _ left: ArraySlice<StoredPoint>, of plan: RemovalPlan, _ repository: Repository
  ) throws -> [StoredPoint] {
    let planned = Set(plan.points.map(\.id))
    let points = try repository.points(warns: false)
    if let child = points.first(where: { $0.isIncremental && !planned.contains($0.id) && $0.needs(planned) }) {
      throw Self.newChild(child, plan.point.id)
    }
    try Self.requireUnpinned(points.filter { planned.contains($0.id) }, for: plan.point.id, repository)
    let current = Dictionary(points.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    return left.compactMap { point in
      current[point.id].flatMap { $0.metadata.sequence == point.metadata.sequence ? $0 : nil }
    }
  }

  /// Removes one backup.
  ///
  /// - Parameter withChildren: also removes the backups that need it, the newest first.
  /// - Throws: `refused` if others need it and are not to be removed.
  package func delete(_ reference: String, withChildren: Bool = false) throws -> PointID {
    let plan = try planDelete(reference, withChildren: withChildren)
    try delete(plan)
    return plan.point.id
  }

  private static func refusal(_ id: PointID, neededBy children: [StoredPoint]) -> HoldfastError {
    let shown = children.reversed().prefix(5).map(\.id.text).joined(separator: ", ")
    let more = children.count > 5 ? " and \(children.count - 5) more" : ""
    return HoldfastError(
      .refused, "cannot delete \(id): \(children.count) backup\(children.count == 1 ? " needs" : "s need") it",
      hint:
        "holdfast delete --with-children \(id) also removes them; or delete these first, in order: \(shown)\(more)")
  }

  private static func requireUnpinned(
    _ points: [StoredPoint], for id: PointID, _ repository: Repository
  ) throws {
    let pins = try repository.pins.read()
    guard let pinned = points.first(where: { pins[$0.id] ?? $0.metadata.pinned }) else { return }
    let whose = pinned.id == id ? "it" : "\(pinned.id), which needs it,"
    throw HoldfastError(
      .refused, "cannot delete \(id): \(whose) is pinned", hint: "run holdfast unpin \(pinned.id) first")
  }

  private static func newChild(_ child: StoredPoint, _ id: PointID) -> HoldfastError {
    HoldfastError(
      .factsChanged, "cannot delete \(id) as planned: \(child.id), which needs it, was stored meanwhile",
      hint: "run the command again to see the new plan")
  }
}

extension StoredPoint {
  /// Whether its parent is among these.
  fileprivate func needs(_ ids: Set<PointID>) -> Bool { metadata.parentID.map { ids.contains($0) } ?? false }
}
