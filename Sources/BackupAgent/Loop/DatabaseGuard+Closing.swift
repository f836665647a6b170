import BackupEngine
import BackupPolicy

/// The application closes the database: ours must not be the last connection to hold it.
extension DatabaseGuard {
  // MARK: The connection that the jobs share

  /// Sees to it that the job's connection may stay open, where that can be.
  func prepareHold(for job: Job) -> HoldTerms {
    var terms = HoldTerms()
    terms.closesFirst = hold.beginJob(at: clock.monotonic)
    // What is closed then, we close; and the WAL may be another one afterwards.
    if terms.closesFirst { stopSeeingClosing() }
    if case .releasing = job { return terms }
    // Other files may have come to the path, and watching the same ones again costs next to nothing.
    if !isStopping { seeClosing() }
    terms.mayHold = seesClosing && shared.mayKeepAnother(held)
    return terms
  }

  /// A job has ended.
  func endHold() {
    hold.endJob(isOpen: held.isOpen, at: clock.monotonic)
    if hold.deadline == nil { stopSeeingClosing() }
  }

  private func seeClosing() {
    // Where there is no log, nothing can be left behind. Not the log's closing counts: an application lets go of its locks
    // after that and before it closes the database, and ours must be the last to close.
    do {
      guard try service.environment.files.status(path.resolved + "-wal") != nil else { return stopSeeingClosing() }
      try shared.watches.startClosing([path.resolved], for: id)
      seesClosing = true
    } catch {
      stopSeeingClosing()
      logger.debug("closing is not watched: \(error)")
    }
  }

  func stopSeeingClosing() {
    shared.watches.stopClosing(id)
    seesClosing = false
  }

  // MARK: A backup that reads

  /// The backup that is running reads pages from now on.
  func beginReading() {
    guard case .backingUp = job, machine.status.mayRelease else { return }
    // A connection of ours that was closed until now is not reported.
    if !seesClosing { seeClosing() }
    isReading = true
    release.calm()
  }

  /// It has read all.
  func endReading() {
    isReading = false
    release.calm()
  }

  func noteClosing(_ events: Set<ChangeEvent>) {
    let time = clock.monotonic
    if events.contains(.closed) {
      hold.noteClose(at: time)
      if isReading { release.noteClose(at: time) }
    } else if events.contains(.changed) {
      hold.noteChange(at: time)
      release.calm()
    }
  }

  func makeWay() {
    guard case .backingUp(let progress, _, _) = job else { return }
    release.decide()
    progress.stop()
    logger.info("the backup makes way: the application closes the database")
  }
}
