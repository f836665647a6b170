import BackupPolicy

/// The options of a drill.
package struct DrillRequest: Sendable {
  /// The assertions about the restored database.
  package var assertions: [DrillAssertion]
  package var trigger: DrillRecord.Trigger
  /// Runs SQLite's quick check instead of the full one; the backup then does not count as verified.
  package var isQuick: Bool

  package init(
    assertions: [DrillAssertion] = [], trigger: DrillRecord.Trigger = .manual, isQuick: Bool = false
  ) {
    self.assertions = assertions
    self.trigger = trigger
    self.isQuick = isQuick
  }
}

extension Engine {
  /// Restores a backup to scratch space, checks the restored database, and records the result in
  /// the history.
  ///
  /// A drill whose checks all passed also counts as a verification. A drill that finds a damaged
  /// archive records that.
  ///
  /// - Returns: the drill, whether it passed or failed.
  /// - Throws: `HoldfastError` if there was no drill: `interrupted`, `busy`, `refused` for a copy
  ///   of damaged files, `unauthenticated`, `pointNotFound` if the backup is gone by now.
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
    if let note = recordVerification(run, of: point, repository, progress) { record.notes.append(note) }
    return keep(record, repository, progress)
  }

  private func keep(_ record: DrillRecord, _ repository: Repository, _ progress: Progress) -> DrillRecord {
    do {
      let patience = environment.repositoryPatience.stopped(by: progress)
      return try DrillHistory(repository: repository).append(record, patience: patience)
    } catch {
      var record = record
      record.notes.append("the drill was not recorded: \((error as? HoldfastError)?.message ?? "\(error)")")
      return record
    }
  }

  /// - Returns: the reason, if the result could not be recorded.
  private func recordVerification(
    _ run: DrillRun, of point: StoredPoint, _ repository: Repository, _ progress: Progress
  ) -> String? {
    let record = run.record
    let memory = VerificationRecord(repository: repository, environment: environment, progress: progress)
    if record.failure?.step == .restore, record.failure?.speaksAgainstPoint == true {
      // A verification determines the archive at fault and its defect.
      _ = try? verify(point.id.text, progress: progress)
      return nil
    }
    if run.request.isQuick { return memory.store(findings: run.findings, of: point) }
    guard record.checks.contains(where: { $0.name == Check.Name.integrity }) else { return nil }
    var verification = Verification(id: point.id, depth: .full, checks: [], date: environment.now())
    verification.checks = record.checks.filter { Self.verifying.contains($0.name) }
    verification.findings = run.findings
    let hasPassed = record.checks.contains { $0.name == Check.Name.integrity && $0.outcome == .passed }
    verification.checkedContent = hasPassed || !run.findings.isEmpty
    if verification.verified, hasPassed, let digest = point.metadata.digest.flatMap({ [UInt8](hex: $0) }) {
      CheckMemo(repository: repository).remember(digest, .full, at: verification.date)
    }
    return memory.store(verification, of: point)
  }

  private static let verifying: Set<String> = [
    DrillStep.restore.rawValue, Check.Name.integrity, Check.Name.foreignKeys,
  ]

  /// Any sound backup of the database's own history.
  ///
  /// - Throws: `pointNotFound` if there is no backup; `verificationFailed` if all are damaged.
  package func randomPoint(using generator: inout some RandomNumberGenerator) throws -> StoredPoint {
    let points = try repository().points()
    guard let point = points.filter({ $0.obstacle == nil }).randomElement(using: &generator) else {
      throw HoldfastError.noSoundPoint(among: points.map { Point($0) })
    }
    return point
  }

  /// The backups that passed a drill. Empty if the history cannot be read, which must not prevent
  /// the removal of other backups.
  func provenPoints(_ points: [StoredPoint], _ repository: Repository) -> Set<PointID> {
    let drills = (try? DrillHistory(repository: repository).load()) ?? []
    return drills.isEmpty ? [] : Set(DrillFigures(drills, points).proofs.keys)
  }

  /// The drills and the backups that they prove; see ``DrillFigures``.
  package func drillFigures() throws -> DrillFigures {
    let repository = try repository()
    return DrillFigures(try DrillHistory(repository: repository).load(), try repository.points(warns: false))
  }

  /// All backups, newest first, with the proven ones marked, and the drills.
  package func listWithDrills() throws -> (points: [StoredPoint], drills: DrillFigures) {
    let repository = try repository()
    let points = try repository.points()
    let drills = DrillFigures(try DrillHistory(repository: repository).load(), points)
    return (points.reversed().map(drills.marked), drills)
  }
}
