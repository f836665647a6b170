import BackupEngine
import BackupPolicy
import Logging
import Synchronization

/// The rules that a job follows for the connection that it uses.
struct ConnectionTerms: Hashable, Sendable {
  /// Close the connection before the job because the application has closed the database since the
  /// connection was opened.
  var closesFirst = false
  /// The connection may stay open after the job because it is closed as soon as the application
  /// closes the database.
  var mayStayOpen = false
  /// Descriptors are scarce: no other file of the database stays open without the connection.
  var isScarce = false
}

/// Keeps the connection that the jobs of one database share: open from one backup of a burst to the
/// next, closed after an idle timeout, and closed at once when the application closes the database.
/// Belongs to the loop's thread.
///
/// The last connection that closes a database removes `-wal` and `-shm`. If ours were still open
/// after the application's close, the log would remain, and SQLite would apply it to any file that
/// an operator moves over the database. Our connection therefore closes first; a backup that is
/// reading yields to the application and is repeated.
final class ConnectionKeeper {
  let kept: KeptConnection
  private let id: DatabaseID
  private let shared: LoopContext
  private let files: any FileOperations
  private let logger: Logger
  private var idle = IdleTimeout()
  private var yielding = Yielding()
  /// The closing of the database file is watched.
  private var watchesClosing = false

  init(_ id: DatabaseID, _ environment: EngineEnvironment, _ shared: LoopContext, _ logger: Logger) {
    (self.id, self.shared, self.logger) = (id, shared, logger)
    files = environment.files
    kept = KeptConnection(environment)
  }

  /// When to close the connection, in monotonic milliseconds; nil if it is closed or in use.
  var closingTime: Int64? { idle.deadline }
  /// When to give up the running backup, in monotonic milliseconds.
  var yieldingTime: Int64? { yielding.deadline }

  // MARK: Jobs

  /// A job begins that uses the connection.
  ///
  /// - Parameters:
  ///   - database: the path, with links resolved.
  ///   - isStopping: the agent is stopping, so the connection need not stay open.
  func beginJob(_ job: JobRunner.Job, on database: String, isStopping: Bool) -> ConnectionTerms {
    var terms = ConnectionTerms()
    terms.isScarce = shared.descriptors.isScarce
    terms.closesFirst = idle.beginJob(at: shared.clock.monotonic)
    // The close that follows is our own, and the log may be a different one afterwards.
    if terms.closesFirst { stopWatchingClosing() }
    if case .closing = job { return terms }
    // The files at the path may have been replaced. Watching the same files again costs almost
    // nothing.
    if !isStopping { watchClosing(of: database) }
    terms.mayStayOpen = watchesClosing && shared.mayKeepAnother(kept)
    return terms
  }

  /// The job has ended.
  func endJob() {
    yielding.endReading()
    idle.endJob(isOpen: kept.isOpen, at: shared.clock.monotonic)
    if idle.deadline == nil { stopWatchingClosing() }
  }

  /// Closes the connection for good.
  func end() {
    stopWatchingClosing()
    kept.close()
  }

  // MARK: Yielding

  /// A backup begins.
  func beginBackup() { yielding = Yielding() }

  /// The backup begins to read pages.
  func beginReading(of database: String) {
    // A watch that begins here does not report an earlier close of our own connection.
    if !watchesClosing { watchClosing(of: database) }
    yielding.beginReading()
  }

  func endReading() { yielding.endReading() }

  /// The running backup is given up.
  func yield() { yielding.decide() }

  /// Whether the backup that has ended yielded to the application. Reading it resets it.
  func didYield() -> Bool { yielding.consumeDecision() }

  // MARK: Events

  /// The database at the path may have been replaced, so our connection must not be the last one on
  /// the old file.
  func handleReplacement() { idle.recordClose(at: shared.clock.monotonic) }

  /// The application writes or closes the database.
  func handle(_ events: Set<ChangeEvent>) {
    let time = shared.clock.monotonic
    if events.contains(.closed) {
      idle.recordClose(at: time)
      yielding.recordClose(at: time)
    } else if events.contains(.changed) {
      idle.recordChange(at: time)
      yielding.calm()
    }
  }

