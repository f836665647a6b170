import BackupPolicy
import SQLitePages

/// Executes a ``RestorePlan`` step by step. Each destructive step reads its facts again.
///
/// ``SafetyKeeper`` keeps the target's former content, ``MovedSideFiles`` the files that were moved
/// aside, and ``RestoreRecorder`` the restore's entry in the journal.
final class RestoreExecutor {
  /// Has the backup.
  private let repository: Repository
  /// Gets the safety backup and the record; nil if there are none.
  private let home: Repository?
  private let environment: EngineEnvironment
  private let point: StoredPoint
  private let safety: SafetyKeeper
  private let sideFiles: MovedSideFiles
  private let recorder: RestoreRecorder
  /// Accepts requests to stop until the content is in place. After that, a finished restore is
  /// never called interrupted.
  private var progress: Progress
  /// The steps after the staging may change when the image is staged.
  private var plan: RestorePlan
  private var staged: StagedImage?
  private var warnings: [String]

  private var files: any FileOperations { environment.files }
  private var target: String { plan.facts.target.path }
  private var inspector: TargetInspector { TargetInspector(target, environment) }

  init(
    _ plan: RestorePlan, _ point: StoredPoint, repository: Repository, home: Repository?,
    environment: EngineEnvironment, progress: Progress, safety archive: ArchiveOptions
  ) {
    self.plan = plan
    self.point = point
    self.repository = repository
    self.home = home
    self.environment = environment
    self.progress = progress
    safety = SafetyKeeper(of: plan.facts.target, before: point.id, archive, home, environment)
    sideFiles = MovedSideFiles(of: plan.facts.target.path, environment)
    recorder = RestoreRecorder(plan, home, environment)
    warnings = plan.warnings
  }

  func run() throws -> RestoreOutcome {
    var done: [RestoreStep] = []
    do {
      // By index: the plan may change after the staging step.
      while done.count < plan.steps.count {
        let step = plan.steps[done.count]
        try progress.update(.restoring, Int64(done.count), of: Int64(plan.steps.count))
        try run(step)
        done.append(step)
      }
    } catch {
      sideFiles.putBack()
      warnings += recorder.abandon(safety: safety.point)
      throw error
    }
    plan.steps = done
    return RestoreOutcome(plan: plan, safetyBackupID: safety.point?.id, warnings: warnings)
  }

  private func run(_ step: RestoreStep) throws {
    try recheck(step)
    if step.kind.installs {
      progress.mustEnd()
      // After the facts were checked again, and before the first byte of the database changes.
      recorder.begin(safety: safety.point)
    }
    switch step.kind {
    case .checkSpace: try checkSpace(step)
    case .safetyBackup:
      // The file's times must show any write that follows the backup.
      SQLitePages.FileFacts.waitForOldStamps(of: target)
      try safety.backUp(progress)
    case .damagedSafetyCopy: try safety.copyDamaged(progress)
    case .verify: try verify()
    case .stage: try stage()
    case .integrityCheck: try checkIntegrity()
    case .installLive: try installLive()
    case .moveSideFiles: try sideFiles.move(before: point.id)
    case .installReplace: try installReplace()
    case .installNew: try installNew()
    case .sync: try syncFolder()
    case .record: warnings += recorder.complete(safety: safety.point)
    }
    if step.kind.installs {
      contentIsInPlace()
      recorder.contentIsInPlace()
    }
  }

  /// The point of no return.
  private func contentIsInPlace() { progress = progress.unstoppable }

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

  /// The content is in place by now, so a failure concerns its durability alone.
  private func syncFolder() throws {
    do {
      try files.syncFolder(target.parentPath)
    } catch let error as HoldfastError {
      throw HoldfastError(
        error.code, "\(target) is restored, but may not survive a power loss: \(error.message)",
        hint: error.hint ?? "run sync, and check the disk", cause: error)
    }
  }

  private func checkSpace(_ step: RestoreStep) throws {
    let needed = step.bytes ?? 0
    var free = try files.freeSpace(target.parentPath)
    if !plan.facts.sameFileSystem {
      free = free.addingClamped(try home.map { try files.freeSpace($0.folder) } ?? 0)
    }
    guard free < needed else { return }
    throw HoldfastError(
      .noSpace, "the restore needs \(ByteCount(needed)), but only \(ByteCount(free)) is free",
      hint: "free some space first")
  }

  private func verify() throws {
    var quick = Verifier(repository: repository, environment: environment, progress: progress)
    quick.skipsChecksum = true
    let verification = try quick.verify(acceptable(point), .quick)
    guard verification.verified else {
      throw HoldfastError(
        .verificationFailed, "\(point.id) does not verify: \(verification.errors.joined(separator: "; "))",
        hint: "use another backup; holdfast list shows them")
    }
  }

