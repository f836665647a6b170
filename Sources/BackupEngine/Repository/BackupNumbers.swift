import BackupPolicy

/// The sequence numbers and names of a repository's backups. The numbers grow by one for each
/// backup, so that this host notices a repository that was rolled back.
struct BackupNumbers {
  private let repository: Repository

  init(_ repository: Repository) {
    self.repository = repository
  }

  /// Returns the next ID for a state read at `now`.
  ///
  /// It is one more than the highest of its second and never fills a gap, because the name of a
  /// removed backup must not get another meaning.
  static func unusedID(at now: Timestamp, among known: some Sequence<PointID>) -> PointID {
    let first = PointID(at: now)
    let numbers = known.filter { $0.second == first.second }.map(\.number)
    return PointID(at: now, number: numbers.max().map { $0 + 1 } ?? 0)
  }

  /// Returns the number of the next backup.
  ///
  /// - Parameter points: of every database.
  /// - Throws: `refused` if no reader would accept it.
  func next(after points: [StoredPoint]) throws -> UInt64 {
    let remembered = try repository.hostState()?.newestSequence ?? 0
    let next =
      max(newest(of: points, repository.storedIdentity()), remembered <= Self.plausibleSequence ? remembered : 0) + 1
    guard next <= ArchiveHeader.maximumSequence else {
      throw HoldfastError(
        .refused, "the repository \(repository.folder) has no number left for another backup",
        hint: "start a new one: --backup-dir \(repository.folder)-2")
    }
    return next
  }

  /// Returns the highest number of a backup that counts: with a key, the newest archive that it
  /// proves; without a key or without encryption, the newest existing archive that this host
  /// trusts.
  ///
  /// - Parameter identity: the one that the repository records.
  func newest(of points: [StoredPoint], _ identity: RepositoryIdentity?) -> UInt64 {
    let counted = points.filter { point in
      guard let sequence = point.metadata.sequence, sequence <= Self.plausibleSequence else { return false }
      return point.isAuthenticated && !point.archiveMissing && !point.isDamaged
    }.sorted { ($0.metadata.sequence ?? 0) > ($1.metadata.sequence ?? 0) }
    let newest = counted.first { point in
      guard point.metadata.cipher == .aes256GCM, !repository.credentials.isEmpty else { return true }
      return (try? repository.head(of: point)).flatMap { $0 }.map { repository.opens($0, identity) } ?? false
    }
    // Without the right key there are only the headers.
    return (newest ?? counted.first)?.metadata.sequence ?? 0
  }

  /// Half of the largest number that a header can hold. No repository gets there, and a planted
  /// number leaves room for as many again.
  private static let plausibleSequence = ArchiveHeader.maximumSequence / 2

  /// Records the newest stored number, so that a repository that was rolled back or is missing is
  /// reported.
  func remember(_ sequence: UInt64) throws {
    var state = try repository.hostState() ?? HostState(repositoryPath: repository.folder)
    if let database = repository.database { state.record(database: database) }
    state.newestSequence = max(state.newestSequence, sequence)
    state.expectedSequence = sequence
    try repository.save(state)
  }

  /// Warns of missing backups. Anybody who can write the repository can remove some, and this host
  /// records the newest one that it stored.
  ///
  /// - Parameter loader: of the listing that found the points.
  func warnOfRollback(_ points: [StoredPoint], _ loader: PointLoader) {
    guard let state = loader.trust.state, state.sealed else { return }
    let identity = loader.identity
    let (newest, expected) = (newest(of: points, identity), state.expectedSequence(in: identity?.id.hex))
    guard newest < expected else { return }
    // A damaged archive is there, and its metadata still name its number.
    let damaged = points.filter { $0.isDamaged && !$0.archiveMissing && ($0.metadata.sequence ?? 0) > newest }
    if damaged.contains(where: { $0.metadata.sequence == expected }) {
      return repository.logger.warning(
        "the archives of the newest \(damaged.count) backup\(damaged.count == 1 ? "" : "s") of \(repository.folder) are damaged",
        metadata: ["hint": "holdfast list shows the damage; holdfast verify --all checks every backup"])
    }
    repository.logger.warning(
      "the newest backup of \(repository.folder) is number \(newest), but this host stored number \(expected): backups were deleted elsewhere, withheld, or the folder was rolled back"
    )
  }
}

extension Repository {
  var numbers: BackupNumbers { BackupNumbers(self) }
}

extension PointID {
  /// Its number within its second.
  var number: Int {
    let parts = text.utf8.split(separator: UInt8(ascii: "_"))
    return parts.count == 4 ? Int(String(decoding: parts[3], as: UTF8.self)) ?? 0 : 0
  }
}
