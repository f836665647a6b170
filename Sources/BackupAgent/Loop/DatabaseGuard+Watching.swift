import BackupEngine
import BackupPolicy
import Logging

extension DatabaseGuard {
  func logStart() {
    let request = settings.request
    var values: Logger.Metadata = [
      "mode": "\(settings.mode.rawValue)", "debounce_ms": "\(settings.debounce)",
      "max_delay_ms": "\(settings.maxDelay)", "min_interval_ms": "\(settings.minInterval)",
      "poll_ms": "\(settings.pollInterval)", "encrypt": "\(request.encrypt)", "compress": "\(request.compress)",
      "verify": "\(settings.verifyAfterCreate)", "retention": "\(settings.retention != nil)",
    ]
    if settings.mode != .change, !settings.schedules.isEmpty {
      let runs = settings.schedules.compactMap { $0.next(after: clock.now, in: settings.zone) }
      values["schedule"] = "\(settings.schedules.map(\.text).joined(separator: "; "))"
      values["next_run"] = "\(runs.min()?.iso8601 ?? "never")"
    }
    logger.info("watching \(path.resolved), backups in \(service.folder)", metadata: values)
  }

  var isWatching: Bool { shared.watches.isWatching(id) }

  /// Watches what leads to the database as it is now.
  func watch() {
    // The folders are looked at before they are watched: once more, until nothing has changed in between.
    for _ in 0..<4 {
      path = WatchedPath(path.given)
      let plan = WatchPlan(path, service.environment.files)
      do {
        try shared.watches.apply(plan, to: id)
        clearAlarms([.unwatched])
      } catch {
        raise(.unwatched, error as? HoldfastError ?? HoldfastError(.failed, "\(error)"))
      }
      if WatchedPath(path.given) == path, WatchPlan(path, service.environment.files) == plan { break }
    }
    notePresence()
  }

  func unwatch() {
    try? shared.watches.apply(nil, to: id)
    stopSeeingClosing()
  }

  /// The path may lead elsewhere.
  func findAgain() {
    watch()
    noteFiles()
  }

  /// What inotify does not see: writes through a hard link in another folder or by another machine, a file system that was
  /// mounted over the folder.
  func poll(at time: Int64) {
    schedulePoll()
    keepLock()
    noteKeyFiles()
    watch()
    noteFiles()
    followUp.poll(at: time)
    lookForDrills()
    checkClock()
  }

  /// Whether the wall clock was set since the machine was started.
  func checkClock() {
    let (doubt, isKnown) = service.noteClockByRecord()
    if isKnown { note(clockDoubt: doubt) }
  }

  func note(clockDoubt: HoldfastError?) {
    if let clockDoubt { raise(.clock, clockDoubt) } else { clearAlarms([.clock]) }
  }

  private func noteFiles() {
    let seen = WatchedFiles(path, service.environment.files)
    let isOwed = owesSecondLook
    owesSecondLook = false
    guard seen != files || isOwed else { return }
    // What raised no event may go on in the same second.
    if seen != files, !isChangeOwed { owesSecondLook = seen.mayHideWrites(at: clock.now) }
    files = seen
    // A change that is owed is followed by a look anyway; it must not be put off by what it wrote itself.
    if !isChangeOwed { noteChange() }
  }

  /// The folder may have been recreated, and another agent have come.
  private func keepLock() {
    guard lock.isKept else { return }
    do {
      try lock.ensure()
      clearAlarms([.otherAgent])
    } catch let error as HoldfastError where error.code == .busy {
      raise(.otherAgent, error)
    } catch {
      // The next backup says what is wrong with the repository.
      logger.debug("the backup folder is not locked: \(error)")
    }
  }

  /// Raises the alarm where the database is gone, and takes it back where it is there again.
  func notePresence() {
    let files = service.environment.files
    do {
      if try files.status(path.folder)?.kind == .folder {
        clearAlarms([.folder])
      } else {
        raise(.folder, Self.missing(folder: path.folder))
      }
      if try files.status(path.resolved) != nil { return clearAlarms([.missing]) }
      raise(absent: ChangeBackup.missing(path.given, service.folder))
    } catch {
      // What cannot be looked at is not gone.
      let error = error as? HoldfastError ?? HoldfastError(.failed, "\(error)")
      raise(Alarm(error.code), error)
    }
  }

  private static func missing(folder: String) -> HoldfastError {
    HoldfastError(
      .databaseMissing, "there is no folder \(folder)",
      hint: "if it was moved, move it back or name the new path; backups go on when it is there again")
  }
}

extension DatabaseGuard {
  /// Logs an alarm, once for as long as it lasts.
  func raise(_ alarm: Alarm, _ error: HoldfastError) {
    if alarms.raise(alarm, error, at: clock.now) {
      logger.error("\(error)")
    } else {
      logger.debug("still: \(error)")
    }
  }

  /// Raises the alarm for a database that there is nothing to back up of.
  func raise(absent error: HoldfastError) {
    switch error.code {
    case .databaseMissing: raise(.missing, error)
    case .logDeleted: raise(.logDeleted, error)
    default: raise(.empty, error)
    }
  }

  func clearAlarms(_ over: Set<Alarm>) {
    for alarm in alarms.clear(over) { logger.notice("\(words(over: alarm))") }
  }

  private func words(over alarm: Alarm) -> String {
    switch alarm {
    case .folder: "the folder \(path.folder) is there again"
    case .unwatched: "the folder \(path.folder) is watched again"
    case .missing: "the database \(path.given) is there again"
    case .empty: "the database \(path.given) is no longer empty"
    case .locked: "the database \(path.given) can be read again"
    case .logDeleted: "no application writes into a deleted log of \(path.given) any more"
    case .corrupt: "the database \(path.given) can be read again, as a database"
    case .permission: "access to \(path.given) and \(service.folder) is permitted again"
    case .diskFull: "there is room in \(service.folder) again"
    case .key: "the key is there again"
    case .keyFile: "the key file holds the key of the backups again"
    case .otherAgent: "no other agent guards \(service.folder) any more"
    case .trackerMiss: "every change of \(path.given) was seen since the last full"
    case .lowSpace: "there is as much room in \(service.folder) as is to stay free"
    case .drillFailed: "a drill of \(path.given) has passed"
    case .drillTooOld: "the drills of \(path.given) are recent enough again"
    case .clock: "the clock is believed again"
    case .failing: "backups of \(path.given) work again"
    }
  }
}
