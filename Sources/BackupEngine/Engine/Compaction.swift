import BackupPolicy

/// The result of a compaction.
package struct CompactionOutcome: Sendable {
  /// The executed steps, with the bytes that remain of each.
  package var done: [(step: CompactionStep, bytesAfter: Int64)] = []
  /// The steps that were skipped, with the reason: unreadable archives, or backups that changed
  /// meanwhile.
  package var skipped: [(step: CompactionStep, error: HoldfastError)] = []
  /// The backups that are old enough for removal and stay because a retention rule names them.
  package var kept: [RetentionVerdict] = []

  package init() {}
}

extension Engine {
  /// Returns the steps that ``compact(_:keeping:within:progress:)`` would execute now.
  package func planCompaction(
    _ policy: CompactionPolicy, keeping retention: RetentionPolicy? = nil, promised: [PointID: [String]] = [:],
    clock reliance: ClockReliance = .refusing
  ) throws -> CompactionPlan {
    try plan(policy, retention, repository(), reliance, promised).plan
  }

  /// Compacts the repository's incrementals. Other processes may store, read and remove meanwhile:
  /// the lock is held only for the moments in which files are replaced.
  ///
  /// - Parameters:
  ///   - retention: the rules in force, because the backups that they name stay; nil if there are
  ///     no rules.
  ///   - promised: more backups that stay, with the reasons.
  ///   - host: an agent that stores incrementals, perhaps at the same time. With it, the agent need
  ///     not read the repository again.
  /// - Throws: `keyMissing`, `wrongKey`, `busy`, `interrupted` and failures of the machine. By then
  ///   each step is done or undone.
  package func compact(
    _ policy: CompactionPolicy, keeping retention: RetentionPolicy? = nil, promised: [PointID: [String]] = [:],
    within host: (any CompactionHost)? = nil, clock reliance: ClockReliance = .refusing,
    progress: Progress = Progress()
  ) throws -> CompactionOutcome {
    let repository = try repository()
    var outcome = CompactionOutcome()
    while true {
      let (plan, points) = try plan(policy, retention, repository, reliance, promised)
      outcome.kept = plan.kept
      let compactor = compactor(repository, points, host, progress)
      let skipped = Set(outcome.skipped.map(\.step.removed))
      // Merged links have fewer pages than was known before, so that another round may find more to
      // do.
      let steps = plan.steps.filter { !skipped.contains($0.removed) }
      if steps.isEmpty { return outcome }
      for (number, step) in steps.enumerated() {
        do {
          try progress.update(.compacting, Int64(number), of: Int64(steps.count))
          try perform(step, compactor, &outcome)
        } catch let error as HoldfastError where error.code == .interrupted && !outcome.done.isEmpty {
          throw Self.interrupted(outcome)
        }
        if let done = outcome.done.last, done.step == step { host?.lighten(done, points) }
      }
    }
  }

  /// The error of an interrupted compaction, with the number of backups that it removed before.
  private static func interrupted(_ outcome: CompactionOutcome) -> HoldfastError {
    let count = outcome.done.reduce(0) { $0 + $1.step.removed.count }
    return HoldfastError(
      .interrupted, "interrupted after \(count) backup\(count == 1 ? " was" : "s were") merged into others",
      hint: "the remaining backups are usable; run the same command again for the rest")
  }

  private func perform(_ step: CompactionStep, _ compactor: Compactor, _ outcome: inout CompactionOutcome) throws {
    do {
      outcome.done.append((step, try compactor.run(step)))
    } catch let failure as ChainFailure {
      outcome.skipped.append((step, failure.error(for: step.survivor ?? failure.link)))
    } catch let error as HoldfastError where [.factsChanged, .verificationFailed, .archiveCorrupt].contains(error.code)
    {
      outcome.skipped.append((step, error))
    }
  }

