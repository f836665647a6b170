extension RetentionPolicy {
  /// What stays whatever the rules say.
  func protect(_ points: [RetentionPoint], _ judgement: inout RetentionJudgement) {
    for position in points.indices where points[position].pinned { judgement.keep(position, "pinned") }
    // The newest of all may be the safety backup of a broken state, so the newest ordinary one is kept as well.
    protectNewest(points, "point", &judgement) { _ in true }
    protectNewest(points, "backup", &judgement) { !$0.isSafety }
    // What was verified since may be restorable too; of this one it was seen, with the time that it takes.
    if let position = points.indices.last(where: { points[$0].proven && points[$0].isSound && !points[$0].isSafety }) {
      judgement.keep(position, "the newest proven backup")
    }
    // A flaw of the database may have come with it, or not: both stay, the newest content and the newest without a flaw.
    if let position = points.indices.last(where: {
      points[$0].verified && points[$0].isSound && !points[$0].isFlawed && !points[$0].isSafety
    }), points.contains(where: \.isFlawed) {
      judgement.keep(position, "the newest verified backup of a database without a flaw")
    }
  }

  private func protectNewest(
    _ points: [RetentionPoint], _ noun: String, _ judgement: inout RetentionJudgement,
    among belongs: (RetentionPoint) -> Bool
  ) {
    let candidates = points.indices.filter { belongs(points[$0]) }
    if let position = candidates.last(where: { points[$0].verified && points[$0].isSound }) {
      judgement.keep(position, "the newest verified \(noun)")
    } else if let position = candidates.last(where: { points[$0].isTrusted }) ?? candidates.last {
      judgement.keep(position, "the newest \(noun), none being verified")
    }
  }

  /// A point that stays keeps what it needs.
  func keepNeeded(_ points: [RetentionPoint], _ family: PointFamily, _ judgement: inout RetentionJudgement) {
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
  func keepNamesakes(_ points: [RetentionPoint], _ judgement: inout RetentionJudgement) {
    let kept = Set(points.indices.filter { judgement.kept[$0] != nil }.map { points[$0].id })
    for position in points.indices where judgement.kept[position] == nil && kept.contains(points[position].id) {
      judgement.keep(position, "another point of the same name stays")
    }
  }
}
