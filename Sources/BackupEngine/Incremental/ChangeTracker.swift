import BackupPolicy
import SQLitePages

/// The pages that may have changed since the newest backup, as the caller of ``ChangeFollower/Visit/store(_:_:progress:)`` knows
/// them.
package enum ChangeCandidates {
  /// The follower tracked the database from that backup on.
  case followed
  /// None: the database is in the state that this backup holds.
  case none(since: PointID)
  /// As given; they must have been gathered since the newest backup.
  case given(ChangedPages)
}

extension ChangeCandidates {
  func pages(
    since parent: PointID, _ snapshot: DatabaseSnapshot, _ tracker: inout ChangeTracker
  ) -> (ChangedPages, ChangeKnowledge) {
    switch self {
    case .none(parent): return (.superset([]), .known)
    case .none, .followed: return tracker.changes(since: parent, snapshot)
    case .given(.unknown): return (.unknown, .compared(reason: "nothing is known yet"))
    case .given(let pages): return (pages, .known)
    }
  }
}

/// How it is known which pages changed since the newest backup.
package enum ChangeKnowledge: Hashable, Sendable, CustomStringConvertible {
  /// The caller knew.
  case known
  /// The tracker followed the database from that backup on.
  case followed(TrackerProof)
  /// It could not: every page was compared.
  case compared(reason: String)

  package var description: String {
    switch self {
    case .known: "nothing has changed"
    case .followed(let proof): "followed: \(proof.rawValue)"
    case .compared(let reason): "compared: \(reason)"
    }
  }

  var isCompared: Bool { if case .compared = self { true } else { false } }
}

/// What came of ``ChangeFollower/Visit/store(_:_:progress:)``.
package struct ChangeReport: Sendable {
  package var outcome: Result<IncrementalOutcome, any Error>
  package var how: ChangeKnowledge
  /// Milliseconds that the comparison of all pages took, without the wait for the database and the storing; 0 without one.
  package var comparing: Int64

  init(_ outcome: Result<IncrementalOutcome, any Error>, _ how: ChangeKnowledge, comparing: Int64 = 0) {
    (self.outcome, self.how, self.comparing) = (outcome, how, comparing)
  }
}

/// Which pages changed since a point: a ``PageTracker``, and the point that it started from.
struct ChangeTracker {
  /// The state of a point.
  private struct Start {
    var point: PointID
    /// Nil where the point has none.
    var digest: String?
    var position: TrackerPosition
  }

  private let report: (PageTracker) -> [UInt32]
  private var tracker = PageTracker()
  /// Nil where nothing is known of what changed since the newest point.
  private var start: Start?
  /// Why `start` is nil, where there is more to say than that.
  private var objection: String?

  /// - Parameter report: the pages that a tracker gathered, ascending; a test leaves one out.
  init(report: @escaping (PageTracker) -> [UInt32] = { $0.pages.sorted() }) {
    self.report = report
  }

  mutating func begin(_ point: PointID, _ digest: String?, at position: TrackerPosition) {
    tracker.start(at: position)
    start = Start(point: point, digest: digest, position: position)
    objection = nil
  }

  mutating func forget() { start = nil }

  /// A visit has ended; the next one begins from what it found.
  mutating func record(_ outcome: IncrementalOutcome, at position: TrackerPosition) {
    switch outcome {
    case .fullNeeded: forget()
    case .stored(let metadata, _): begin(metadata.id, metadata.digest, at: position)
    case .unchanged(let parent, _): begin(parent.id, parent.digest, at: position)
    }
  }

  /// The pages that may differ from the point's, and how that is known.
  mutating func changes(since point: PointID, _ snapshot: DatabaseSnapshot) -> (ChangedPages, ChangeKnowledge) {
    guard start?.point == point else {
      return (.unknown, .compared(reason: objection ?? "\(point) is not the tracked backup"))
    }
    switch tracker.follow(snapshot) {
    case .complete(let proof) where tracker.gap == nil: return (.superset(report(tracker)), .followed(proof))
    case .complete: return (.unknown, .compared(reason: tracker.gap ?? "nothing is known yet"))
    case .incomplete(let reason): return (.unknown, .compared(reason: reason))
    }
  }

  /// From where a point's pages were followed, for the next process; nil where they were not.
  ///
  /// That is where the tracker *started*: it may have moved on since, towards a point that was never stored.
  func savedPosition(of point: PointID) -> SavedPosition? {
    guard let start, start.point == point, let digest = start.digest, let run = MachineRun.current() else { return nil }
    return SavedPosition(digest: digest, position: start.position, run: run)
  }

  /// Goes on where an earlier process stopped, unless this one has followed the database already.
  ///
  /// - Parameter newest: the point that the position was saved with.
  /// - Returns: whether it does.
  mutating func resume(_ saved: SavedPosition, at newest: StoredPoint) -> Bool {
    guard start == nil else { return false }
    objection = saved.objection(newest: newest, now: MachineRun.current())
    guard objection == nil else { return false }
    begin(newest.id, saved.digest, at: saved.position)
    return true
  }
}
