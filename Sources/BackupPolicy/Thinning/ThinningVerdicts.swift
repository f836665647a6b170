extension ThinningPolicy {
  /// By position: why a point does not stay for its own sake; nil where it does.
  func verdicts(_ points: [ThinningPoint], _ tree: ThinningTree, now: Timestamp) -> [String?] {
    let last = LastOfBucket(points, tree)
    let protected = Self.protected(points)
    return points.indices.map { position in
      let point = points[position]
      guard point.isThinned, tree.parent[position] != nil, !protected.contains(position) else {
        return nil
      }
      guard let rule = rule(forAge: point.age(now)), !last.contains(position, point, rule.bucket) else { return nil }
      return rule.reason
    }
  }

  /// The newest point, the newest of the database's own history, the newest verified one and the newest proven one.
  private static func protected(_ points: [ThinningPoint]) -> Set<Int> {
    func newest(_ belongs: (ThinningPoint) -> Bool) -> Int? { points.indices.last { belongs(points[$0]) } }
    return Set(
      [
        points.indices.last, newest { $0.isSound && !["safety", "guard"].contains($0.type) },
        newest { $0.isSound && $0.verified }, newest { $0.isSound && $0.verified && !$0.isFlawed },
        newest { $0.isSound && $0.proven },
      ].compactMap { $0 })
  }
}

/// Which points are the last ones of their minutes and hours, each in its chain.
private struct LastOfBucket {
  private struct Key: Hashable {
    var chain: Int
    var bucket: ThinningPolicy.Bucket
    var number: Int64
  }

  private var positions: [Key: Int] = [:]
  private let tree: ThinningTree

  init(_ points: [ThinningPoint], _ tree: ThinningTree) {
    self.tree = tree
    // A point whose clock is doubtful stays anyway, and must not stand for others.
    for position in points.indices where points[position].isSound && !points[position].clockSuspect {
      for bucket in [ThinningPolicy.Bucket.minute, .hour] {
        if let key = key(position, points[position], bucket) { positions[key] = position }
      }
    }
  }

  func contains(_ position: Int, _ point: ThinningPoint, _ bucket: ThinningPolicy.Bucket) -> Bool {
    key(position, point, bucket).map { positions[$0] == position } ?? false
  }

  private func key(_ position: Int, _ point: ThinningPoint, _ bucket: ThinningPolicy.Bucket) -> Key? {
    guard bucket != .none else { return nil }
    return Key(
      chain: tree.top[position], bucket: bucket,
      number: point.created.milliseconds.flooredQuotient(by: bucket.rawValue))
  }
}

extension ThinningPoint {
  /// Seconds; negative for a point from the future.
  func age(_ now: Timestamp) -> Int64 {
    let (difference, overflow) = now.milliseconds.subtractingReportingOverflow(created.milliseconds)
    return (overflow ? (now > created ? .max : .min) : difference).flooredQuotient(by: 1000)
  }
}
