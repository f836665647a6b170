import BackupPolicy

/// What storing a full and storing an incremental have in common; all of it needs the exclusive lock.
extension Repository {
  /// The next ID for a state taken at `now`.
  ///
  /// One more than the highest of its second, never a gap: the name of a point that was removed must not come to mean another.
  static func unusedID(at now: Timestamp, among known: some Sequence<PointID>) -> PointID {
    let first = PointID(at: now)
    let numbers = known.filter { $0.second == first.second }.map(\.number)
    return PointID(at: now, number: numbers.max().map { $0 + 1 } ?? 0)
  }

  /// The number of the next backup.
  ///
  /// - Parameter points: of every database.
  /// - Throws: `refused` if no reader would take it.
  func nextSequence(_ points: [StoredPoint]) throws -> UInt64 {
    let remembered = try hostState()?.newestSequence ?? 0
    let next = max(newestSequence(points), remembered <= Self.plausibleSequence ? remembered : 0) + 1
    guard next <= ArchiveHeader.maximumSequence else {
      throw HoldfastError(
        .refused, "the repository \(folder) has no number left for another backup",
        hint: "begin a new one: --backup-dir \(folder)-2")
    }
    return next
  }

  /// The highest number of a backup that counts: the newest archive that the key proves and, without a key or without
  /// encryption, of those with an archive that this host trusts.
  func newestSequence(_ points: [StoredPoint]) -> UInt64 {
    let identity = storedIdentity()
    let counted = points.filter { point in
      guard let sequence = point.metadata.sequence, sequence <= Self.plausibleSequence else { return false }
      return point.isAuthenticated && !point.archiveMissing && !point.isDamaged
    }.sorted { ($0.metadata.sequence ?? 0) > ($1.metadata.sequence ?? 0) }
    let newest = counted.first { point in
      guard point.metadata.cipher == .aes256GCM, !credentials.isEmpty else { return true }
      return (try? head(of: point)).flatMap { $0 }.map { opens($0, identity) } ?? false
    }
    // Without the right key the headers are all there is.
    return (newest ?? counted.first)?.metadata.sequence ?? 0
  }

  /// Half of what a header can hold: no repository gets there, and a planted number leaves room for as many again.
  private static let plausibleSequence = ArchiveHeader.maximumSequence / 2

  /// Stores the metadata that a listing had to derive from archives, with their checksums: once, since it reads them.
  func storeDerived(_ points: [StoredPoint]) {
    for var point in points where point.needsRewrite {
      if point.metadata.checksum == nil { point.metadata.checksum = try? checksum(ofArchive: point.name.text) }
      try? write(point.metadata, durable: false)
    }
  }

  /// Before the commit: the first authenticated point seals the repository, and a point without authentication in a sealed
  /// one is remembered. The other way round, a crash in between would leave a point that this host does not trust.
  ///
  /// - Parameters:
  ///   - points: of every database.
  ///   - sealed: the repository's ID, for an authenticated point.
  func rememberTrust(_ metadata: PointMetadata, _ points: [StoredPoint], sealed repositoryID: String?) throws {
    let trust = try trust()
    var state = trust.state ?? HostState(repositoryPath: folder)
    let before = state
    state.repositoryPath = folder
    if let repositoryID {
      // In a folder that was sealed before this host saw it, nothing tells old plain archives from planted ones.
      for point in points where !trust.isSealed {
        if let checksum = try checksum(of: point) { state.accept(point.id, checksum: checksum) }
      }
      state.sealed = true
      state.use(repositoryID)
    } else if trust.isSealed, let checksum = metadata.checksum {
      state.accept(metadata.id, checksum: checksum)
    }
    if state != before { try hostStates.save(state) }
  }

  /// Makes a backup this host's own on a person's word. Needs the exclusive lock.
  func rememberAsOwn(_ point: StoredPoint) throws {
    var state = try hostState() ?? HostState(repositoryPath: folder)
    state.repositoryPath = folder
    if point.metadata.cipher == .aes256GCM, let head = try head(of: point) {
      _ = try head.unlock(credentials)
      state.know(head.header.repositoryID.hex)
    } else {
      state.accept(point.id, checksum: try checksum(ofArchive: point.name.text))
    }
    try hostStates.save(state)
  }

  /// The checksum of a plain or CBC point that was there before the seal; computed where none is recorded.
  private func checksum(of point: StoredPoint) throws -> String? {
    guard point.metadata.cipher != .aes256GCM, !point.archiveMissing else { return nil }
    return try point.metadata.checksum ?? checksum(ofArchive: point.name.text)
  }

  /// Reads the whole file.
  func checksum(ofArchive name: String) throws -> String {
    let file = try files.open(path(name), .readNoFollow)
    defer { files.close(file) }
    return try HashingFileReader(file, files).finish().hex
  }

  /// What was stored last, so that a repository that was rolled back, or is away, is reported.
  func rememberNewest(_ sequence: UInt64) throws {
    var state = try hostState() ?? HostState(repositoryPath: folder)
    state.newestSequence = max(state.newestSequence, sequence)
    state.expectedSequence = sequence
    try hostStates.save(state)
  }
}

extension PointID {
  /// Its number within its second.
  var number: Int {
    let parts = text.utf8.split(separator: UInt8(ascii: "_"))
    return parts.count == 4 ? Int(String(decoding: parts[3], as: UTF8.self)) ?? 0 : 0
  }
}
