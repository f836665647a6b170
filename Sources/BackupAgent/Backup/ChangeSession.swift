import BackupEngine
import BackupPolicy
import SQLitePages

/// Stores what changed in one database, at the price of what changed: a tracker that follows it from point to point, and the
/// engine's session that adds incrementals to the newest one.
///
/// `@unchecked Sendable`: it belongs to a ``ChangeBackup``, which ``DatabaseWork`` hands to one job at a time.
final class ChangeSession: @unchecked Sendable {
  /// A point that was stored, or found to hold the database as it is.
  struct Stored {
    var point: PointID
    var filename: String
    /// Nil where nothing had changed.
    var metadata: PointMetadata?
    /// The state that it holds.
    var state: DatabaseState
    var how: ChangeKnowledge
  }

  enum Outcome {
    case stored(Stored)
    case fullNeeded(reason: String)
    /// There is nothing to back up.
    case absent(HoldfastError)
  }

  /// What is to become of a state that could be stored.
  enum Admission {
    case store
    /// It is the one that this point holds.
    case isKnown(PointID)
    case refuse(HoldfastError)
  }

  private let service: BackupService
  private let held: HeldConnection
  private var incrementals: IncrementalSession?
  private var tracker: ChangeTracker
  /// What the newest full said, until somebody takes it.
  private var audit: AuditOutcome?
  /// What SQLite's checks found in the newest verified backup.
  private var lastFindings: [String] = []
  /// Milliseconds that the last call took to compare all pages, where it did.
  private(set) var comparing: Int64 = 0

  /// What a look under the repository's lock found.
  private typealias Seen = (state: DatabaseState, position: TrackerPosition, how: ChangeKnowledge)

  /// - Parameters:
  ///   - held: the connection that it reads through, and leaves open.
  ///   - report: the pages that a tracker gathered, ascending; a test leaves one out.
  init(
    _ service: BackupService, _ held: HeldConnection,
    report: @escaping (PageTracker) -> [UInt32] = { $0.pages.sorted() }
  ) {
    self.service = service
    self.held = held
    tracker = ChangeTracker(report: report)
  }

  /// Stores an incremental on the newest point, from one look at the database.
  ///
  /// - Parameter admit: asked of the state that is seen.
  /// - Throws: `HoldfastError`.
  func store(
    _ request: CreateRequest, _ progress: Progress, _ admit: (DatabaseState) -> Admission = { _ in .store }
  ) throws -> Outcome {
    comparing = 0
    let database = try service.requireDatabase()
    guard try service.environment.files.status(service.folder) != nil else {
      return .fullNeeded(reason: "there is no point to build on")
    }
    let session = try incrementals ?? IncrementalSession(service)
    incrementals = session
    var seen: Seen?
    defer {
      if case .compared? = seen?.how { comparing = session.detecting }
    }
    do {
      let outcome = try session.store(request, kind: .automatic, progress: progress) { parent in
        let snapshot = try CommitLook.settled { try session.snapshot(of: held.opened(database)) }
        held.note(snapshot)
        guard snapshot.geometry.pageCount > 0 else {
          throw Absence(error: ChangeBackup.empty(database, service.folder))
        }
        let state = try DatabaseState(snapshot)
        let (changes, how) = try changes(since: parent.id, snapshot, admit(state))
        seen = (state, TrackerPosition(snapshot), how)
        return (snapshot, changes)
      }
      return settle(outcome, seen)
    } catch let absence as Absence {
      return .absent(absence.error)
    } catch let error as HoldfastError where error.code == .databaseMissing {
      return .absent(ChangeBackup.missing(database, service.folder))
    }
  }

  /// Nothing is stored, and nothing failed.
  private struct Absence: Error {
    var error: HoldfastError
  }

  /// Whether the newest chain should end, as far as this knows it.
  var advice: FullAdvice? { incrementals?.weight.flatMap { ChainPolicy.adviseFull($0) } }

