import BackupPolicy
import Glibc

/// Removes many backups: several at a time under the lock, with pauses in which other processes get
/// it.
///
/// ```text
/// var run = RemovalRun(of: points, …)
/// while let lock = try run.lock() {                            // take the lock
///   defer { lock.end() }                                       // release it
///   if !lock.isUndisturbed { run.keepOnly(those that may still go) }
///   try run.removeSome()
/// }
/// ```
struct RemovalRun {
  /// The number of backups whose metadata is removed and flushed once, before their archives.
  private static let batch = 32
  /// The longest wait of other processes in milliseconds, apart from the end of a batch.
  private static let turn: Int64 = 250
  /// Microseconds: longer than the sleep between two attempts of a process that waits for the lock.
  private static let pause: UInt32 = 30_000

  /// The backups that are still to be removed, children before their parents.
  private(set) var left: ArraySlice<StoredPoint>
  private let planned: Int
  private var removed = 0
  /// The mark that the last visit left in the lock's file.
  private var mark: [UInt8]?
  private let repository: Repository
  private let environment: EngineEnvironment
  private let progress: Progress

  /// - Parameter points: in the order to remove them, children before their parents.
  init(of points: [StoredPoint], _ repository: Repository, _ environment: EngineEnvironment, _ progress: Progress) {
    (left, planned) = (points[...], points.count)
    (self.repository, self.environment, self.progress) = (repository, environment, progress)
  }

  /// Takes the lock for the next backups. A stop also ends the wait for it.
  ///
  /// - Returns: nil if no backup is left. The caller ends the visit.
  mutating func lock() throws -> LockVisit? {
    guard !left.isEmpty else { return nil }
    do {
      try progress.update(.removing, Int64(removed), of: Int64(planned))
      if removed > 0 { usleep(Self.pause) }
      let visit = try repository.lock(patience: environment.repositoryPatience.stopped(by: progress), since: mark)
      mark = visit.mark
      return visit
    } catch let error as HoldfastError where error.code == .interrupted {
      throw Engine.interrupted(removed, of: planned) ?? error
    }
  }

  /// Keeps only those of the remaining backups that may still be removed, because another process
  /// had the lock.
  mutating func keepOnly(_ points: [StoredPoint]) { left = points[...] }

  /// Removes backups for a moment, under the lock.
  mutating func removeSome() throws {
    let began = environment.monotonic()
    let names = try repository.index().names
    repeat {
      let part = left.prefix(Self.batch)
      try repository.remove(part, names)
      removed += part.count
      left = left.dropFirst(part.count)
    } while !left.isEmpty && environment.monotonic() - began < Self.turn && !progress.isStopped
  }
}

extension Repository {
  /// Removes a backup and every file of its ID. Needs the exclusive lock.
  func remove(_ point: StoredPoint) throws { try remove([point], try index().names) }

  /// Removes backups and every file of their IDs: all metadata first, then the archives. Needs the
  /// exclusive lock.
  ///
  /// - Parameters:
  ///   - points: children before their parents.
  ///   - names: the existing archives.
  func remove(_ points: some Collection<StoredPoint>, _ names: [PointID: [ArchiveName]]) throws {
    guard !points.isEmpty else { return }
    try rememberNumbers(of: points)
    for point in points { try files.unlink(metadataPath(point.id)) }
    try files.syncFolder(path(".metadata"))
    // If the power is lost, any of the unflushed removals may survive, and no backup may outlive
    // its parent.
    var parents: Set<PointID> = []
    for point in points {
      if parents.contains(point.id) {
        try files.syncFolder(folder)
        parents = []
      }
      for name in names[point.id] ?? [] { try files.unlink(path(name.text)) }
      if let parent = point.metadata.parentID { parents.insert(parent) }
    }
    try files.syncFolder(folder)
  }

  /// Records the numbers before the removal. They are never assigned again, and the host's state
  /// may be older than the newest incrementals.
  private func rememberNumbers(of points: some Collection<StoredPoint>) throws {
    guard let newest = points.compactMap(\.metadata.sequence).max(), var state = try hostState(),
      newest > state.newestSequence
    else { return }
    state.newestSequence = newest
    try save(state)
  }
}

/// The status of a repository's files when a decision was made. Comparing two of them shows, with a
/// few system calls, whether the decision still holds.
struct RepositoryCensus {
  private struct Entry: Equatable {
    var archives: [String: FileStatus] = [:]
    var record: FileStatus?
  }

  private let entries: [PointID: Entry]
  private let pins: [PointID: Bool]

  init(_ repository: Repository) throws {
    let files = repository.files
    var entries: [PointID: Entry] = [:]
    for name in try files.list(repository.folder).compactMap({ ArchiveName($0) }) {
      entries[name.id, default: Entry()].archives[name.text] = try files.status(repository.path(name.text))
    }
    for id in entries.keys { entries[id]?.record = try files.status(repository.metadataPath(id)) }
    self.entries = entries
    pins = try repository.pins.read()
  }

  /// Returns the backups that were added since an earlier census. Nil if another backup changed, or
  /// was removed without being in `gone`.
  func newcomers(since earlier: RepositoryCensus, without gone: Set<PointID>) -> [PointID]? {
    guard pins == earlier.pins else { return nil }
    for (id, entry) in earlier.entries where entries[id] != entry {
      guard entries[id] == nil, gone.contains(id) else { return nil }
    }
    return entries.keys.filter { earlier.entries[$0] == nil }
  }
}
