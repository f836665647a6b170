import BackupPolicy

/// The newest point, and all that adding an incremental to it takes: found out once, then carried from point to point.
struct ChainTip {
  var id: PointID
  var sequence: UInt64
  var chainID: PointID
  /// The digest of the image, and its shape.
  var state: PageDigestsHeader
  var secret: PageDigest.Secret
  /// Nil without encryption.
  var seal: RepositorySeal?
  var weight: ChainWeight
  /// As the newest point's header and metadata tell of it.
  var facts: ParentFacts
  /// What the next point's content is compared with.
  var history: ContentHistory
  /// What the next point records as the database's other paths.
  var otherPaths: [String]
  var numbers: PointNumbers
  /// What the repository's folder and the newest archive looked like under the lock.
  var stamps: RepositoryStamps
  var filename: String

  /// Whether the repository still looks as it did.
  func isCurrent(in repository: Repository) throws -> Bool {
    try stamps == RepositoryStamps(repository, archive: filename)
  }

  var parent: IncrementalParent {
    IncrementalParent(id: id, sequence: sequence, filename: filename, digest: state.digest.hex)
  }

  var protection: Protection { seal == nil ? .none : .aes256GCM }
}

/// Changes whenever a file comes, goes or is replaced.
struct RepositoryStamps: Hashable {
  private let folder: FileStatus?
  private let archive: FileStatus?

  init(_ repository: Repository, archive: String) throws {
    folder = try repository.files.status(repository.folder)
    self.archive = try repository.files.status(repository.path(archive))
  }
}

/// Which names and sequence numbers are free, without a look at the folder.
struct PointNumbers {
  private(set) var nextSequence: UInt64
  private var newest: PointID?

  init(_ points: [StoredPoint], nextSequence: UInt64) {
    self.nextSequence = nextSequence
    newest = points.map(\.id).max { ($0.second, $0.number) < ($1.second, $1.number) }
  }

  /// Nil where the clock was set back behind the newest name: then only a listing can tell.
  func unusedID(at now: Timestamp) -> PointID? {
    let first = PointID(at: now)
    guard let newest else { return first }
    if first.second < newest.second { return nil }
    return first.second == newest.second ? PointID(at: now, number: newest.number + 1) : first
  }

  mutating func use(_ id: PointID) {
    nextSequence += 1
    if let newest, (newest.second, newest.number) > (id.second, id.number) { return }
    newest = id
  }
}
