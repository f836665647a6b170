import BackupPolicy
import SQLitePages
import Synchronization

/// Follows one database from backup to backup, and stores its changes at a cost in proportion to
/// the changes.
///
/// It keeps the state that the next incremental needs: the newest backup, keys, the table of page
/// hashes, the tracker. It uses this state as long as no other process had the repository's lock
/// and no file of the repository changed. Otherwise it reads the repository again.
///
/// `@unchecked Sendable`: `access` protects the state, because a compaction calls it from another
/// thread than the backups.
package final class ChangeFollower: @unchecked Sendable {
  private let engine: Engine
  private let access = Mutex(())
  private var knowledge = Knowledge()

  /// The known facts of the newest backup.
  private struct Knowledge {
    /// Opened once.
    var repository: Repository?
    /// Nil if it must be searched for.
    var head: ChainHead?
    /// The mark that the last visit left in the lock's file.
    var mark: [UInt8]?
    var table: PageDigests?
    var tracker: ChangeTracker
    /// Monotonic milliseconds of the last write of this host's newest sequence.
    var remembered: Int64?

    init(_ tracker: ChangeTracker = ChangeTracker()) { self.tracker = tracker }

    mutating func forgetHead() { (head, mark, table) = (nil, nil, nil) }
  }

  /// - Parameter report: the pages that a tracker gathered, ascending; a test leaves one out.
  package init(
    _ engine: Engine, report: @escaping (PageTracker) -> [UInt32] = { $0.pages.sorted() }
  ) {
    self.engine = engine
    knowledge = Knowledge(ChangeTracker(report: report))
  }

  private var environment: EngineEnvironment { engine.environment }

  /// Whether a full should end the newest chain; nil also before the first incremental.
  package var advice: FullAdvice? { weight.flatMap { ChainPolicy.adviseFull($0) } }

  /// The size of the newest chain; nil before the first incremental.
  package var weight: ChainWeight? { access.withLock { _ in knowledge.head?.weight } }

  // MARK: Visits

  /// One period under the repository's lock.
  ///
  /// The caller sees in one function everything that happens under the lock, and gets one value
  /// back:
  ///
  /// ```text
  /// let report = try follower.visit(request) { visit in        // take the lock
  ///   let snapshot = try visit.snapshot(of: connection)        // look
  ///   defer { snapshot.end() }
  ///   if case .fullNeeded(let reason) = visit.base { … }       // decide
  ///   return visit.store(snapshot)                             // store
  /// }                                                          // release
  /// ```
  package struct Visit {
    package enum Base {
      /// The newest backup, on which an incremental can be built.
      case parent(IncrementalParent)
      case fullNeeded(reason: String)
    }

    package let base: Base
    fileprivate let follower: ChangeFollower
    fileprivate let repository: Repository
    fileprivate let request: CreateRequest
    fileprivate let kind: RequestedKind
    fileprivate let started: Int64

    /// Begins a snapshot of the database.
    ///
    /// - Throws: `HoldfastError`.
    package func snapshot(of connection: DatabaseConnection) throws -> DatabaseSnapshot {
      try onDatabase {
        try DatabaseSnapshot(
          connection, scratchPath: repository.scratch().path(.copy), patience: Int(follower.environment.busyTimeout))
      }
    }

    /// Stores an incremental of the snapshot, and ends the snapshot.
    ///
    /// - Parameter candidates: the pages that may have changed.
    package func store(
      _ snapshot: DatabaseSnapshot, _ candidates: ChangeCandidates = .followed, progress: Progress = Progress()
    ) -> ChangeReport {
      defer { snapshot.end() }
      return follower.store(snapshot, candidates, self, progress)
    }
  }

  /// Runs `body` under the repository's lock.
  ///
  /// - Parameters:
  ///   - kind: `automatic` or `incremental`.
  ///   - progress: stops the wait for the lock and the search for the newest backup.
  /// - Throws: `pointNotFound` if there is no repository, `busy`, `interrupted`, `wrongKey`, and
  ///   failures of the machine and of `body`. In these cases nothing is stored, unless the failure
  ///   was the flush of the folder.
  package func visit<Result: Sendable>(
    _ request: CreateRequest, kind: RequestedKind = .incremental, progress: Progress = Progress(),
    _ body: (Visit) throws -> Result
  ) throws -> Result {
    try engine.requireKey(toStore: request.archive)
    let started = environment.monotonic()
    let patience = environment.repositoryPatience.stopped(by: progress)
    return try access.withLock { _ in
      let repository = try openedRepository()
      return try repository.exclusively(patience: patience, since: knowledge.mark) { held in
        do {
          knowledge.mark = held.mark
          let base = try base(request, kind, held, repository, progress)
          return try onDatabase {
            try body(
              Visit(
                base: base, follower: self, repository: repository, request: request, kind: kind, started: started))
          }
        } catch {
          knowledge.forgetHead()
          throw error
        }
      }
    }
  }

  private func openedRepository() throws -> Repository {
    if let repository = knowledge.repository { return repository }
    let repository = try engine.repository()
    knowledge.repository = repository
    return repository
  }

  private func base(
    _ request: CreateRequest, _ kind: RequestedKind, _ held: LockVisit, _ repository: Repository, _ progress: Progress
  ) throws -> Visit.Base {
    if held.isUndisturbed, let head = knowledge.head, head.protection == request.archive.protection,
      try head.isCurrent(in: repository)
    {
      return .parent(head.parent)
    }
    knowledge.forgetHead()
    knowledge.mark = held.mark
    switch try HeadFinder(repository: repository, environment: environment, progress: progress).find(request, kind) {
    case .fullNeeded(let reason):
      knowledge.tracker.forget()
      return .fullNeeded(reason: reason)
    case .head(let head):
      knowledge.head = head
      return .parent(head.parent)
    }
  }

  private func store(
    _ snapshot: DatabaseSnapshot, _ candidates: ChangeCandidates, _ visit: Visit, _ progress: Progress
  ) -> ChangeReport {
    if case .fullNeeded(let reason) = visit.base { return ChangeReport(.success(.fullNeeded(reason: reason)), .known) }
    guard let head = knowledge.head else {
      return ChangeReport(.success(.fullNeeded(reason: ChainPolicy.noParent)), .known)
    }
    let position = TrackerPosition(snapshot)
    let (changes, how) = candidates.pages(since: head.id, snapshot, &knowledge.tracker)
    var content = DatabaseContent.shape(snapshot.connection)
    if !snapshot.blocksWriters { content.schemaVersion = try? snapshot.connection.schemaVersion() }
    let work = IncrementalWork(
      repository: visit.repository, environment: environment, head: head, request: visit.request, progress: progress,
      snapshot: snapshot, content: content, started: visit.started, table: knowledge.table,
      remembered: knowledge.remembered)
    let outcome = Result { try work.run(changes, visit.kind) }
    switch outcome {
    case .success(let outcome):
      (knowledge.head, knowledge.table) = (work.nextHead, work.table)
      knowledge.tracker.record(outcome, at: position)
    case .failure: knowledge.forgetHead()
    }
    knowledge.remembered = work.remembered
    return ChangeReport(outcome, how, comparing: how.isCompared ? work.comparing : 0)
  }

  // MARK: Fulls

  /// Stores a full, which reports whether every change since the newest backup was tracked. It is
  /// followed from there.
  ///
  /// - Parameters:
  ///   - candidates: the pages that may have changed since the newest backup.
  ///   - connection: stays open.
  package func storeFull(
    _ request: CreateRequest, _ candidates: ChangeCandidates = .followed, on connection: DatabaseConnection,
    progress: Progress = Progress()
  ) throws -> StoredFull {
    try access.withLock { _ in
      // The chain whose size is known ends here.
      knowledge.forgetHead()
      let started = environment.monotonic()
      return try engine.creator(for: request, progress)
        .create(request, candidates, on: connection, &knowledge.tracker, started: started)
    }
  }

  /// Discards the known chain, because the newest chain is another one.
  package func forgetChain() { access.withLock { _ in knowledge.forgetHead() } }

  // MARK: From one process to the next

  /// The position from which a backup's pages were followed, for the next process; nil if they were
  /// not.
  package func savedPosition(of point: PointID) -> SavedPosition? {
    access.withLock { _ in knowledge.tracker.savedPosition(of: point) }
  }

  /// Continues from the position of an earlier process, unless this one has followed the database
  /// already.
  ///
  /// - Parameter newest: the backup with which the position was saved.
  /// - Returns: whether it continues.
  package func resume(_ saved: SavedPosition, at newest: StoredPoint) -> Bool {
    access.withLock { _ in knowledge.tracker.resume(saved, at: newest) }
  }
}

/// A compaction runs beside the backups.
extension ChangeFollower: CompactionHost {
  /// Keeps the facts of the newest backup, unless it is one of `points` or another process had the
  /// lock in between.
  package func maintain(touching points: Set<PointID>, _ body: () throws -> Void) throws {
    try access.withLock { _ in
      let repository = try openedRepository()
      try repository.exclusively(patience: environment.repositoryPatience, since: knowledge.mark) { held in
        let isCurrent = try held.isUndisturbed && knowledge.head?.isCurrent(in: repository) == true
        if !isCurrent || knowledge.head.map({ points.contains($0.id) }) ?? true { knowledge.forgetHead() }
        do {
          try body()
          guard let filename = knowledge.head?.filename else { return }
          knowledge.head?.stamps = try RepositoryStamps(repository, archive: filename)
          knowledge.mark = held.mark
        } catch {
          knowledge.forgetHead()
          throw error
        }
      }
    }
  }

  package func lighten(_ chain: PointID, incrementals: Int, bytes: Int64) {
    access.withLock { _ in
      guard knowledge.head?.chainID == chain else { return }
      knowledge.head?.weight.incrementals -= incrementals
      knowledge.head?.weight.incrementalBytes -= bytes
    }
  }
}
