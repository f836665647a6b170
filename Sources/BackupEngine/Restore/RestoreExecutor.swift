import BackupPolicy
import SQLitePages

/// What a restore did.
public struct RestoreOutcome: Sendable {
  /// The plan as it was carried out; steps behind the staging may differ from those planned.
  public package(set) var plan: RestorePlan
  package var executed: Bool
  /// The point that holds what was there before; nil where nothing was, or where the backup was waived.
  public package(set) var safetyBackupID: PointID?
  /// What is worth knowing about the result; lower case, no full stop.
  public package(set) var warnings: [String]
}

/// Does what a ``RestorePlan`` says, step by step; each destructive step reads again the facts it relies on.
final class RestoreExecutor {
  let repository: Repository
  let environment: EngineEnvironment
  /// Hears requests to stop until the content is in place; afterwards a restore that is done is never called interrupted.
  private(set) var progress: Progress
  let point: StoredPoint
  let safetyRequest: CreateRequest
  var plan: RestorePlan
  var staged: StagedImage?
  var safety: StoredPoint?
  /// Where in the target's history the safety backup stands.
  var safetyPosition: SnapshotPosition?
  var warnings: [String]
  /// Side files that were moved away from a target that cannot be opened: new name and old.
  var movedAside: [(from: String, to: String)] = []
  /// Whether the database is, or was, about to change, and whether it did.
  var installing = Installing.notYet
  /// The restore as the repository notes it, once the database is about to change.
  var note: RestoreNote?
  /// See ``RestoreNote/rewrittenBytes``.
  var rewrittenBytes: [UInt8]?

  var files: any FileOperations { environment.files }
  var target: String { plan.facts.target.path }
  var inspector: TargetInspector { TargetInspector(target, environment) }

  init(
    _ plan: RestorePlan, _ point: StoredPoint, repository: Repository, environment: EngineEnvironment,
    progress: Progress, safetyRequest: CreateRequest
  ) {
    self.plan = plan
    self.point = point
    self.repository = repository
    self.environment = environment
    self.progress = progress
    self.safetyRequest = safetyRequest
    warnings = plan.warnings
  }

  func run() throws -> RestoreOutcome {
    var index = 0
    do {
      // By index: the plan may change behind the staging step.
      while index < plan.steps.count {
        try progress.update(.restoring, Int64(index), of: Int64(plan.steps.count))
        try run(plan.steps[index])
        index += 1
      }
    } catch {
      putBackSideFiles()
      unmark()
      throw error
    }
    return RestoreOutcome(plan: plan, executed: true, safetyBackupID: safety?.id, warnings: warnings)
  }

  private func run(_ step: RestoreStep) throws {
    if step.kind.installs {
      progress.mustEnd()
      mark()
    }
    try recheck(step)
    switch step.kind {
    case .checkSpace: try checkSpace(step)
    case .safetyBackup:
      // What is written after it has to show.
      SQLitePages.FileFacts.waitForOldStamps(of: target)
      try makeSafetyBackup()
    case .damagedSafetyCopy: try copyDamaged()
    case .fetch: break  // Local repositories have nothing to fetch.
    case .verify: try verify()
    case .stage: try stage()
    case .integrityCheck: try checkIntegrity()
    case .installLive: try installLive()
    case .moveSideFiles: try moveSideFiles()
    case .installReplace: try installReplace()
    case .installNew: try installNew()
    case .sync: try syncFolder()
    case .record: record()
    }
    if step.kind.installs {
      contentIsInPlace()
      if installing == .begun { installing = .done }
    }
  }

  /// The point of no return.
  func contentIsInPlace() { progress = progress.unstoppable }

  private func recheck(_ step: RestoreStep) throws {
    guard let relied = step.reliesOn else { return }
    let inspector = inspector
    let now = CurrentFacts(
      identity: try inspector.identity(), sideFiles: try inspector.sideFiles(),
      layout: relied.layout == nil ? nil : try inspector.layout(),
      pointChecksum: relied.pointChecksum == nil
        ? nil : try repository.chain(of: repository.point(point.id.text)).fingerprint,
      freeSpace: try files.freeSpace(target.parentPath))
    guard let change = relied.contradiction(by: now) else { return }
    throw HoldfastError(
      .factsChanged, "facts changed before \(step.kind.rawValue): \(target): \(change)",
      hint: "nothing was installed; run the command again")
  }

