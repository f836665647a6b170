import BackupPolicy

/// The result of a restore.
///
/// ```swift
/// let outcome = try await service.restore(backup.id)
/// if let safety = outcome.safetyBackupID { print("the content before the restore is \(safety)") }
/// ```
public struct RestoreOutcome: Sendable {
  /// The plan with the executed steps. They are those of the given plan, unless the staged image
  /// did not match the metadata.
  public package(set) var plan: RestorePlan
  /// The backup of the former content; nil if there was no content, or if the request waived the
  /// backup.
  public package(set) var safetyBackupID: PointID?
  /// Messages about the result that a person should know; lower case, no full stop.
  public package(set) var warnings: [String]
}

extension Engine {
  /// Decides what a restore would do, or why it is refused.
  ///
  /// - Parameter source: the engine of the repository that has the backup; nil for this one's own.
  package func planRestore(_ request: RestoreRequest, from source: Engine? = nil) throws -> RestoreDecision {
    let repository = try (source ?? self).repository()
    var request = request
    request.target = request.target.resolved
    let planner = RestorePlanner(
      repository: repository, environment: environment,
      home: source == nil ? repository.folder : folder.tidyAbsolutePath)
    return try planner.decide(request, repository.point(request.pointID.text))
  }

  /// Executes a plan. The safety backup and the record of the restore are stored in this engine's
  /// repository, which is made if it is missing.
  ///
  /// - Parameter source: as for the plan.
  package func restore(
    _ plan: RestorePlan, from source: Engine? = nil, progress: Progress = Progress()
  ) throws -> RestoreOutcome {
    let engine = source ?? self
    let repository = try engine.repository()
    let point = try repository.point(plan.request.pointID.text)
    let home = source == nil ? repository : try homeRepository(of: plan)
    var safety = defaults
    // If a repository has no encrypted backup, it works without a key. If it has one, it never gets
    // a plain safety backup.
    if credentials.isEmpty, try !(home?.everything() ?? []).contains(where: \.name.encrypted) { safety.encrypt = false }
    if plan.request.safetyBackup, safety.encrypt, credentials.isEmpty {
      throw Credentials.missing(for: "the safety backup")
    }
    do {
      try engine.requireKey(to: point)
      return try RestoreExecutor(
        plan, point, repository: repository, home: home, environment: environment, progress: progress, safety: safety
      ).run()
    } catch var error as HoldfastError {
      if let broken = error.brokenLink {
        error.hint = repository.advice(besides: broken.id)
      } else if error.hint == nil, error.code.exitCode == 3 {
        error.hint = repository.advice(besides: point.id)
      }
      throw error.during("restore \(point.id)")
    }
  }

  /// The repository for the safety backup and the record of a restore from elsewhere; nil if
  /// neither is stored.
  ///
  /// - Throws: also `refused` if this host knows a repository there and it is missing, and the
  ///   content that the restore replaces would have no safety backup.
  private func homeRepository(of plan: RestorePlan) throws -> Repository? {
    guard case .database = plan.request.target else { return nil }
    do {
      return try repository(create: true)
    } catch let error as HoldfastError where error.code == .refused {
      guard !plan.steps.contains(where: \.kind.isSafety) else { throw error }
      environment.logger.warning("the restore is not recorded: \(error.message)")
      return nil
    }
  }

  /// Whether the database may now hold the content of a restore that no backup has yet.
  package func wasJustRestored() throws -> Bool {
    let path = try requireDatabase().resolvingLinks
    let repository = try repository()
    let journal = RestoreJournal(repository: repository)
    guard try !journal.isEmpty else { return false }
    let sequence = try repository.points().last { $0.metadata.mayBeParent }?.metadata.sequence ?? 0
    return try journal.restored(into: path, after: sequence, now: environment.now()) != nil
  }
}
