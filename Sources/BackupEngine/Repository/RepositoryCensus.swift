import BackupPolicy

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
