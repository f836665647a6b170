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
    /// How it was known what changed.
    var how: String
  }

  enum Outcome {
    case stored(Stored)
    case fullNeeded(reason: String)
  }

  private let service: BackupService
  private let held: HeldConnection
  private let report: (PageTracker) -> [UInt32]
  private var incrementals: IncrementalSession?
  private var tracker = PageTracker()
  /// The point whose state the tracker started at.
  private var base: PointID?
  /// What the newest full said, until somebody takes it.
  private var audit: AuditOutcome?
  /// Milliseconds that the last call took where it compared all pages.
  private(set) var comparing: Int64 = 0

  /// - Parameters:
  ///   - held: the connection that it reads through, and leaves open.
  ///   - report: the pages that a tracker gathered, ascending; a test leaves one out.
  init(
    _ service: BackupService, _ held: HeldConnection,
    report: @escaping (PageTracker) -> [UInt32] = { $0.pages.sorted() }
  ) {
    self.service = service
    self.held = held
    self.report = report
  }

  /// Stores an incremental on the newest point.
  ///
  /// - Throws: `HoldfastError`.
  func store(_ request: CreateRequest, _ progress: Progress) throws -> Outcome {
    comparing = 0
    let database = try service.requireDatabase()
    guard try service.environment.files.status(service.folder) != nil else {
      return .fullNeeded(reason: "there is no point to build on")
    }
    let session = try incrementals ?? IncrementalSession(service)
    incrementals = session
    // Thinning keeps chains short; one that it cannot shorten has to end somewhere.
    if let weight = session.weight, let advice = ChainPolicy.adviseFull(weight) { return .fullNeeded(reason: advice) }
    var seen: (state: DatabaseState, position: TrackerPosition, how: String)?
    let began = service.environment.monotonic()
    defer {
      if seen?.how.hasPrefix("compared") == true { comparing = service.environment.monotonic() - began }
    }
    let outcome = try session.store(request, kind: .automatic, progress: progress) { parent in
      let snapshot = try session.snapshot(of: held.opened(database))
      held.note(snapshot)
      let (changes, how) = changes(since: parent.id, snapshot)
      seen = (try DatabaseState(snapshot), TrackerPosition(snapshot), how)
      return (snapshot, changes)
    }
    return try settle(outcome, seen)
  }

  /// Thins the repository out; what is known of the newest point stays known.
  func thin(_ policy: ThinningPolicy, _ control: ThinningControl) throws -> CompactionOutcome {
    guard try service.environment.files.status(service.folder) != nil else { return CompactionOutcome() }
    return try service.compact(
      policy, within: incrementals, progress: control.progress, goesOn: { control.goesOn })
  }

  /// Stores a full, and lets it tell whether all that changed since the newest point was followed. It is followed from there.
  func storeFull(_ request: CreateRequest, _ progress: Progress) throws -> (PointMetadata, AuditOutcome) {
    // The chain that it knows the weight of ends here.
    incrementals = nil
    let database = try service.requireDatabase()
    var seen: TrackerPosition?
    let follower = Follower { [held] in
      try held.opened(database)
    } changes: { parent, snapshot in
      self.held.note(snapshot)
      seen = TrackerPosition(snapshot)
      return parent.map { self.changes(since: $0.id, snapshot).0 } ?? .unknown
    }
    let (metadata, audit) = try service.create(request, progress: progress, for: follower)
    self.audit = audit
    if let seen {
      tracker.start(at: seen)
      base = metadata.id
    }
    return (metadata, audit)
  }

  /// What a full said since this was asked before; nil where there was none.
  func takeAudit() -> AuditOutcome? {
    defer { audit = nil }
    return audit
  }

  /// Nothing is known any more of what changed since the newest point.
  func forget() {
    base = nil
  }

  private func changes(since parent: PointID, _ snapshot: DatabaseSnapshot) -> (ChangedPages, how: String) {
    guard base == parent else { return (.unknown, "compared: \(parent) is not the point that was followed") }
    switch tracker.follow(snapshot) {
    case .complete(let proof) where tracker.gap == nil:
      return (.superset(report(tracker)), "followed: \(proof.rawValue)")
    case .complete: return (.unknown, "compared: \(tracker.gap ?? "")")
    case .incomplete(let reason): return (.unknown, "compared: \(reason)")
    }
  }

  private func settle(
    _ outcome: IncrementalOutcome, _ seen: (state: DatabaseState, position: TrackerPosition, how: String)?
  ) throws -> Outcome {
    switch outcome {
    case .fullNeeded(let reason):
      forget()
      return .fullNeeded(reason: reason)
    case .stored(let metadata, _):
      guard let seen else { return .fullNeeded(reason: "the database was not looked at") }
      tracker.start(at: seen.position)
      base = metadata.id
      return .stored(
        Stored(
          point: metadata.id, filename: metadata.filename, metadata: metadata, state: seen.state, how: seen.how))
    case .unchanged(let parent, _):
      guard let seen else { return .fullNeeded(reason: "the database was not looked at") }
      tracker.start(at: seen.position)
      base = parent.id
      return .stored(
        Stored(point: parent.id, filename: parent.filename, metadata: nil, state: seen.state, how: seen.how))
    }
  }
}
