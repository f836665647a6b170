/// What an anomalous point keeps from being removed.
package struct AnomalyHold: Hashable, Sendable {
  /// The anomalous point.
  package var anomaly: PointID
  /// What is odd about it, in words that follow its ID.
  package var reason: String
  /// When it was made.
  package var since: Timestamp
  /// When it ends by itself; nil where the clock that would tell is suspect.
  package var ends: Timestamp?
  /// The points of before that retention would have kept just then, in repository order.
  package var held: [PointID]
  /// The newest of them that is a backup of the database: what one would restore.
  package var lastGood: PointID?
  /// ``held`` by position.
  var positions: [Int] = []
  /// Where the anomalous point itself stands.
  var position: Int

  /// What is said of a point that is held.
  var heldBecause: String {
    "held: \(anomaly) \(reason), on \(since.iso8601); holdfast accept \(anomaly) ends that"
  }
  /// What is said of the anomalous point itself, without which nobody would know of the hold.
  var keptBecause: String {
    "it \(reason), and what was before it is held; holdfast accept \(anomaly) ends that"
  }
}

extension RetentionPolicy {
  /// The holds that last at `now`, the oldest anomaly first.
  ///
  /// Nothing is recorded of a hold but the anomalous point itself. What it holds is what the standing rules keep of the points
  /// before it, at the time it was made: points that go meanwhile were not among them, so the answer stays the same.
  ///
  /// - Parameters:
  ///   - points: every point of the repository, in its order, the oldest first.
  ///   - now: wall time.
  package func holds(_ points: [RetentionPoint], now: Timestamp) -> [AnomalyHold] {
    holds(points, PointFamily(points), now: now)
  }

  func holds(_ points: [RetentionPoint], _ family: PointFamily, now: Timestamp) -> [AnomalyHold] {
    guard anomalyHold > 0 else { return [] }
    return points.indices.compactMap { position in
      let point = points[position]
      guard let reason = point.anomaly, point.status != "unauthenticated" else { return nil }
      // Where the clock is in doubt, age decides nothing.
      guard point.clockSuspect || !point.isOlder(than: anomalyHold, now: now) else { return nil }
      var hold = AnomalyHold(anomaly: point.id, reason: reason, since: point.created, held: [], position: position)
      hold.ends = point.clockSuspect ? nil : point.created.adding(seconds: anomalyHold)
      hold.positions = keptBefore(position, points, family)
      hold.held = hold.positions.map { points[$0].id }
      hold.lastGood = hold.positions.last { !points[$0].isSafety && points[$0].isTrusted }.map { points[$0].id }
      return hold
    }
  }

  /// What the rules keep of the points before one, at the time it was made.
  private func keptBefore(_ position: Int, _ points: [RetentionPoint], _ family: PointFamily) -> [Int] {
    let before = Array(points[..<position])
    let family = family.ofFirst(position)
    var standing = self
    standing.rules = standingRules ?? rules
    var judgement = standing.judge(before, family, now: points[position].created)
    protect(before, &judgement)
    keepNeeded(before, family, &judgement)
    return before.indices.filter { judgement.kept[$0] != nil }
  }

  func hold(
    _ points: [RetentionPoint], _ family: PointFamily, now: Timestamp, _ judgement: inout RetentionJudgement
  ) {
    for hold in holds(points, family, now: now) {
      for position in hold.positions where judgement.held.insert(position).inserted {
        judgement.keep(position, hold.heldBecause)
      }
      judgement.held.insert(hold.position)
      judgement.keep(hold.position, hold.keptBecause)
    }
  }
}
