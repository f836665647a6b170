import BackupEngine
import BackupPolicy
import SQLitePages

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
  init(report: @escaping (PageTracker) -> [UInt32]) {
    self.report = report
  }

  mutating func begin(_ point: PointID, _ digest: String?, at position: TrackerPosition) {
    tracker.start(at: position)
    start = Start(point: point, digest: digest, position: position)
    objection = nil
  }

  mutating func forget() {
    start = nil
  }

  /// The pages that may differ from the point's, and how that is known.
  mutating func changes(since point: PointID, _ snapshot: DatabaseSnapshot) -> (ChangedPages, ChangeKnowledge) {
    guard start?.point == point else {
      return (.unknown, .compared(reason: objection ?? "\(point) is not the point that was followed"))
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
