import BackupPolicy
import SQLitePages

/// Stores incrementals one after another, at the price of what changed.
///
/// It keeps what the next one needs (the newest point, keys, the table of page hashes) and uses it for as long as nobody else
/// held the repository's lock and no file of it changed; else it looks at the repository again. Used by one thread at a time.
package final class IncrementalSession {
  let repository: Repository
  let environment: EngineEnvironment
  private var tip: ChainTip?
  private var mark: [UInt8]?
  var table: PageDigests?
  /// When this host's memory of the newest sequence was last written; see ``remember(_:)``.
  var remembered: Int64?
  /// Milliseconds that the last call took to find what had changed, once it had the database to read: without the wait for
  /// it, and without what became of the pages.
  package internal(set) var detecting: Int64 = 0

  /// - Throws: `pointNotFound` where there is no repository.
  package init(_ service: BackupService) throws {
    repository = try service.repository()
    environment = service.environment
  }

  /// What the newest chain weighs, to ask ``ChainPolicy`` whether a full is due; nil before the first incremental.
  package var weight: ChainWeight? { tip?.weight }

  /// Stores what changed since the newest point.
  ///
  /// - Parameters:
  ///   - kind: `automatic` or `incremental`.
  ///   - state: called under the repository's lock with the point to build on. It begins the snapshot and tells what may have
  ///     changed *since that point*; a superset that was gathered since a later point would miss pages. The snapshot is ended
  ///     here.
  /// - Throws: `busy`, `wrongKey`, and failures of the machine. Nothing is stored then, unless it is the flush of the folder
  ///   that failed.
  package func store(
    _ request: CreateRequest, kind: RequestedKind = .incremental, progress: Progress = Progress(),
    _ state: (IncrementalParent) throws -> (DatabaseSnapshot, ChangedPages)
  ) throws -> IncrementalOutcome {
    try request.requireKey(repository.credentials)
    let started = environment.monotonic()
    detecting = 0
    return try repository.exclusively(patience: environment.repositoryPatience, since: mark) { visit in
      do {
        mark = visit.mark
        let tip: ChainTip
        switch try find(request, kind, visit) {
        case .fullNeeded(let reason): return .fullNeeded(reason: reason)
        case .tip(let found): tip = found
        }
        let (snapshot, changes) = try onDatabase { try state(tip.parent) }
        defer { snapshot.end() }
        var content = DatabaseContent.shape(snapshot.connection)
        if !snapshot.blocksWriters { content.schemaVersion = try? snapshot.connection.schemaVersion() }
        let work = IncrementalWork(
          session: self, tip: tip, request: request, progress: progress, snapshot: snapshot, content: content,
          started: started)
        let (outcome, next) = try work.run(changes, kind)
        self.tip = next
        return outcome
      } catch {
        forget()
        throw error
      }
    }
  }

  /// Runs `body`, which merges or removes some points, under the repository's lock. What is known of the newest point stays
  /// known, unless it is one of these or somebody else was here.
  package func maintain(touching points: Set<PointID>, _ body: () throws -> Void) throws {
    try repository.exclusively(patience: environment.repositoryPatience, since: mark) { visit in
      let isCurrent = try visit.isUndisturbed && tip?.isCurrent(in: repository) == true
      if !isCurrent || tip.map({ points.contains($0.id) }) ?? true {
        forget()
      }
      do {
        try body()
        guard let filename = tip?.filename else { return }
        tip?.stamps = try RepositoryStamps(repository, archive: filename)
        mark = visit.mark
      } catch {
        forget()
        throw error
      }
    }
  }

  /// A chain became lighter: some of its incrementals are gone, and so many bytes.
  package func lighten(_ chain: PointID, incrementals: Int, bytes: Int64) {
    guard tip?.chainID == chain else { return }
    tip?.weight.incrementals -= incrementals
    tip?.weight.incrementalBytes -= bytes
  }

  private func find(_ request: CreateRequest, _ kind: RequestedKind, _ visit: LockVisit) throws -> TipFinder.Finding {
    if visit.isUndisturbed, let tip, tip.protection == request.protection,
      try tip.isCurrent(in: repository)
    {
      return .tip(tip)
    }
    forget()
    mark = visit.mark
    return try TipFinder(repository: repository, environment: environment).find(request, kind)
  }

  private func forget() {
    tip = nil
    table = nil
    mark = nil
  }
}

/// What became of a backup that could have been a full or an incremental.
package enum StoringOutcome: Sendable {
  /// It is stored, as its metadata's `kind` says, and why as that.
  case stored(PointMetadata, reason: String)
  /// The database is what this point holds, so nothing was stored.
  case unchanged(since: PointID)
}

extension IncrementalSession {
  /// Begins a snapshot the way the engine does; ``store(_:kind:progress:_:)`` ends it.
  package func snapshot(of connection: DatabaseConnection) throws -> DatabaseSnapshot {
    try onDatabase {
      try DatabaseSnapshot(
        connection, scratchPath: repository.scratchCopyPath(), patience: Int(environment.busyTimeout))
    }
  }
}
