import BackupPolicy

extension BackupService {
  /// What a restore would do. Nothing is changed; ``execute(_:progress:)`` carries this very value out.
  ///
  /// - Parameters:
  ///   - id: the point to restore.
  ///   - newFile: a path where nothing is, to restore to instead of into the database.
  ///   - verifyFirst: prove the archive, and check the database in it, before it is installed.
  ///   - createSafetyBackup: store what the database holds now before it is touched.
  ///   - recheck: run SQLite's checks even where the same content passed them before.
  ///   - acceptUnauthenticated: restore a point although nothing proves where it comes from.
  /// - Throws: `HoldfastError`: why the restore would be refused and what to do instead; `pointNotFound`, `keyMissing`,
  ///   `wrongKey`, `busy`, `noSpace`, `refused`, `unauthenticated`, `verificationFailed`.
  public func planRestore(
    _ id: PointID, to newFile: String? = nil, verifyFirst: Bool = true, createSafetyBackup: Bool = true,
    recheck: Bool = false, acceptUnauthenticated: Bool = false
  ) async throws -> RestorePlan {
    let target: RestoreTarget = try newFile.map { .newFile(path: $0) } ?? .database(path: requireDatabase())
    let request = RestoreRequest(
      pointID: id, target: target, safetyBackup: createSafetyBackup, verifyFirst: verifyFirst, recheck: recheck,
      acceptUnauthenticated: acceptUnauthenticated)
    return try await BlockingWork.run("plan a restore") { _ in try self.plan(request) }
  }

  /// Carries a plan out. The facts that it rests on are read again before each step that destroys something.
  ///
  /// A live restore is one transaction: programs that have the database open see all of it or nothing, and need no
  /// restart. A replacement is one rename. Where the call throws, the database is as it was, except that a failure to
  /// flush the folder says in its message that the content is in place.
  ///
  /// - Parameters:
  ///   - plan: from ``planRestore(_:to:verifyFirst:createSafetyBackup:recheck:acceptUnauthenticated:)`` of this service.
  ///   - progress: called with steps of the plan and with bytes, by the activity.
  /// - Throws: `HoldfastError`: `factsChanged` where the plan does not fit any more (plan again), `busy`,
  ///   `verificationFailed`, `archiveCorrupt`, `wrongKey`, `noSpace`, `interrupted`.
  @discardableResult
  public func execute(_ plan: RestorePlan, progress: ProgressReport? = nil) async throws -> RestoreOutcome {
    try await BlockingWork.run("restore \(plan.pointID)", report: progress) { try self.restore(plan, progress: $0) }
  }

  /// Restores a point into the database: plans, and carries the plan out.
  ///
  /// - Parameters:
  ///   - id: the point to restore.
  ///   - verifyFirst: prove the archive, and check the database in it, before it is installed.
  ///   - createSafetyBackup: store what the database holds now before it is touched.
  ///   - progress: called with steps of the plan and with bytes, by the activity.
  /// - Throws: `HoldfastError`: what
  ///   ``planRestore(_:to:verifyFirst:createSafetyBackup:recheck:acceptUnauthenticated:)`` and
  ///   ``execute(_:progress:)`` throw.
  @discardableResult
  public func restore(
    _ id: PointID, verifyFirst: Bool = true, createSafetyBackup: Bool = true, progress: ProgressReport? = nil
  ) async throws -> RestoreOutcome {
    let plan = try await planRestore(id, verifyFirst: verifyFirst, createSafetyBackup: createSafetyBackup)
    return try await execute(plan, progress: progress)
  }

  private func plan(_ request: RestoreRequest) throws -> RestorePlan {
    // Asked first: a mistyped password is told before anything else is looked at.
    try requireKey(to: point(request.pointID.text))
    switch try planRestore(request) {
    case .plan(let plan): return plan
    case .refuse(let refusal): throw refusal.error
    }
  }
}
