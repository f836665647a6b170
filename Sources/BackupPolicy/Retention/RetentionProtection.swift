extension RetentionPolicy {
  /// What stays whatever the rules say.
  func protect(_ points: [Point], _ judgement: inout RetentionJudgement) {
    for position in points.indices where points[position].pinned { judgement.keep(position, "pinned") }
    // The newest of all may be the safety backup of a broken state, so the newest ordinary one is kept as well.
    protectNewest(points, "point", &judgement) { _ in true }
    protectNewest(points, "backup", &judgement) { !$0.type.isSafety }
    // What was verified since may be restorable too; of this one it was seen, with the time that it takes.
    if let position = points.indices.last(where: {
      points[$0].proven && points[$0].isSound && !points[$0].type.isSafety
    }) {
      judgement.keep(position, "the newest proven backup")
    }
    // A flaw of the database may have come with it, or not: both stay, the newest content and the newest without a flaw.
    if let position = points.indices.last(where: {
      points[$0].verified && points[$0].isSound && !points[$0].isFlawed && !points[$0].type.isSafety
    }), points.contains(where: \.isFlawed) {
      judgement.keep(position, "the newest verified backup of a database without a flaw")
    }
  }

  private func protectNewest(
    _ points: [Point], _ noun: String, _ judgement: inout RetentionJudgement,
    among belongs: (Point) -> Bool
  ) {
    let candidates = points.indices.filter { belongs(points[$0]) }
    if let position = candidates.last(where: { points[$0].verified && points[$0].isSound }) {
      judgement.keep(position, "the newest verified \(noun)")
    } else if let position = candidates.last(where: { points[$0].isTrusted }) ?? candidates.last {
      judgement.keep(position, "the newest \(noun), none being verified")
    }
  }

  /// A point that stays keeps what it needs.
  func keepNeeded(_ points: [Point], _ family: PointFamily, _ judgement: inout RetentionJudgement) {
    // Each ancestor once, whoever asks first: that also ends a circle of parents.
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

  /// Two files may carry one ID (a plain and a compressed one, say); what is removed by name must not be kept by name.
  func keepNamesakes(_ points: [Point], _ judgement: inout RetentionJudgement) {
    let kept = Set(points.indices.filter { judgement.kept[$0] != nil }.map { points[$0].id })
    for position in points.indices where judgement.kept[position] == nil && kept.contains(points[position].id) {
      judgement.keep(position, "another point of the same name stays")
    }
  }
}

extension RetentionRules {
  /// Whether a rule can name an incremental. Those that count see fulls alone.
  package var nameIncrementals: Bool { !calendar.isEmpty || !keepTags.isEmpty }
}

extension RetentionPolicy {
  /// The points that a rule of the calendar or of tags names, each with the rules' reasons; not those that stay for another
  /// reason, or because another point does. Thinning leaves them alone (``ThinningPolicy``).
  ///
  /// Thinning does not change the answer, however often both take turns: the last point of an hour, a day or a year is the last
  /// of it whichever others go, and no hour, day or year that a rule counts loses its last one. The newest hour, day and so on
  /// goes on, so that its last point is one only until the next.
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