  /// A change was detected that raised no event.
  func recordChange(at time: Int64) { idle.recordChange(at: time) }

  private func watchClosing(of database: String) {
    // Without a log there is nothing to leave behind. The close of the log does not count: an
    // application releases its locks after that and before it closes the database, and ours must
    // not be the last to close.
    do {
      guard try files.status(database + "-wal") != nil else { return stopWatchingClosing() }
      try shared.watches.startClosing([database], for: id)
      watchesClosing = true
    } catch {
      stopWatchingClosing()
      logger.debug("cannot watch for the database's close: \(error)")
    }
  }

  private func stopWatchingClosing() {
    shared.watches.stopClosing(id)
    watchesClosing = false
  }
}

/// When the connection that the jobs share is closed.
struct IdleTimeout {
  /// Milliseconds after the last job or change. Long enough for a writer that commits all the time,
  /// short enough for an application that needs exclusive access right after its last write.
  static let patience: Int64 = 2000

  /// When to close the connection, in monotonic milliseconds; nil if there is no connection, or
  /// while jobs use it.
  private(set) var deadline: Int64?
  private var isUnwanted = false

  /// A job begins. Returns whether it must close the connection first.
  mutating func beginJob(at time: Int64) -> Bool {
    defer { (deadline, isUnwanted) = (nil, false) }
    return deadline.map { $0 <= time } ?? false
  }

  mutating func endJob(isOpen: Bool, at time: Int64) {
    deadline = isOpen ? (isUnwanted ? time : time + Self.patience) : nil
    isUnwanted = false
  }

  /// The application writes, so the next backup will need the connection.
  mutating func recordChange(at time: Int64) {
    if let deadline, deadline > time { self.deadline = time + Self.patience }
  }

  /// The application closed the database, or the file was replaced: our connection must not be the
  /// last one.
  mutating func recordClose(at time: Int64) {
    isUnwanted = deadline == nil
    deadline = deadline.map { _ in time }
  }
}

/// Whether a running backup yields to an application that closes the database.
struct Yielding {
  /// Milliseconds without another event after a close: an application that closes only one of its
  /// connections continues to write.
  static let quiet: Int64 = 300

  private enum State {
    case idle
    case reading(closedAt: Int64?)
    /// The backup is given up.
    case decided
  }

  private var state = State.idle

  /// When the backup is given up, in monotonic milliseconds.
  var deadline: Int64? {
    if case .reading(let closedAt?) = state { closedAt + Self.quiet } else { nil }
  }

  mutating func beginReading() { if case .idle = state { state = .reading(closedAt: nil) } else { calm() } }
  mutating func endReading() { if case .reading = state { state = .idle } }
  mutating func recordClose(at time: Int64) { if case .reading = state { state = .reading(closedAt: time) } }
  /// The application writes, so it has not closed the database.
  mutating func calm() { if case .reading = state { state = .reading(closedAt: nil) } }
  mutating func decide() { state = .decided }

  /// Whether the backup was given up. Read once, when the backup has ended.
  mutating func consumeDecision() -> Bool {
    guard case .decided = state else { return false }
    state = .idle
    return true
  }
}

/// Reports to the loop when a backup begins to read the database's pages, and when it has read all
/// of them.
enum ReadingReport {
  private final class Sent: Sendable {
    let began = Atomic(false)
    let ended = Atomic(false)
  }

  static func progress(_ inbox: Mailbox<LoopMessage>, _ id: DatabaseID) -> Progress {
    let sent = Sent()
    return Progress { activity, done, total in
      // In the other journal modes no `-wal` can be left behind.
      guard activity == Progress.Activity.backingUp.rawValue else { return }
      if done < total {
        if !sent.began.exchange(true, ordering: .relaxed) { inbox.post(.reading(id, began: true)) }
      } else if !sent.ended.exchange(true, ordering: .relaxed) {
        inbox.post(.reading(id, began: false))
      }
    }
  }
}
