extension RetentionPolicy {
  /// The points that stay whatever the rules say.
  func protect(_ points: [Point], _ judgement: inout RetentionJudgement) {
    for position in points.indices where points[position].pinned { judgement.keep(position, "pinned") }
    // The newest point may be the safety backup of a broken state, so the newest ordinary one is
    // kept as well.
    let newest = protectNewest(points, &judgement) { _ in true }
    protectNewest(points, &judgement, without: " besides safety backups", unless: newest) { !$0.type.isSafety }
    // Points verified since may also be restorable; for this one a drill has shown it, with the
    // time that it takes.
    if let position = points.indices.last(where: {
      points[$0].proven && points[$0].isSound && !points[$0].type.isSafety
    }) {
      judgement.keep(position, "the newest proven backup")
    }
    // The newest verified backup may hold a flaw of the database, so two stay: the newest content
    // and the newest without a flaw.
    if let position = points.indices.last(where: {
      points[$0].verified && points[$0].isSound && !points[$0].isFlawed && !points[$0].type.isSafety
    }), points.contains(where: \.isFlawed) {
      judgement.keep(position, "the newest verified backup of a database without a flaw")
    }
  }

  /// - Parameters:
  ///   - exception: for people, the backups that do not count.
  ///   - known: a position that already has this reason.
  /// - Returns: the position of the newest verified one; of the newest if none is verified.
  @discardableResult
  private func protectNewest(
    _ points: [Point], _ judgement: inout RetentionJudgement, without exception: String = "", unless known: Int? = nil,
    among belongs: (Point) -> Bool
  ) -> Int? {
    let candidates = points.indices.filter { belongs(points[$0]) }
    let verified = candidates.last { points[$0].verified && points[$0].isSound }
    let position = verified ?? candidates.last { points[$0].isTrusted } ?? candidates.last
    guard let position, position != known else { return position }
    judgement.keep(
      position,
      verified != nil ? "the newest verified backup\(exception)" : "the newest backup\(exception) (none is verified)")
    return position
  }

  /// A point that is kept also keeps the points that it needs.
  func keepNeeded(_ points: [Point], _ family: PointFamily, _ judgement: inout RetentionJudgement) {
    // Each ancestor once, whichever descendant comes first: this also ends a loop of parents.
    var visited = [Bool](repeating: false, count: points.count)
    for position in points.indices.reversed() where judgement.kept[position] != nil {
      var next = family.parent[position]
      while let ancestor = next, !visited[ancestor] {
        visited[ancestor] = true
        if judgement.kept[ancestor] == nil { judgement.keep(ancestor, "needed by \(points[position].id)") }
        next = family.parent[ancestor]
      }
    }
  }

  /// The points that only a target still needs, and what these need.
  func keepAwaited(
    _ points: [Point], _ family: PointFamily, _ awaited: [PointID: [String]], _ judgement: inout RetentionJudgement
  ) {
    guard !awaited.isEmpty else { return }
    let before = Set(points.indices.filter { judgement.kept[$0] != nil })
    for position in points.indices where !before.contains(position) {
      for reason in awaited[points[position].id] ?? [] { judgement.keep(position, reason) }
    }
    keepNeeded(points, family, &judgement)
    keepNamesakes(points, &judgement)
    judgement.awaited = Set(points.indices.filter { judgement.kept[$0] != nil }).subtracting(before)
  }

  /// Two files may have one ID (a plain and a compressed one, for example), and removal is by name:
  /// so a name that is kept must not be removed.
  func keepNamesakes(_ points: [Point], _ judgement: inout RetentionJudgement) {
    let kept = Set(points.indices.filter { judgement.kept[$0] != nil }.map { points[$0].id })
    for position in points.indices where judgement.kept[position] == nil && kept.contains(points[position].id) {
      judgement.keep(position, "another backup with the same name is kept")
    }
  }
}

extension RetentionRules {
  /// Whether a rule can name an incremental. Rules that count apply only to fulls.
  package var nameIncrementals: Bool { !calendar.isEmpty || !keepTags.isEmpty }
}

extension RetentionPolicy {
  /// The points that a rule of the calendar or of tags names, each with the rules' reasons; not
  /// points that stay for another reason or because of another point. Compaction leaves them alone
  /// (``CompactionPolicy``).
  ///
  /// Compaction does not change the answer, however often both alternate: the last point of an
  /// hour, a day or a year remains the last whichever others are removed, and no hour, day or year
  /// that a rule counts loses its last one. The newest hour, day and so on is not over yet, so its
  /// last point is only the last until the next one.
  ///
  /// - Parameter points: every point of the repository, in its order, the oldest first.
  package func promised(_ points: [Point]) -> [PointID: [String]] {
    guard rules.nameIncrementals else { return [:] }
    var promised: [PointID: [String]] = [:]
    let calendar = readCalendar(points, PointFamily(points)).reading.keep
    for position in points.indices {
      let point = points[position]
      let reasons = (calendar[position] ?? []) + (point.isTrusted ? rules.tags(of: point) : [])
      if !reasons.isEmpty { promised[point.id, default: []] += reasons }
    }
    return promised
  }
}
