import BackupPolicy
import SQLitePages

/// The pages that may have changed since the newest backup, as the caller of
/// ``ChangeFollower/Visit/store(_:_:progress:)`` knows them.
package enum ChangeCandidates {
  /// The follower tracked the database from that backup on.
  case followed
  /// No pages: the database is in the state of this backup.
  case none(since: PointID)
  /// The given pages, which must have been gathered since the newest backup.
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

/// How the pages that changed since the newest backup are known.
package enum ChangeKnowledge: Hashable, Sendable, CustomStringConvertible {
  /// The caller knew the pages.
  case known
  /// The tracker followed the database from that backup on.
  case followed(TrackerProof)
  /// The tracker could not follow: every page was compared.
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

/// The result of ``ChangeFollower/Visit/store(_:_:progress:)``.
package struct ChangeReport: Sendable {
  package var outcome: Result<IncrementalOutcome, any Error>
  package var how: ChangeKnowledge
  /// Milliseconds for the comparison of all pages, without the wait for the database and the
  /// storing; 0 without one.
  package var comparing: Int64

  init(_ outcome: Result<IncrementalOutcome, any Error>, _ how: ChangeKnowledge, comparing: Int64 = 0) {
    (self.outcome, self.how, self.comparing) = (outcome, how, comparing)
  }
}

/// The pages that changed since a backup: a ``PageTracker``, and the backup from which it started.
struct ChangeTracker {
  /// The state of a backup.
  private struct Start {
    var point: PointID
    /// Nil if the backup has no digest.
    var digest: String?
    var position: TrackerPosition
  }

  private let report: (PageTracker) -> [UInt32]
  private var tracker = PageTracker()
  /// Nil if the changes since the newest backup are unknown.
  private var start: Start?
  /// The reason why `start` is nil, if there is a more precise one.
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

  /// Records the end of a visit; the next one begins from its result.
  mutating func record(_ outcome: IncrementalOutcome, at position: TrackerPosition) {
    switch outcome {
    case .fullNeeded: forget()
    case .stored(let metadata, _): begin(metadata.id, metadata.digest, at: position)
    case .unchanged(let parent, _): begin(parent.id, parent.digest, at: position)
    }
  }

  /// Returns the pages that may differ from the backup's, and how they are known.
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

  /// Returns the position from which a backup's pages were followed, for the next process; nil if
  /// they were not.
  ///
  /// It is the position at which the tracker *started*. The tracker may have moved on since,
  /// towards a backup that was never stored.
  func savedPosition(of point: PointID) -> SavedPosition? {
    guard let start, start.point == point, let digest = start.digest, let run = MachineRun.current() else { return nil }
    return SavedPosition(digest: digest, position: start.position, run: run)
  }

  /// Continues from the position of an earlier process, unless this one has followed the database
  /// already.
  ///
  /// - Parameter newest: the backup with which the position was saved.
  /// - Returns: whether it continues.
  mutating func resume(_ saved: SavedPosition, at newest: StoredPoint) -> Bool {
    guard start == nil else { return false }
    objection = saved.objection(newest: newest, now: MachineRun.current())
    guard objection == nil else { return false }
    begin(newest.id, saved.digest, at: saved.position)
    return true
  }
}
