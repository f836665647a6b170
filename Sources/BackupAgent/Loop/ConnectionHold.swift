import BackupEngine
import BackupPolicy
import Synchronization

/// What a job has to know of the connection that it uses.
struct HoldTerms: Hashable, Sendable {
  /// The application has closed the database since the connection was opened.
  var closesFirst = false
  /// It may stay open, for it is closed as soon as the application closes.
  var mayHold = false
}

/// When the connection that the jobs share is let go.
struct ConnectionHold {
  /// Milliseconds after the last job or change. Long enough for a writer that commits all the time, short enough for an
  /// application that wants the database for itself right after its last write.
  static let patience: Int64 = 2000

  /// When to close it, in monotonic milliseconds; nil while there is none, or while jobs use it.
  private(set) var deadline: Int64?
  private var isUnwanted = false

  /// A job begins; whether it has to close the connection first.
  mutating func beginJob(at time: Int64) -> Bool {
    defer { (deadline, isUnwanted) = (nil, false) }
    return deadline.map { $0 <= time } ?? false
  }

  mutating func endJob(isOpen: Bool, at time: Int64) {
    deadline = isOpen ? (isUnwanted ? time : time + Self.patience) : nil
    isUnwanted = false
  }

  /// Somebody writes: the next backup will want it.
  mutating func noteChange(at time: Int64) {
    if let deadline, deadline > time { self.deadline = time + Self.patience }
  }

  /// Somebody closed the database, or it is not the one that was opened: ours must not be the last to hold it.
  mutating func noteClose(at time: Int64) {
    isUnwanted = deadline == nil
    deadline = deadline.map { _ in time }
  }
}

/// Whether a running backup makes way for an application that closes the database.
///
/// The last connection that closes removes `-wal` and `-shm`. While a backup reads, ours would be the last, and a file that
/// an operator moves over the database before it ends would have the old log applied. So our connection goes first, and the
/// backup is taken after that.
struct ReleaseWatch {
  /// So long after a close nothing more may happen: an application that closes one connection of several goes on writing.
  static let quiet: Int64 = 300

  private var closedAt: Int64?
  private var isDecided = false

  /// When the backup is given up, in monotonic milliseconds.
  var deadline: Int64? { isDecided ? nil : closedAt.map { $0 + Self.quiet } }

  mutating func noteClose(at time: Int64) { closedAt = time }
  /// Somebody writes, or nothing is read any more.
  mutating func calm() { closedAt = nil }
  mutating func decide() { isDecided = true }

  /// Whether it was decided; asked once, when the backup has ended.
  mutating func takeDecision() -> Bool {
    defer { isDecided = false }
    return isDecided
  }
}

/// Tells the loop when a backup begins to read the database's pages, and when it has read them all.
enum ReadingReport {
  /// What ``BackupEngine`` calls the reading of a database in WAL mode. In the other modes a `-wal` cannot outlive anything.
  private static let activity = "backing up"

  private final class Sent: Sendable {
    let began = Atomic(false)
    let ended = Atomic(false)
  }

  static func progress(_ inbox: Mailbox<LoopMessage>, _ id: GuardID) -> Progress {
    let sent = Sent()
    return Progress { activity, done, total in
      guard activity == Self.activity else { return }
      if done < total {
        if !sent.began.exchange(true, ordering: .relaxed) { inbox.post(.reading(id, began: true)) }
      } else if !sent.ended.exchange(true, ordering: .relaxed) {
        inbox.post(.reading(id, began: false))
      }
    }
  }
}
