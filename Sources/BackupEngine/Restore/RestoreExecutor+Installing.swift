import BackupPolicy
import SQLitePages

extension RestoreExecutor {
  /// Through SQLite's backup API, in one transaction: applications that have the file open see the restored content next.
  func installLive() throws {
    guard let staged else { return }
    do {
      try onDatabase {
        try staged.setJournalVersion(
          LiveInstall.journalVersionBytes(of: target, busyTimeout: environment.busyTimeout))
        let outcome = try installUnderLock(staged)
        contentIsInPlace()
        try settle(outcome)
      }
    } catch let error as HoldfastError where error.code == .busy {
      throw HoldfastError(
        .busy, "cannot restore into \(target): a transaction of an application outlasted the wait",
        hint: "nothing was changed; try again when it is idle, or stop the application", cause: error)
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
            // A request that came with the report need not wait for the next step.
            try progress.check()
          })
      } catch is StaleSafety {
        // Readers may share the file with this hold, and writers may not; letting go of it leaves others an instant, which
        // the next attempt checks for.
        let hold = try WriteHold(path: target, busyTimeout: environment.busyTimeout)
        defer { hold.release() }
        try makeSafetyBackup()
      }
    }
    throw DatabaseError(.busy, path: target, message: "\(target) is written to all the time")
  }

  private static var attempts: Int { 8 }

  /// Something was committed between the safety backup and the lock, and cannot be read while the lock is held.
  private struct StaleSafety: Error {}

  /// The safety backup must hold what is about to be overwritten, to the last commit: called with the write lock held.
  private func requireCurrentSafety(_ locked: LockedTarget) throws {
    guard let position = safetyPosition, try !locked.isUnchanged(since: position) else { return }
    guard locked.allowsReaders else { throw StaleSafety() }
    try makeSafetyBackup()
  }

  private func settle(_ outcome: LiveInstall.Outcome) throws {
    switch outcome {
    case .proven: break
    case .changedSince:
      warnings.append("an application wrote again at once, so the result could not be compared page for page")
    case .differs(let page):
      try rollBack()
      throw HoldfastError(
        .failed, "page \(page) of \(target) is not what was installed; the safety backup was put back",
        hint: "check the disk, then try again")
    }
  }

  /// Puts the safety backup back into the open database.
  private func rollBack() throws {
    guard let safety, safety.name.content == .database else {
      throw HoldfastError(
        .failed, "\(target) is not what was installed, and there is no safety backup to put back",
        hint: "restore another point")
    }
    let image = try StagedImage(
      safety, beside: target + "-rollback", repository: repository, environment: environment, progress: progress,
      verify: true)
    try image.setJournalVersion(LiveInstall.journalVersionBytes(of: target, busyTimeout: environment.busyTimeout))
    _ = try LiveInstall.run(image: image.path, into: target, busyTimeout: environment.busyTimeout)
  }

  /// A file in the place of another. Where the old one opens, SQLite's exclusive lock decides whether that may be, empties the
  /// WAL and rolls back a hot journal.
  ///
  /// The side files go *before* the rename, still under the lock: an application that opened the new file in between would
  /// write its commits into a `-wal` that is about to be unlinked.
  func installReplace() throws {
    guard let staged else { return }
    var hold: ExclusiveHold?
    switch plan.facts.target.state {
    case .database, .empty:
      hold = try exclusiveHold()
      try requireCurrentSafety(hold)
      // The last moment: the wait for the lock may have been long.
      try progress.check()
      try onDatabase { try hold?.emptyWAL() }
      for suffix in ["-wal", "-shm", "-journal"] { try files.unlink(target + suffix) }
      // Their removal is flushed before the rename can be: together with it a loss of power could bring the old log back.
      try files.syncFolder(target.parentPath)
    case .missing, .unreadable, .notAFile, .busy: break
    }
    defer { hold?.release() }
    try put(staged)
    contentIsInPlace()
    if installing == .begun { installing = .done }
    // From here on the old side files must never come back: they would be applied to the new file.
    let aside = movedAside.map(\.from)
    movedAside = []
    try syncFolder()
    remove(movedAside: aside)
  }

  /// A commit between the safety backup and the lock would be in neither of the two.
  private func requireCurrentSafety(_ hold: ExclusiveHold?) throws {
    guard let position = safetyPosition, let hold, try !onDatabase({ try hold.isUnchanged(since: position) }) else {
      return
    }
    throw HoldfastError(
      .factsChanged, "\(target) was written to after its safety backup was taken",
      hint: "nothing was replaced; stop the application, then run the command again")
  }

  private func exclusiveHold() throws -> ExclusiveHold {
    do {
      return try onDatabase { try ExclusiveHold(path: target, busyTimeout: environment.busyTimeout) }
    } catch let error as HoldfastError where error.code == .busy {
      let users = plan.facts.target.openBy
      throw HoldfastError(
        .busy, "cannot replace \(target): an application has it open",
        hint: "stop \(users.isEmpty ? "the application" : users.joined(separator: ", ")), then try again", cause: error)
    }
  }

  /// A file where nothing was.
  func installNew() throws {
    guard let staged else { return }
    try setAttributes(of: staged, from: nil)
    try staged.sync()
    try files.renameNew(staged.path, to: target)
    staged.release()
  }

  /// Away from a path whose file cannot be opened: SQLite would apply them to the restored file.
  func moveSideFiles() throws {
    for name in try inspector.sideFiles() {
      let old = inspector.side(name)
      let new = try unusedName("\(old).before-\(point.id)")
      try files.renameNew(old, to: new)
      movedAside.append((from: new, to: old))
    }
    try files.unlink(target + "-shm")
    try files.syncFolder(target.parentPath)
  }

  /// What an earlier restore moved aside stays.
  private func unusedName(_ wish: String) throws -> String {
    var name = wish
    var number = 1
    while try files.status(name) != nil {
      name = "\(wish)-\(number)"
      number += 1
    }
    return name
  }

  /// The restore failed before the rename: everything goes back to where it was. The failure is told, not this.
  func putBackSideFiles() {
    for moved in movedAside.reversed() {
      do {
        if try files.status(moved.to) == nil { try files.rename(moved.from, to: moved.to) }
      } catch {
        environment.logger.error("\(moved.from) could not be moved back to \(moved.to): \(error)")
      }
    }
    movedAside = []
  }

  /// The damaged safety copy holds them; without one they stay beside the database under their new names.
  /// The rename. Where nothing is expected it refuses to replace what has appeared meanwhile.
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

  private func remove(movedAside names: [String]) {
    guard safety != nil else {
      if !names.isEmpty { warnings.append("left-over side files were kept as \(names.joined(separator: ", "))") }
      return
    }
    for name in names { try? files.unlink(name) }
  }
}
