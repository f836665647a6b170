import BackupPolicy
import Glibc
import SQLitePages

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
  private let access = Monitor()
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

    /// Records the end of a visit; the next one begins from its result.
    mutating func record(
      _ outcome: Result<IncrementalOutcome, any Error>, of work: IncrementalWork, at position: TrackerPosition
    ) {
      switch outcome {
      case .success(let outcome):
        (head, table) = (work.nextHead, work.table)
        tracker.record(outcome, at: position)
      case .failure: forgetHead()
      }
      remembered = work.remembered
    }
  }

  /// - Parameter report: the pages that a tracker gathered, ascending; a test leaves one out.
  package init(
    _ engine: Engine, report: @escaping (PageTracker) -> [UInt32] = { $0.pages.sorted() }
  ) {
    self.engine = engine
    knowledge = Knowledge(ChangeTracker(report: report))
  }

  private var environment: EngineEnvironment { engine.environment }

  /// Closes the table of page hashes because descriptors are scarce. The next incremental opens and
  /// proves it again.
  package func closeTable() { access.locked { knowledge.table = nil } }

  /// Whether a full should end the newest chain; nil also before the first incremental.
  package var advice: FullAdvice? { weight.flatMap { ChainPolicy.adviseFull($0) } }

  /// The size of the newest chain; nil before the first incremental.
  package var weight: ChainWeight? { access.locked { knowledge.head?.weight } }

  // MARK: Visits

  /// One period under the repository's lock. The caller has all its steps in one function:
  ///
  /// ```text
  /// let visit = try follower.beginVisit(request)          // take the lock
  /// defer { visit.end() }                                 // release it
  /// let snapshot = try visit.snapshot(of: connection)     // look
  /// defer { snapshot.end() }
  /// if case .fullNeeded(let reason) = visit.base { … }    // decide
  /// return visit.store(snapshot)                          // store
  /// ```
  package final class Visit {
    package enum Base {
      /// The newest backup, on which an incremental can be built.
      case parent(IncrementalParent)
      case fullNeeded(reason: String)
    }

    /// The longest wait for a commit that is being flushed, in microseconds. A flush seldom takes
    /// longer; if one does, the agent's probe after the event finds the commit.
    private static let flushPatience: useconds_t = 50000

    package let base: Base
    private let follower: ChangeFollower
    private let repository: Repository
    private let lock: LockVisit
    private let request: CreateRequest
    private let kind: RequestedKind
    private let started: Int64
    private var isOver = false

    fileprivate init(
      _ base: Base, _ follower: ChangeFollower, _ repository: Repository, _ lock: LockVisit, _ request: CreateRequest,
      _ kind: RequestedKind, started: Int64
    ) {
      (self.base, self.follower, self.repository, self.lock) = (base, follower, repository, lock)
      (self.request, self.kind, self.started) = (request, kind, started)
    }

    deinit { end() }

    /// Releases the lock, in a `defer` right after the visit began. A second call does nothing.
    package func end() {
      guard !isOver else { return }
      isOver = true
      lock.end()
      follower.access.unlock()
    }

    /// Begins a snapshot of the database.
    ///
    /// - Parameters:
    ///   - connection: evaluated again after each wait.
    ///   - awaitsFlush: waits a moment for a commit that is being flushed, so that the backup that
    ///     the commit started does not miss it. SQLite writes such a commit, flushes it and then
    ///     publishes it; the event that wakes the agent comes before the flush.
    /// - Throws: `HoldfastError`.
    package func snapshot(
      of connection: @autoclosure () throws -> DatabaseConnection, awaitsFlush: Bool = false
    ) throws -> DatabaseSnapshot {
      let patience = Int(follower.environment.busyTimeout)
      var (waited, pause) = (useconds_t(0), useconds_t(200))
      do {
        while true {
          let snapshot = try onDatabase {
            try DatabaseSnapshot(connection(), scratchPath: repository.scratch().path(.copy), patience: patience)
          }
          let isFlushing = awaitsFlush && snapshot.position.hasUnpublishedCommit
          guard isFlushing, waited < Self.flushPatience else { return snapshot }
          snapshot.end()
          usleep(pause)
          waited += pause
          pause *= 2
        }
      } catch {
        follower.knowledge.forgetHead()
        throw error
      }
    }

    /// Stores an incremental of the snapshot, and ends the snapshot.
    ///
    /// - Parameter candidates: the pages that may have changed.
    package func store(
      _ snapshot: DatabaseSnapshot, _ candidates: ChangeCandidates = .followed, progress: Progress = Progress()
    ) -> ChangeReport {
      defer { snapshot.end() }
      if case .fullNeeded(let reason) = base { return ChangeReport(.success(.fullNeeded(reason: reason)), .known) }
      guard let head = follower.knowledge.head else {
        return ChangeReport(.success(.fullNeeded(reason: ChainPolicy.noParent)), .known)
      }
      let position = TrackerPosition(snapshot)
      let (changes, how) = candidates.pages(since: head.id, snapshot, &follower.knowledge.tracker)
      var content = DatabaseContent.shape(snapshot.connection)
      if !snapshot.blocksWriters { content.schemaVersion = try? snapshot.connection.schemaVersion() }
      let work = IncrementalWork(
        repository: repository, environment: follower.environment, head: head, request: request, progress: progress,
        snapshot: snapshot, content: content, started: started, table: follower.knowledge.table,
        remembered: follower.knowledge.remembered)
      let outcome = Result { try work.run(changes, kind) }
      follower.knowledge.record(outcome, of: work, at: position)
      return ChangeReport(outcome, how, comparing: how.isCompared ? work.comparing : 0)
    }
  }

  /// Takes the repository's lock; the caller ends the visit.
  ///
  /// - Parameters:
  ///   - kind: `automatic` or `incremental`.
  ///   - progress: stops the wait for the lock and the search for the newest backup.
  /// - Throws: `pointNotFound` if there is no repository, `busy`, `interrupted`, `wrongKey`, and
  ///   failures of the machine.
  package func beginVisit(
    _ request: CreateRequest, kind: RequestedKind = .incremental, progress: Progress = Progress()
  ) throws -> Visit {
    try engine.requireKey(toStore: request.archive)
    let started = environment.monotonic()
    access.lock()
    var lock: LockVisit?
    do {
      let repository = try openedRepository()
      let taken = try repository.lock(
        patience: environment.repositoryPatience.stopped(by: progress), since: knowledge.mark)
      lock = taken
      knowledge.mark = taken.mark
      let base = try base(request, kind, taken, repository, progress)
      return Visit(base, self, repository, taken, request, kind, started: started)
    } catch {
      if let lock {
        knowledge.forgetHead()
        lock.end()
      }
      access.unlock()
      throw error
    }
  }

  private func openedRepository() throws -> Repository {
    if let repository = knowledge.repository { return repository }
    let repository = try engine.repository()
    knowledge.repository = repository
    return repository
  }

  private func base(
    _ request: CreateRequest, _ kind: RequestedKind, _ lock: LockVisit, _ repository: Repository, _ progress: Progress
  ) throws -> Visit.Base {
    if lock.isUndisturbed, let head = knowledge.head, head.protection == request.archive.protection,
      try head.isCurrent(in: repository)
    {
      return .parent(head.parent)
    }
    knowledge.forgetHead()
    knowledge.mark = lock.mark
    switch try HeadFinder(repository: repository, environment: environment, progress: progress).find(request, kind) {
    case .fullNeeded(let reason):
      knowledge.tracker.forget()
      return .fullNeeded(reason: reason)
    case .head(let head):
      knowledge.head = head
      return .parent(head.parent)
    }
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
    try access.locked {
      // The chain whose size is known ends here.
      knowledge.forgetHead()
      let started = environment.monotonic()
      return try engine.creator(for: request, progress)
        .create(request, candidates, on: connection, &knowledge.tracker, started: started)
    }
  }

  /// Discards the known chain, because the newest chain is another one.
  package func forgetChain() { access.locked { knowledge.forgetHead() } }

  // MARK: From one process to the next

  /// The position from which a backup's pages were followed, for the next process; nil if they were
  /// not.
  package func savedPosition(of point: PointID) -> SavedPosition? {
    access.locked { knowledge.tracker.savedPosition(of: point) }
  }

  /// Continues from the position of an earlier process, unless this one has followed the database
  /// already.
  ///
  /// - Parameter newest: the backup with which the position was saved.
  /// - Returns: whether it continues.
  package func resume(_ saved: SavedPosition, at newest: StoredPoint) -> Bool {
    access.locked { knowledge.tracker.resume(saved, at: newest) }
  }
}

/// A compaction runs beside the backups.
extension ChangeFollower: CompactionHost {
  /// Keeps the facts of the newest backup, unless it is one of `points` or another process had the
  /// lock in between.
  package func maintain(touching points: Set<PointID>, _ body: () throws -> Void) throws {
    try access.locked {
      let repository = try openedRepository()
      let lock = try repository.lock(patience: environment.repositoryPatience, since: knowledge.mark)
      defer { lock.end() }
      let isCurrent = try lock.isUndisturbed && knowledge.head?.isCurrent(in: repository) == true
      if !isCurrent || knowledge.head.map({ points.contains($0.id) }) ?? true { knowledge.forgetHead() }
      do {
        try body()
        guard let filename = knowledge.head?.filename else { return }
        knowledge.head?.stamps = try RepositoryStamps(repository, archive: filename)
        knowledge.mark = lock.mark
      } catch {
        knowledge.forgetHead()
        throw error
      }
    }
  }

  package func lighten(_ chain: PointID, incrementals: Int, bytes: Int64) {
    access.locked {
      guard knowledge.head?.chainID == chain else { return }
      knowledge.head?.weight.incrementals -= incrementals
      knowledge.head?.weight.incrementalBytes -= bytes
    }
  }
}
