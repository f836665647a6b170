import BackupPolicy

/// What a new point's content is compared with: the points of the database's own history.
struct ContentHistory {
  private var newest: PointMetadata?
  private var own: PointContent?
  private var full: PointContent?

  /// - Parameter points: every point of the database, the oldest first.
  init(_ points: [StoredPoint]) {
    let history = points.filter { $0.isAuthenticated && $0.metadata.mayBeParent }.map(\.metadata)
    newest = history.last
    guard let own = newest else { return }
    self.own = own.content
    if own.kind != "full" { full = history.first { $0.id == own.chainID }?.content }
  }

  /// Goes on with a point that was just stored on the newest one.
  mutating func add(_ metadata: PointMetadata) {
    if own != nil, full == nil { full = own }
    newest = metadata
    own = metadata.content
  }

  func facts(for metadata: PointMetadata) -> AnomalyFacts {
    var facts = AnomalyFacts(metadata.content)
    (facts.own, facts.full) = (own, full)
    return facts
  }

  /// The number of the newest point.
  var sequence: UInt64 { newest?.sequence ?? 0 }
}

extension Repository {
  /// What is odd about a point that is about to be stored. Needs the lock, and reads a file only where something is.
  func anomalies(of metadata: PointMetadata, after history: ContentHistory, now: Timestamp) throws -> [String] {
    guard metadata.mayBeParent else { return [] }
    var facts = history.facts(for: metadata)
    if AnomalyPolicy.decide(facts).isEmpty { return [] }
    facts.restored = try metadata.databasePath.flatMap { path in
      try RestoreMark(self).restored(into: path, after: history.sequence, now: now)?.content
    }
    return AnomalyPolicy.decide(facts).map(\.words)
  }
}
