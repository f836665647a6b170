import BackupPolicy

/// A point with the look of its files, to tell later whether they still are the same.
struct CompactionLink {
  var point: StoredPoint
  var archive: FileStatus
  /// Of the metadata: somebody may find something wrong with the point.
  var record: FileStatus?
}

/// The points of one step as they are in the repository now.
///
/// A step is prepared without the exclusive lock, so everything is looked at again under it: whether the files are still
/// these, and whether somebody built on a point that is to go.
struct CompactionRun {
  let step: CompactionStep
  /// The newest first; the survivor, where there is one, before the points that go.
  let links: [CompactionLink]
  private let repository: Repository
  /// The parents of all points that the plan was made from.
  private let known: [PointID: PointID?]

  var removed: ArraySlice<CompactionLink> { step.survivor == nil ? links[...] : links.dropFirst() }

  /// Needs a lock, shared or exclusive.
  ///
  /// - Throws: `factsChanged` where they are not what the plan was made from.
  init(_ step: CompactionStep, known: [PointID: PointID?], in repository: Repository) throws {
    self.step = step
    self.known = known
    self.repository = repository
    let index = try repository.index()
    links = try (step.removed + [step.survivor].compactMap { $0 }).reversed().map { id in
      guard let point = try index.point(id), index.names[id]?.count == 1, point.isIncremental, !point.isDamaged,
        !point.metadata.pinned,
        point.metadata.status == .completed || point.metadata.status == .verified,
        point.metadata.parentID == known[id],
        let archive = try repository.files.status(repository.path(point.name.text))
      else { throw Self.changed(id) }
      return CompactionLink(
        point: point, archive: archive, record: try repository.files.status(repository.metadataPath(id)))
    }
    guard step.survivor != nil else { return }
    for (child, parent) in zip(links, links.dropFirst()) {
      guard (try? ChainWalk.parent(of: child.point, parent.point)) != nil,
        child.point.metadata.parentID == parent.point.id
      else { throw Self.changed(parent.point.id) }
    }
  }

  /// Needs the exclusive lock.
  ///
  /// - Throws: `factsChanged`.
  func requireUnchanged(_ some: some Sequence<CompactionLink>) throws {
    for link in some {
      guard try repository.files.status(repository.path(link.point.name.text)) == link.archive,
        try repository.files.status(repository.metadataPath(link.point.id)) == link.record
      else {
        throw Self.changed(link.point.id)
      }
    }
    let going = Set(step.removed)
    let own = going.union([step.survivor].compactMap { $0 })
    let index = try repository.index()
    let pins = try repository.pins.read()
    if let pinned = own.first(where: { pins[$0] == true }) { throw Self.changed(pinned) }
    for id in index.names.keys where !own.contains(id) {
      guard let parent = try known[id] ?? index.point(id)?.metadata.parentID, going.contains(parent) else { continue }
      throw HoldfastError(.factsChanged, "\(id) builds on \(parent), which was to go", hint: "run the command again")
    }
  }

  private static func changed(_ id: PointID) -> HoldfastError {
    HoldfastError(.factsChanged, "\(id) is not what it was when this was planned", hint: "run the command again")
  }
}