  /// The content is in place by now: the failure is one of its durability alone.
  func syncFolder() throws {
    do {
      try files.syncFolder(target.parentPath)
    } catch let error as HoldfastError {
      throw HoldfastError(
        error.code, "\(target) is restored, and may not survive a loss of power: \(error.message)",
        hint: error.hint ?? "run sync, and check the disk", cause: error)
    }
  }

  private func checkSpace(_ step: RestoreStep) throws {
    let needed = step.bytes ?? 0
    var free = try files.freeSpace(target.parentPath)
    if !plan.facts.sameFileSystem {
      free = free.addingClamped(try files.freeSpace(repository.folder))
    }
    guard free < needed else { return }
    throw HoldfastError(
      .noSpace, "the restore needs \(ByteCount(needed)) and \(ByteCount(free)) is free", hint: "free some space first")
  }

  func makeSafetyBackup() throws {
    var request = safetyRequest
    request.backupType = .safety
    request.description = "before the restore of \(point.id)"
    let creator = BackupCreator(
      repository: repository, database: target, environment: environment, progress: progress)
    let (metadata, position, _) = try creator.create(request)
    safetyPosition = position
    safety = try repository.point(metadata.id.text)
    // A safety backup that cannot be read back is none: prove it before anything is destroyed.
    let verification = try Verifier(repository: repository, environment: environment, progress: progress)
      .verify(try repository.point(metadata.id.text), .quick)
    guard verification.verified else {
      throw HoldfastError(
        .verificationFailed,
        "the safety backup \(metadata.id) does not verify: \(verification.errors.joined(separator: "; "))")
    }
  }

  private func copyDamaged() throws {
    let creator = BackupCreator(repository: repository, database: target, environment: environment, progress: progress)
    var request = safetyRequest
    request.backupType = .safety
    request.description = "damaged files as found before the restore of \(point.id)"
    let paths = [target] + plan.facts.target.sideFiles.map { inspector.side($0) }
    safety = try repository.point(try creator.createRaw(request, of: paths, database: target).id.text)
  }

  private func verify() throws {
    var quick = Verifier(repository: repository, environment: environment, progress: progress)
    quick.skipsChecksum = true
    let verification = try quick.verify(acceptable(point), .quick)
    guard verification.verified else {
      throw HoldfastError(
        .verificationFailed, "\(point.id) does not verify: \(verification.errors.joined(separator: "; "))",
        hint: "use another point; holdfast list shows them")
    }
  }

  /// The request accepted what this host cannot authenticate.
  private func acceptable(_ point: StoredPoint) -> StoredPoint {
    var point = point
    if plan.request.acceptUnauthenticated { point.metadata.status = .completed }
    return point
  }

  private func stage() throws {
    let staged = try StagedImage(
      point, beside: target, repository: repository, environment: environment, progress: progress,
      verify: plan.request.verifyFirst, acceptUnauthenticated: plan.request.acceptUnauthenticated)
    self.staged = staged
    rewrittenBytes = try staged.rewrittenBytes()
    switch RestorePolicy.confirm(plan, staged: try staged.facts()) {
    case .proceed(let confirmed): plan = confirmed
    case .refuse(let refusal): throw refusal.error
    }
  }

  private func checkIntegrity() throws {
    guard let staged, staged.archive.imageSize > 0 else { return }
    let memo = CheckMemo(repository: repository)
    if !plan.request.recheck, let digest = staged.archive.digest, memo.passed(digest, staged.chain) { return }
    let kind = memo.kind(for: staged.chain)
    switch try staged.checkIntegrity(kind) {
    case .passed:
      if let digest = staged.archive.digest { memo.remember(digest, kind, at: environment.now()) }
    case .skipped(let needs): warnings.append("the integrity check was skipped: it needs \(needs)")
    case .derivedDataDiffers(let messages): warnings.append(IntegrityCheck.derivedWords(messages))
    case .failed(let messages): try acceptFlaw(messages)
    }
  }

  /// The image is what was backed up, page for page, so the flaw was in the database then. If the plan did not warn of it, and
  /// nothing would keep what is about to be overwritten, it is asked for once more.
  private func acceptFlaw(_ messages: [String]) throws {
    guard !point.metadata.isFlawed else { return }
    let found = "SQLite's checks found a flaw in the database in \(point.id): \(messages.joined(separator: "; "))"
    guard plan.install == .newFile || safety != nil || plan.facts.target.state == .missing else {
      throw HoldfastError(
        .verificationFailed, "\(found); nothing was changed",
        hint: "without --no-safety-backup it is restored all the same, and so it is with --no-verify")
    }
    warnings.append(found)
  }
}