  /// Returns the backup as completed if the request accepted one that this host cannot
  /// authenticate.
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
    recorder.setImage(rewrittenBytes: try staged.rewrittenBytes())
    var facts = try staged.facts()
    let memo = CheckMemo(repository: repository)
    facts.integrityKnown = staged.archive.digest.map { memo.passed($0, staged.chain) } ?? false
    switch RestorePolicy.confirm(plan, staged: facts) {
    case .proceed(let confirmed): plan = confirmed
    case .refuse(let refusal): throw refusal.error
    }
  }

  private func checkIntegrity() throws {
    guard let staged, staged.archive.imageSize > 0 else { return }
    let memo = CheckMemo(repository: repository)
    let kind = memo.kind(for: staged.chain)
    switch try staged.checkIntegrity(kind) {
    case .passed:
      if let digest = staged.archive.digest { memo.remember(digest, kind, at: environment.now()) }
    case .skipped(let needs): warnings.append("the integrity check was skipped: it needs \(needs)")
    case .derivedDataDiffers(let messages): warnings.append(IntegrityCheck.derivedWords(messages))
    case .failed(let messages): try acceptFlaw(messages)
    }
  }

  /// Handles a flaw that SQLite's checks find in the image. The image is the one that was backed
  /// up, page for page, so the flaw was in the database at that time. If the plan did not warn of
  /// it and nothing keeps the content that is about to be overwritten, the user must confirm once
  /// more.
  private func acceptFlaw(_ messages: [String]) throws {
    guard !point.metadata.isFlawed else { return }
    let record = VerificationRecord(repository: repository, environment: environment)
    if let note = record.store(findings: messages, of: point) { warnings.append(note) }
    let found = "SQLite's checks found a flaw in the database in \(point.id): \(messages.joined(separator: "; "))"
    guard plan.install == .newFile || safety.point != nil || plan.facts.target.state == .missing else {
      throw HoldfastError(
        .verificationFailed, "\(found); nothing was changed",
        hint: "restore it without --no-safety-backup, or with --no-verify")
    }
    warnings.append(found)
  }

  // MARK: - Installing

  /// Installs through SQLite's backup API, in one transaction: applications that have the file open
  /// see the restored content next.
  private func installLive() throws {
    guard let staged else { return }
    do {
      try onDatabase {
        try staged.setJournalVersion(
          LiveInstall.journalVersionBytes(of: target, busyTimeout: environment.busyTimeout))
        let outcome = try installUnderLock(staged)
        contentIsInPlace()
        try handle(outcome)
      }
    } catch let error as HoldfastError where error.code == .busy {
      throw HoldfastError(
        .busy, "cannot restore into \(target): a transaction of an application outlasted the wait",
        hint: "nothing was changed; try again when it is idle, or stop \(openBy)", cause: error)
    }
  }

  private func installUnderLock(_ staged: StagedImage) throws -> LiveInstall.Outcome {
    for _ in 0..<Self.attempts {
      do {
        return try LiveInstall.run(
          image: staged.path, into: target, busyTimeout: environment.busyTimeout,
          whenLocked: { try requireCurrentSafety($0) },
          progress: { [progress] in
            try progress.update(.installing, Int64($0), of: Int64($1))
            // If a request to stop came with the report, it need not wait for the next step.
            try progress.check()
          })
      } catch is StaleSafety {
        // Readers may share the file with this lock, and writers may not. Between its release and
        // the next attempt, others have an instant, for which that attempt checks.
        let hold = try WriteReservation(path: target, busyTimeout: environment.busyTimeout)
        defer { hold.release() }
        try safety.backUp(progress)
      }
    }
    throw DatabaseError(.busy, path: target, message: "\(target) is written to continuously")
  }

  private static var attempts: Int { 8 }

  /// A transaction was committed between the safety backup and the lock, and it cannot be read
  /// while the lock is held.
  private struct StaleSafety: Error {}

  /// The safety backup must hold the content that is about to be overwritten, up to the last
  /// commit. Called with the write lock held.
  private func requireCurrentSafety(_ locked: LockedTarget) throws {
    guard let position = safety.position, try !locked.isUnchanged(since: position) else { return }
    guard locked.allowsReaders else { throw StaleSafety() }
    try safety.backUp(progress)
  }

  private func handle(_ outcome: LiveInstall.Outcome) throws {
    switch outcome {
    case .proven: break
    case .changedSince:
      warnings.append("an application wrote again at once, so the result could not be compared page for page")
    case .differs(let page):
      try rollBack()
      throw HoldfastError(
        .failed, "page \(page) of \(target) differs from the installed content; the safety backup was restored",
        hint: "check the disk, then try again")
    }
  }

  /// Puts the safety backup back into the open database.
  private func rollBack() throws {
    guard let kept = safety.point, let home, kept.name.content == .database else {
      throw HoldfastError(
        .failed, "\(target) differs from the installed content, and there is no safety backup to restore",
        hint: "restore another backup")
    }
    let image = try StagedImage(
      kept, beside: target + "-rollback", repository: home, environment: environment, progress: progress,
      verify: true)
    try image.setJournalVersion(LiveInstall.journalVersionBytes(of: target, busyTimeout: environment.busyTimeout))
    _ = try LiveInstall.run(image: image.path, into: target, busyTimeout: environment.busyTimeout)
  }

  /// Puts the file in the place of another. If the old one opens, SQLite's exclusive lock decides
  /// whether that is allowed, empties the WAL and rolls back a hot journal.
  ///
  /// The side files are removed *before* the rename, still under the lock: an application that
  /// opened the new file in between would write its commits into a `-wal` that is about to be
  /// unlinked.
  private func installReplace() throws {
    guard let staged else { return }
    var access: ExclusiveAccess?
    switch plan.facts.target.state {
    case .database, .empty:
      access = try exclusiveAccess()
      try requireCurrentSafety(access)
      // The last moment: the wait for the lock may have been long.
      try progress.check()
      try onDatabase { try access?.emptyWAL() }
      for suffix in ["-wal", "-shm", "-journal"] { try files.unlink(target + suffix) }
      // Their removal must be flushed before the rename can be. If both were flushed together, a
      // loss of power could bring the old log back.
      try files.syncFolder(target.parentPath)
    case .missing, .unreadable, .notAFile, .busy: break
    }
    defer { access?.release() }
    try put(staged)
    contentIsInPlace()
    recorder.contentIsInPlace()
    // From now on the old side files must never come back: SQLite would apply them to the new file.
    let aside = sideFiles.keepAside()
    try syncFolder()
    remove(aside)
  }

  /// A commit between the safety backup and the lock would be in neither of the two.
  private func requireCurrentSafety(_ access: ExclusiveAccess?) throws {
    guard let position = safety.position, let access, try !onDatabase({ try access.isUnchanged(since: position) })
    else {
      return
    }
    throw HoldfastError(
      .factsChanged, "\(target) was written to after its safety backup was stored",
      hint: "nothing was replaced; stop the application, then run the command again")
  }

  private func exclusiveAccess() throws -> ExclusiveAccess {
    do {
      return try onDatabase { try ExclusiveAccess(path: target, busyTimeout: environment.busyTimeout) }
    } catch let error as HoldfastError where error.code == .busy {
      throw HoldfastError(
        .busy, "cannot replace \(target): an application has it open",
        hint: "stop \(openBy), then try again", cause: error)
    }
  }

  /// The processes that have the database open, for hints.
  private var openBy: String {
    let users = plan.facts.target.openBy
    return users.isEmpty ? "the application" : users.joined(separator: ", ")
  }

  /// Installs at a path without a file.
  private func installNew() throws {
    guard let staged else { return }
    try setAttributes(of: staged, from: nil)
    try staged.sync()
    try files.renameNew(staged.path, to: target)
    staged.release()
  }

  /// Renames the file. If no file is expected there, it refuses to replace one that has appeared
  /// meanwhile.
  private func put(_ staged: StagedImage) throws {
    try setAttributes(of: staged, from: files.status(target) == nil ? nil : target)
    try staged.sync()
    if case .missing = plan.facts.target.state {
      try files.renameNew(staged.path, to: target)
    } else {
      try files.rename(staged.path, to: target)
    }
    staged.release()
  }

  private func setAttributes(of staged: StagedImage, from old: String?) throws {
    guard let attributes = plan.attributes else { return }
    warnings += try staged.setAttributes(attributes, from: old)
  }

  /// Removes the files that were moved aside if the damaged safety copy holds them. Without one
  /// they stay beside the database under their new names.
  private func remove(_ aside: [String]) {
    guard safety.point != nil else {
      if !aside.isEmpty { warnings.append("left-over side files were kept as \(aside.joined(separator: ", "))") }
      return
    }
    for name in aside { try? files.unlink(name) }
  }
}

extension RestoreStep.Kind {
  /// Whether it changes the database.
  fileprivate var installs: Bool { [.installLive, .installReplace, .installNew].contains(self) }
}
