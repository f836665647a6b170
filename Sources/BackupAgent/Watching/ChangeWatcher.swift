import BackupEngine
import BackupPolicy

/// Detects changes of one database: by events, by polls, and by the probes that follow an event.
/// Belongs to the loop's thread.
final class ChangeWatcher {
  /// A shorter suppression is not worth its system calls, in milliseconds.
  private static let shortestSuppression: Int64 = 100
  /// The longest time that a removal of the database may stay undetected, in milliseconds.
  private static let longestUnseen: Int64 = 5000

  private(set) var path: WatchedPath
  /// When to poll, in monotonic milliseconds.
  private(set) var nextPoll = Int64.max
  private(set) var pollInterval: Int64
  private var mode: TriggerMode
  private var followUp = FollowUp()
  /// The files as the last poll or job saw them.
  private(set) var files: WatchedFiles
  /// The last poll detected writes that raised no event, on a file system whose time stamps may
  /// hide more of them.
  private var needsSecondPoll = false
  /// Since when writes raise no events, and the files' state at that time; nil if writes raise
  /// events.
  private var suppression: SuppressedWrites?

  private let id: DatabaseID
  private let watches: FolderWatches
  private let clock: LoopClock
  private let alarms: AlarmBook
  private let operations: any FileOperations

  init(_ id: DatabaseID, _ database: AgentDatabase, _ shared: LoopContext, _ alarms: AlarmBook) {
    (self.id, self.alarms) = (id, alarms)
    (watches, clock, operations) = (shared.watches, shared.clock, database.engine.environment.files)
    path = WatchedPath(database.engine.database ?? "")
    files = WatchedFiles(path, operations)
    (pollInterval, mode) = (max(100, database.settings.pollInterval), database.settings.mode)
    schedulePoll()
  }

  /// Continues with new settings.
  func update(_ database: AgentDatabase) {
    alarms.paths = AlarmBook.Paths(database.engine, folder: path.folder)
    (pollInterval, mode) = (max(100, database.settings.pollInterval), database.settings.mode)
    schedulePoll()
  }

  // MARK: Watching

  var isWatching: Bool { watches.isWatching(id) }

  /// Watches the folders that lead to the database as it is now.
  func watch() {
    // The folders are read before they are watched. This repeats until nothing has changed in
    // between.
    for _ in 0..<4 {
      path = WatchedPath(path.given)
      alarms.paths.folder = path.folder
      let plan = WatchPlan(path, operations)
      do {
        try watches.apply(plan, to: id)
        alarms.clear([.unwatched])
      } catch {
        alarms.raise(.unwatched, HoldfastError(wrapping: error))
      }
      if WatchedPath(path.given) == path, WatchPlan(path, operations) == plan { break }
    }
    reportPresence()
  }

  func unwatch() { try? watches.apply(nil, to: id) }

  /// Raises the alarm if the database is gone, and clears it if the database is there again.
  func reportPresence() {
    do {
      let hasFolder = try operations.status(path.folder)?.kind == .folder
      alarms.update(.folder, hasFolder ? nil : Self.missing(folder: path.folder))
      if try operations.status(path.resolved) != nil { return alarms.clear([.missing]) }
      alarms.raise(absent: .missing(path.given, alarms.paths.repository))
    } catch {
      // A database whose status cannot be read does not count as gone.
      let error = HoldfastError(wrapping: error)
      alarms.raise(Alarm(error.code), error)
    }
  }

  private static func missing(folder: String) -> HoldfastError {
    HoldfastError(
      .databaseMissing, "there is no folder \(folder)",
      hint: "if it was moved, move it back or configure the new path; backups continue when the folder exists again")
  }

  // MARK: Polling

  /// Polls at multiples of the interval, so that the polls of all databases share their wake-ups.
  private func schedulePoll() {
    nextPoll = (clock.monotonic / pollInterval + 1) * pollInterval
  }

  /// A poll begins. It also starts the probe that is pending.
  func recordPoll(at time: Int64) {
    schedulePoll()
    followUp.poll(at: time)
  }

  /// Compares the files with their state at the last poll or job.
  ///
  /// - Parameter isPending: a change is pending. Its backup is followed by a probe anyway, and the
  ///   agent's own writes must not delay it.
  /// - Returns: whether a change is detected.
  func detectChange(isPending: Bool) -> Bool {
    let seen = WatchedFiles(path, operations)
    let isSecond = needsSecondPoll
    needsSecondPoll = false
    guard seen != files || isSecond else { return false }
    // Writes that raise no event may continue within the same second.
    if seen != files, !isPending { needsSecondPoll = seen.mayHideWrites(at: clock.now) }
    files = seen
    return !isPending
  }

  /// A job has read the database; `files` is their state before that.
  func record(_ files: WatchedFiles) { self.files = files }

  /// Whether there may be a commit that was not detected.
  var mayHaveMissedChange: Bool {
    mode != .schedule && (followUp.isPending || WatchedFiles(path, operations) != files)
  }

  // MARK: Probes

  /// When the next probe is due, in monotonic milliseconds. Nil if only an event or a poll starts
  /// one, or if changes start no backups, so that a probe is useless.
  var nextProbe: Int64? { mode == .schedule ? nil : followUp.deadline }

  func recordEvent(at time: Int64) { followUp.recordEvent(at: time) }
  func beginProbe() { followUp.beginProbe() }
  func endProbe(_ result: FollowUp.Probe, at time: Int64) { followUp.endProbe(result, at: time) }

  // MARK: Suppression

  /// Suppresses the events of writes until a deadline. While a change is pending and the agent only
  /// waits for a time, more writes affect nothing but the length of the quiet period. The agent
  /// therefore does not subscribe to them, because events slow down the writer's commits. When
  /// something is due, the agent reads the files' times instead.
  ///
  /// No change is lost: the pending backup begins after writes raise events again, and later writes
  /// are reported. If the database was removed meanwhile, the backup reports it.
  ///
  /// - Parameter deadline: when the next thing is due.
  func suppressWrites(until deadline: Deadline) {
    guard suppression == nil, isWatching, !isReached(deadline, within: Self.shortestSuppression) else { return }
    do {
      // Read first, so that a write in between is detected twice rather than not at all.
      let before = SuppressedWrites(of: path, from: clock.monotonic, operations)
      try watches.subscribe(isReached(deadline, within: Self.longestUnseen) ? .moves : .names, of: id)
      suppression = before
    } catch {
      watch()
    }
  }

  var isSuppressing: Bool { suppression != nil }

  /// Makes writes raise events again. A commit may become visible later than the last write before
  /// that.
  func endSuppression() {
    guard suppression != nil else { return }
    suppression = nil
    followUp.recordEvent(at: clock.monotonic)
    do {
      try watches.subscribe(.all, of: id)
    } catch {
      watch()
    }
  }

  /// Ends a suppression.
  ///
  /// - Returns: the time of the last write during it; nil if there was no write.
  func endSuppression(at moment: Moment) -> Moment? {
    guard let suppression else { return nil }
    endSuppression()
    return suppression.lastWrite(to: path, until: moment, operations)
  }

  private func isReached(_ deadline: Deadline, within milliseconds: Int64) -> Bool {
    let moment = clock.moment
    return deadline.isReached(
      at: Moment(
        wall: Timestamp(milliseconds: moment.wall.milliseconds.addingClamped(milliseconds)),
        monotonic: moment.monotonic.addingClamped(milliseconds)))
  }
}
