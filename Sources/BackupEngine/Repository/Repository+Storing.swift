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

  func nextSequence(_ points: [StoredPoint]) throws -> UInt64 {
    let stored = points.compactMap(\.metadata.sequence).max() ?? 0
    return max(stored, try hostState()?.newestSequence ?? 0) + 1
  }

  /// Before the commit: the first authenticated point seals the repository, and a point without authentication in a sealed
  /// one is remembered. The other way round, a crash in between would leave a point that this host does not trust.
  ///
  /// - Parameter sealed: the repository's ID, for an authenticated point.
  func rememberTrust(_ metadata: PointMetadata, _ points: [StoredPoint], sealed repositoryID: String?) throws {
    var state = try hostState() ?? HostState(repositoryPath: folder)
    let before = state
    state.repositoryPath = folder
    if let repositoryID {
      for point in points where !state.sealed {
        if let checksum = try checksum(of: point) { state.accept(point.id, checksum: checksum) }
      }
      state.sealed = true
      state.repositoryID = repositoryID
    } else if state.sealed, let checksum = metadata.checksum {
      state.accept(metadata.id, checksum: checksum)
    }
    if state != before { try hostStates.save(state) }
  }

  /// The checksum of a plain or CBC point that was there before the seal; computed where none is recorded.
  private func checksum(of point: StoredPoint) throws -> String? {
    guard point.metadata.cipher != .aes256GCM, !point.archiveMissing else { return nil }
    if let recorded = point.metadata.checksum { return recorded }
    let file = try files.open(path(point.name.text), .readNoFollow)
    defer { files.close(file) }
    return try HashingFileReader(file, files).finish().hex
  }

  /// What was stored last, so that a repository that was rolled back is told.
  func rememberNewest(_ sequence: UInt64) throws {
    guard var state = try hostState() else { return }
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
