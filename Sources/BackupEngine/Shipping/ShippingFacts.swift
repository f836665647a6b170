import BackupPolicy

/// The state of a repository for a copy elsewhere.
package struct ShippingFacts: Sendable {
  /// 32 hexadecimal digits.
  package var repositoryID: String
  /// Every backup of the database, the oldest first, as the rules of retention see it. A backup
  /// that the key does not prove is among them as one that is not authenticated.
  package var points: [Point]
  /// The newest number that the repository or this host ever used.
  package var newestSequence: Int64
  /// Wall time that rules about age may rely on.
  package var now: Timestamp
}

extension Engine {
  /// Collects the facts for a copy elsewhere. Gives the repository an ID if it has none.
  package func shippingFacts() throws -> ShippingFacts {
    let repository = try repository()
    let stored = try repository.points()
    let now = try clockVerdict(.waiting, stored).time
    let judged = try retentionPoints(stored, repository, at: now)
    let proved = Dictionary(judged.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    let points = stored.map { stored in
      if var point = proved[stored.id] {
        point.isUnreadable = stored.unreadable != nil
        return point
      }
      var point = Point(stored)
      if point.status != .failed { point.status = .unauthenticated }
      return point
    }
    let remembered = try repository.hostState()?.newestSequence ?? 0
    return ShippingFacts(
      repositoryID: try repositoryID(repository), points: points,
      newestSequence: Int64(
        clamping: max(repository.numbers.newest(of: stored, repository.storedIdentity()), remembered)), now: now)
  }

  /// The marks of a record that this host writes about the repository.
  package func marks(of record: [UInt8], by seal: RecordSeal) throws -> RecordSeal.Marks {
    guard let identity = try repository().storedIdentity() else { return RecordSeal.Marks() }
    return try seal.marks(of: record, salt: identity.salt, iterations: identity.iterations)
  }

  /// The next backup gets a larger number than this one, and is a full.
  package func continueBehind(sequence: Int64) throws {
    guard let sequence = UInt64(exactly: sequence) else { return }
    let repository = try repository()
    try repository.exclusively(patience: environment.repositoryPatience) {
      var state = try repository.hostState() ?? HostState(repositoryPath: repository.folder)
      let stored = repository.numbers.newest(of: try repository.everything(), repository.storedIdentity())
      state.newestSequence = max(state.newestSequence, sequence)
      state.fullAfter = max(state.newestSequence, stored)
      try repository.save(state)
    }
  }

  private func repositoryID(_ repository: Repository) throws -> String {
    if let known = repository.storedIdentity() { return known.id.hex }
    return try repository.exclusively(patience: environment.repositoryPatience) {
      try repository.identity(repository.everything(), iterations: environment.passwordIterations).id.hex
    }
  }
}
