import BackupEngine
import BackupPolicy
import Logging

extension EventLoop {
  func logStart() {
    let request = settings.request
    logger.info(
      "watching \(watcher.path.resolved), backups in \(service.folder)",
      metadata: [
        "debounce_ms": "\(settings.debounce)", "max_delay_ms": "\(settings.maxDelay)",
        "min_interval_ms": "\(settings.minInterval)", "poll_ms": "\(settings.pollInterval)",
        "encrypt": "\(request.encrypt)", "compress": "\(request.compress)", "verify": "\(settings.verifyAfterCreate)",
        "retention": "\(settings.retention != nil)",
      ])
  }

  /// Watches the database's folder as it is now.
  func watch() {
    guard !watcher.isBlind else { return }
    do {
      try watcher.start(WatchedPath(watcher.path.given))
      clear(.folder)
    } catch {
      raise(.folder, "\(error)")
    }
  }

  /// What inotify does not see: writes through a hard link in another folder or by another machine, a link that leads
  /// elsewhere, a folder that has come back.
  func pollFiles(at time: Int64) {
    nextPoll = time + max(100, settings.pollInterval)
    let path = WatchedPath(watcher.path.given)
    if !watcher.isWatching || path != watcher.path { watch() }
    let seen = WatchedFiles(path, service.environment.files)
    notePresence()
    if seen != files {
      files = seen
      noteChange()
    } else if followUp.isOwed, seen.databaseExists {
      followUp.settle()
      check(at: time)
    }
  }

  /// Raises the alarm where the database is gone, and takes it back where it is there again.
  func notePresence() {
    guard !WatchedFiles(watcher.path, service.environment.files).databaseExists else { return clear(.missing) }
    raise(ChangeBackup.missing(watcher.path.given))
  }
}

/// What keeps the agent from its work for as long as it lasts.
enum Alarm: Hashable {
  /// The folder cannot be watched.
  case folder
  case missing
  /// There is a file, and no page in it.
  case empty
}

extension EventLoop {
  /// Logs an alarm, once for as long as it lasts.
  func raise(_ alarm: Alarm, _ message: String) {
    guard alarms.insert(alarm).inserted else { return }
    logger.error("\(message)")
  }

  /// Raises the alarm for a database that there is nothing to back up of.
  func raise(_ absent: HoldfastError) {
    raise(absent.code == .databaseMissing ? .missing : .empty, absent.description)
  }

  func clear(_ over: Alarm...) {
    for alarm in over where alarms.remove(alarm) != nil {
      switch alarm {
      case .folder: logger.notice("the folder \(watcher.path.folder) is watched again")
      case .missing: logger.notice("the database \(watcher.path.given) is there again")
      case .empty: logger.notice("the database \(watcher.path.given) is no longer empty")
      }
    }
  }
}
