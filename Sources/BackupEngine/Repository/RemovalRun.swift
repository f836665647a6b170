import BackupPolicy
import Glibc

/// Removes many points: some at a time under the lock, and with a pause in between in which others get it.
struct RemovalRun {
  let repository: Repository
  let environment: EngineEnvironment
  let progress: Progress

  /// Whose metadata goes, flushed once, before their archives.
  private static let batch = 32
  /// Milliseconds for which others wait at most, the end of a batch aside.
  private static let turn: Int64 = 250
  /// Microseconds: longer than those who wait for the lock sleep between two tries.
  private static let pause: UInt32 = 30_000

  /// - Parameters:
  ///   - points: in the order to remove them, children before their parents.
  ///   - recheck: called under the lock if others may have changed something since; returns what still may go of these.
  func remove(
    _ points: [StoredPoint], recheck: (_ left: ArraySlice<StoredPoint>) throws -> [StoredPoint]
  ) throws {
    var left = points[...]
    var removed = 0
    var mark: [UInt8]?
    while !left.isEmpty {
      do {
        try progress.update(.removing, Int64(removed), of: Int64(points.count))
      } catch {
        throw Engine.interrupted(removed, of: points.count) ?? error
      }
      if removed > 0 { usleep(Self.pause) }
      try repository.exclusively(patience: environment.repositoryPatience, since: mark) { visit in
        mark = visit.mark
        if !visit.isUndisturbed { left = try recheck(left)[...] }
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
  }
}

extension Repository {
  /// Removes a point and every file of its ID. Needs the exclusive lock.
  func remove(_ point: StoredPoint) throws { try remove([point], try index().names) }

  /// Removes points and every file of their IDs: all metadata first, then the archives. Needs the exclusive lock.
  ///
  /// - Parameters:
  ///   - points: children before their parents.
  ///   - names: the archives that are there.
  func remove(_ points: some Collection<StoredPoint>, _ names: [PointID: [ArchiveName]]) throws {
    guard !points.isEmpty else { return }
    try rememberNumbers(of: points)
    for point in points { try files.unlink(metadataPath(point.id)) }
    try files.syncFolder(path(".metadata"))
    // Unflushed removals may survive a loss of power in any order, and no point may outlive what it needs.
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

  /// Their numbers are never given again, and the memory of them may be older than the newest incrementals.
  private func rememberNumbers(of points: some Collection<StoredPoint>) throws {
    guard let newest = points.compactMap(\.metadata.sequence).max(), var state = try hostState(),
      newest > state.newestSequence
    else { return }
    state.newestSequence = newest
    try save(state)
  }
}

/// The look of a repository's files when a decision was made, to tell later at the price of some system calls whether the
/// decision still holds.
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

  /// The points that came since an earlier census; nil if another one changed, or went without being one of those.
  func newcomers(since earlier: RepositoryCensus, without gone: Set<PointID>) -> [PointID]? {
    guard pins == earlier.pins else { return nil }
    for (id, entry) in earlier.entries where entries[id] != entry {
      guard entries[id] == nil, gone.contains(id) else { return nil }
    }
    return entries.keys.filter { earlier.entries[$0] == nil }
  }
}