  /// The newest chain is not the one that it knew.
  func forgetChain() {
    incrementals = nil
  }

  /// Stores a full, and lets it tell whether all that changed since the newest point was followed. It is followed from there.
  func storeFull(_ request: CreateRequest, _ progress: Progress) throws -> (PointMetadata, AuditOutcome) {
    // The chain that it knows the weight of ends here.
    forgetChain()
    comparing = 0
    let database = try service.requireDatabase()
    var seen: TrackerPosition?
    let follower = Follower { [held] in
      try held.opened(database)
    } changes: { parent, snapshot in
      self.held.note(snapshot)
      seen = TrackerPosition(snapshot)
      return parent.map { self.tracker.changes(since: $0.id, snapshot).0 } ?? .unknown
    }
    let (metadata, audit) = try service.create(request, progress: progress, for: follower)
    self.audit = audit
    if let seen { tracker.begin(metadata.id, metadata.digest, at: seen) }
    return (metadata, audit)
  }

  /// What a full said since this was asked before; nil where there was none.
  func takeAudit() -> AuditOutcome? {
    defer { audit = nil }
    return audit
  }

  /// Whether SQLite's checks find something else than they did last time.
  func isNews(_ findings: [String]) -> Bool {
    defer { lastFindings = findings }
    return findings != lastFindings
  }

  /// See ``ChangeTracker``.
  func savedPosition(of point: PointID) -> SavedPosition? { tracker.savedPosition(of: point) }

  /// See ``ChangeTracker``.
  func resume(_ saved: SavedPosition, at newest: StoredPoint) -> Bool { tracker.resume(saved, at: newest) }

  private func changes(
    since parent: PointID, _ snapshot: DatabaseSnapshot, _ admission: Admission
  ) throws -> (ChangedPages, ChangeKnowledge) {
    switch admission {
    case .refuse(let error): throw Absence(error: error)
    case .isKnown(parent): return (.superset([]), .known)
    case .isKnown, .store: return tracker.changes(since: parent, snapshot)
    }
  }

  private func settle(_ outcome: IncrementalOutcome, _ seen: Seen?) -> Outcome {
    switch outcome {
    case .fullNeeded(let reason):
      tracker.forget()
      return .fullNeeded(reason: reason)
    case .stored(let metadata, _):
      return settle(seen, metadata.id, metadata.filename, metadata.digest, metadata)
    case .unchanged(let parent, _):
      return settle(seen, parent.id, parent.filename, parent.digest, nil)
    }
  }

  private func settle(
    _ seen: Seen?, _ point: PointID, _ filename: String, _ digest: String?, _ metadata: PointMetadata?
  ) -> Outcome {
    guard let seen else { return .fullNeeded(reason: "the database was not looked at") }
    tracker.begin(point, digest, at: seen.position)
    return .stored(
      Stored(point: point, filename: filename, metadata: metadata, state: seen.state, how: seen.how))
  }
}

/// What a compaction asks for, which goes on beside.
extension ChangeSession: CompactionHost {
  func maintain(touching points: Set<PointID>, _ body: () throws -> Void) throws {
    let session = try incrementals ?? IncrementalSession(service)
    incrementals = session
    try session.maintain(touching: points, body)
  }

  func lighten(_ chain: PointID, incrementals count: Int, bytes: Int64) {
    incrementals?.lighten(chain, incrementals: count, bytes: bytes)
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

/// How it is known which pages changed since the newest point.
enum ChangeKnowledge: Hashable, Sendable, CustomStringConvertible {
  /// None: the database is in the state in which that point was stored.
  case known
  /// The tracker followed the database from that point on.
  case followed(TrackerProof)
  /// It could not: every page was compared.
  case compared(reason: String)

  var description: String {
    switch self {
    case .known: "nothing has changed"
    case .followed(let proof): "followed: \(proof.rawValue)"
    case .compared(let reason): "compared: \(reason)"
    }
  }
}
