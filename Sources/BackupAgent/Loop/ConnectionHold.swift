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
