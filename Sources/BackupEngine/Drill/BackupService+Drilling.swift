import BackupPolicy
import SQLitePages

extension BackupService {
  /// Restores a point to scratch space, checks what comes out, and keeps in the history what came of it.
  ///
  /// A drill of which all checks passed counts as a verification too, and one that finds an archive damaged records that.
  ///
  /// - Returns: the drill, whether it passed or failed.
  /// - Throws: `HoldfastError` for what is no drill: `interrupted`, `busy`, `refused` for a copy of damaged files,
  ///   `unauthenticated`, `pointNotFound` where it is gone by now.
  package func drill(
    _ point: StoredPoint, _ request: DrillRequest, progress: Progress = Progress()
  ) throws -> DrillRecord {
    let repository = try repository()
    var run = DrillRun(point, request, self, repository, progress)
    do {
      try run.run(point)
    } catch let error as HoldfastError {
      throw error.during("drill \(point.id)")
    }
    var record = run.record
    if let note = noteVerification(record, of: point, request, repository, progress) { record.notes.append(note) }
    return keep(record, repository)
  }

  private func keep(_ record: DrillRecord, _ repository: Repository) -> DrillRecord {
    do {
      return try DrillHistory(repository: repository).append(record, patience: environment.repositoryPatience)
    } catch {
      var record = record
      record.notes.append("the drill was not recorded: \((error as? HoldfastError)?.message ?? "\(error)")")
      return record
    }
  }

  /// - Returns: why it could not be noted, where it could not.
  private func noteVerification(
    _ record: DrillRecord, of point: StoredPoint, _ request: DrillRequest, _ repository: Repository,
    _ progress: Progress
  ) -> String? {
    if record.failure?.step == .restore, record.failure?.speaksAgainstPoint == true {
      // Which of the archives is at fault, and in what way, a verification tells.
      _ = try? verify(point.id.text, progress: progress)
      return nil
    }
    guard !request.isQuick, record.checks.contains(where: { $0.name == Check.Name.integrity }) else { return nil }
    var verification = Verification(id: point.id, depth: .full, checks: [], date: environment.now())
    verification.checks = record.checks.filter { Self.verifying.contains($0.name) }
    if verification.verified, let digest = point.metadata.digest.flatMap({ [UInt8](hex: $0) }),
      record.checks.contains(where: { $0.name == Check.Name.integrity && $0.outcome == .passed })
    {
      CheckMemo(repository: repository).remember(digest, .full, at: verification.date)
    }
    return VerificationRecord(repository: repository, environment: environment).store(verification, of: point)
  }

  private static let verifying: Set<String> = [
    DrillStep.restore.rawValue, Check.Name.integrity, Check.Name.foreignKeys,
  ]

  /// Any sound point of the database's own history.
  ///
  /// - Throws: `pointNotFound` where there is none.
  package func randomPoint(using generator: inout some RandomNumberGenerator) throws -> StoredPoint {
    let points = try repository().points()
    guard let point = points.filter({ $0.obstacle == nil }).randomElement(using: &generator) else {
      throw HoldfastError.noSoundPoint(of: points.count)
    }
    return point
  }

  /// The points that passed a drill; none where the history cannot be read, which keeps nobody from removing others.
  func provenPoints(_ points: [StoredPoint], _ repository: Repository) -> Set<PointID> {
    let drills = (try? DrillHistory(repository: repository).load()) ?? []
    return drills.isEmpty ? [] : Set(DrillFigures(drills, points).proofs.keys)
  }

  /// The drills and what they prove; see ``DrillFigures``.
  package func drillFigures() throws -> DrillFigures {
    let repository = try repository()
    return DrillFigures(try DrillHistory(repository: repository).load(), try repository.points(warns: false))
  }

  /// All points, the newest first, those that passed a drill marked, and the drills.
  package func listWithProofs() throws -> (points: [StoredPoint], drills: DrillFigures) {
    let repository = try repository()
    let points = try repository.points()
    let drills = DrillFigures(try DrillHistory(repository: repository).load(), points)
    return (points.reversed().map(drills.marked), drills)
  }
}