  private func compactor(
    _ repository: Repository, _ points: [StoredPoint], _ host: (any CompactionHost)?, _ progress: Progress
  ) -> Compactor {
    let patience = environment.repositoryPatience.stopped(by: progress)
    let parents = points.map { ($0.id, $0.metadata.parentID) }
    return Compactor(
      repository: repository, environment: environment, level: defaults.level, progress: progress,
      known: Dictionary(parents, uniquingKeysWith: { first, _ in first })
    ) { touched, body in
      guard let host else { return try repository.exclusively(patience: patience, body) }
      try host.maintain(touching: touched, body)
    }
  }

  private func plan(
    _ policy: CompactionPolicy, _ retention: RetentionPolicy?, _ repository: Repository, _ reliance: ClockReliance,
    _ promised: [PointID: [String]] = [:]
  ) throws -> (plan: CompactionPlan, points: [StoredPoint]) {
    let points = try repository.points()
    try points.requireReadable(to: "decide which backups can be merged")
    let clock = try clockVerdict(reliance, points)
    let planned = try plan(policy, retention, points, repository, at: clock.time, promised)
    if reliance == .refusing, let doubt = clock.doubt,
      try plan(policy, retention, points, repository, at: environment.now(), promised).steps != planned.steps
    {
      throw Self.refusedByClock(doubt)
    }
    return (planned, points)
  }

  private func plan(
    _ policy: CompactionPolicy, _ retention: RetentionPolicy?, _ points: [StoredPoint], _ repository: Repository,
    at now: Timestamp, _ others: [PointID: [String]]
  ) throws -> CompactionPlan {
    let suspects = points.map(\.metadata.created).clockSuspects(now: now)
    let proven = provenPoints(points, repository)
    let facts = zip(points, suspects).map { point, isSuspect in
      var facts = Point(point.metadata)
      facts.clockSuspect = isSuspect
      facts.proven = proven.contains(point.id)
      return facts
    }
    var promised = try retention.map { try self.promised(by: $0, points, repository, at: now) } ?? [:]
    promised.merge(others) { $0 + $1 }
    return policy.plan(facts, promised: promised, now: now)
  }

  /// Returns the backups that the rules name, and those that the rules cannot judge because they
  /// cannot be read or proven. Such a backup may be the very one that a rule would name, so it is
  /// not removed.
  ///
  /// - Throws: `wrongKey` if no backup at all can be judged for this reason.
  private func promised(
    by retention: RetentionPolicy, _ points: [StoredPoint], _ repository: Repository, at now: Timestamp
  ) throws -> [PointID: [String]] {
    guard retention.rules.nameIncrementals, let newest = points.last else { return [:] }
    let seen = try retentionPoints(points, repository, at: now)
    if seen.isEmpty { try requireKey(to: newest) }
    let ids = Set(seen.map(\.id))
    var promised = retention.promised(seen)
    for point in points where !ids.contains(point.id) { promised[point.id] = [Self.unseen] }
    return promised
  }

  private static let unseen = "it cannot be opened, so no rule can judge it"
}

/// A component that stores incrementals beside a compaction, and knows the newest backup and the
/// size of its chain.
///
/// A compaction calls it from its own thread, for the moments in which files are replaced. In
/// between, it reads and writes archives, which takes most of the time.
package protocol CompactionHost {
  /// Runs `body`, which merges or removes some backups, under the repository's lock.
  func maintain(touching points: Set<PointID>, _ body: () throws -> Void) throws
  /// A chain became smaller: by this number of incrementals and of bytes.
  func lighten(_ chain: PointID, incrementals: Int, bytes: Int64)
}

extension CompactionHost {
  /// Reports to the host that its chain became smaller, if the step belonged to it.
  fileprivate func lighten(_ done: (step: CompactionStep, bytesAfter: Int64), _ points: [StoredPoint]) {
    guard let chain = points.first(where: { $0.id == done.step.removed[0] })?.metadata.chainID else { return }
    lighten(chain, incrementals: done.step.removed.count, bytes: done.step.bytesBefore - done.bytesAfter)
  }
}
