/// A point as retention sees it.
package struct RetentionPoint: Hashable, Sendable {
  package var id: PointID
  /// Its place in the repository; nil for points of the original service.
  package var sequence: Int64?
  package var created: Timestamp
  /// The metadata's `backup_type`: `manual`, `scheduled`, `change`, `safety` or `guard`.
  package var type: String
  /// `full` or `incremental`.
  package var kind: String
  /// The point that it needs; nil for a full.
  package var parent: PointID?
  /// The metadata's `status`.
  package var status: String
  package var verified: Bool
  /// It passed a drill.
  package var proven = false
  /// SQLite's checks found something in the database that was backed up.
  package var isFlawed = false
  /// Earlier than its predecessor, or in the future: its age means nothing.
  package var clockSuspect: Bool
  package var pinned: Bool
  package var tags: [String]
  /// What is odd about its content, in words that follow its ID; nil where nothing is, or where somebody accepted it.
  package var anomaly: String?
  /// Bytes of its archive.
  package var bytes: Int64

  package init(
    id: PointID, sequence: Int64? = nil, created: Timestamp, type: String, kind: String = "full",
    parent: PointID? = nil, status: String = "completed", verified: Bool = false, clockSuspect: Bool = false,
    pinned: Bool = false, tags: [String] = [], anomaly: String? = nil, bytes: Int64 = 0
  ) {
    self.id = id
    self.sequence = sequence
    self.created = created
    self.type = type
    self.kind = kind
    self.parent = parent
    self.status = status
    self.verified = verified
    self.clockSuspect = clockSuspect
    self.pinned = pinned
    self.tags = tags
    self.anomaly = anomaly
    self.bytes = bytes
  }
}

extension RetentionPoint {
  /// A restorable point that this host vouches for.
  var isTrusted: Bool { status != "failed" && status != "unauthenticated" }
  /// Trusted, and nothing is known against its content.
  var isSound: Bool { isTrusted && status != "anomalous" && status != "suspect" }
  var isSafety: Bool { type == "safety" || type == "guard" }
  /// Part of the database's own history, which rules are about.
  var isHistory: Bool { isTrusted && !isSafety && !pinned }
  var followsItsFull: Bool { kind != "full" && isTrusted && !isSafety }

  /// A point from the future is younger than anything.
  func isOlder(than seconds: Int64, now: Timestamp) -> Bool {
    created < now.adding(seconds: seconds == .min ? .max : -seconds)
  }
}

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
  package func promised(_ points: [RetentionPoint]) -> [PointID: [String]] {
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
