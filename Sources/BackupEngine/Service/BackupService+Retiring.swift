import BackupPolicy

extension BackupService {
  /// Removes one point and all its files.
  ///
  /// Any point may be removed by hand, the newest verified one too. Removing one that is gone by now is no error once it
  /// was found.
  ///
  /// - Throws: `HoldfastError`: `pointNotFound`, `busy`, `permissionDenied`, `ioError`.
  public func delete(_ id: PointID) async throws {
    _ = try await BlockingWork.run("delete \(id)") { _ in try self.delete(id.text) }
  }

  /// What ``deleteOld(by:progress:)`` would keep and remove now, and why. Nothing is removed.
  ///
  /// - Throws: `HoldfastError`: `pointNotFound` where there is no repository, `usage` for a rule below 1.
  public func planDeleteOld(
    by policy: RetentionPolicy, trustingClock: Bool = false
  ) async throws -> RetentionDecision {
    try await BlockingWork.run("plan a cleanup") { _ in
      try Self.meant(self.planCleanup(policy, clock: trustingClock ? .trusting : .refusing))
    }
  }

  /// Removes what a policy does not keep, in small batches, each under the repository's lock.
  ///
  /// Whatever the policy says, the newest verified point stays, safety backups stay for their grace period, and points that
  /// nothing authenticates are neither counted nor removed. Without any rule nothing goes.
  ///
  /// - Parameters:
  ///   - policy: what to keep.
  ///   - trustingClock: this machine's clock is right, although it jumped or was never confirmed.
  ///   - progress: called with points that are gone.
  /// - Returns: each point that stayed and each that went, with its reasons.
  /// - Throws: `HoldfastError`: `pointNotFound` where there is no repository, `usage` for a rule below 1,
  ///   `refused` if more would go by the clock than by the time that is believed, `busy`, `permissionDenied`, `ioError`, `interrupted`; some points may be gone by then.
  @discardableResult
  public func deleteOld(
    by policy: RetentionPolicy, trustingClock: Bool = false, progress: ProgressReport? = nil
  ) async throws -> RetentionDecision {
    try await BlockingWork.run("delete old backups", report: progress) {
      try Self.meant(self.cleanup(policy, clock: trustingClock ? .trusting : .refusing, progress: $0))
    }
  }

  /// Removes all but the newest backups: ``deleteOld(by:progress:)`` with a count alone.
  ///
  /// - Parameter count: how many to keep, at least 1. Safety backups are not counted.
  /// - Throws: `HoldfastError`: as ``deleteOld(by:progress:)``.
  @discardableResult
  public func deleteOld(keeping count: Int = 30) async throws -> RetentionDecision {
    try await deleteOld(by: RetentionPolicy(keepLast: count))
  }

  /// Figures of the whole repository, from its metadata.
  ///
  /// - Throws: `HoldfastError`: `pointNotFound` where there is no repository.
  public func stats() async throws -> RepositoryStatistics {
    try await BlockingWork.run("count the backups") { _ in try self.statistics() }
  }

  private static func meant(_ decision: RetentionDecision) throws -> RetentionDecision {
    guard let refused = decision.refused else { return decision }
    throw HoldfastError(.usage, "nothing was removed: \(refused)", hint: "give each rule at least 1")
  }
}
