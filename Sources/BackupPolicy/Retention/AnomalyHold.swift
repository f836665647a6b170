/// The protection that an anomalous point gives to the points before it.
package struct AnomalyHold: Hashable, Sendable {
  /// The anomalous point.
  package var anomaly: PointID
  /// The oddity of it, as text that follows its ID.
  package var reason: String
  /// When it was made.
  package var since: Timestamp
  /// When it ends by itself; nil if the clock that would decide this is suspect.
  package var ends: Timestamp?
  /// The points before it that retention would have kept at that time, in repository order, without
  /// those that an older hold holds.
  package var held: [PointID]
  /// The newest of them that is a backup of the database: the one to restore.
  package var lastGood: PointID?
  /// ``held`` by position.
  var positions: [Int] = []
  /// The position of the anomalous point itself.
  var position: Int

  /// The reason shown for a held point.
  var heldBecause: String {
    "held: \(anomaly) \(reason), on \(since.iso8601); holdfast accept \(anomaly) ends that"
  }
  /// The reason shown for the anomalous point itself; without it the hold would be invisible.
  var keptBecause: String {
    "it \(reason), and the backups before it are held; holdfast accept \(anomaly) ends that"
  }
}

extension RetentionPolicy {
  /// The holds that are in force at `now`, the oldest anomaly first.
  ///
  /// A hold has no record except the anomalous point itself. It holds the points that the standing
  /// rules keep of those before it, at the time when it was made. Points that are removed meanwhile
  /// were not among them, so the answer stays the same.
  ///
  /// - Parameters:
  ///   - points: every point of the repository, in its order, the oldest first.
  ///   - now: wall time.
  package func holds(_ points: [Point], now: Timestamp) -> [AnomalyHold] {
    holds(points, PointFamily(points), now: now)
  }

  func holds(_ points: [Point], _ family: PointFamily, now: Timestamp) -> [AnomalyHold] {
    guard anomalyHold > .zero else { return [] }
    var holds: [AnomalyHold] = []
    for position in points.indices {
      let point = points[position]
      guard let reason = point.anomaly, point.status != .unauthenticated else { continue }
      // If the clock is in doubt, age decides nothing.
      guard point.clockSuspect || !point.isOlder(than: anomalyHold, now: now) else { continue }
      var hold = AnomalyHold(anomaly: point.id, reason: reason, since: point.created, held: [], position: position)
      hold.ends = point.clockSuspect ? nil : point.created.adding(anomalyHold)
      hold.positions =
        holds.last.flatMap { keptSince($0.position, before: position, points, family) }
        ?? keptBefore(position, points, family)
      hold.held = hold.positions.map { points[$0].id }
      hold.lastGood =
        hold.positions.last { !points[$0].type.isSafety && points[$0].isTrusted }.map { points[$0].id }
        ?? holds.last?.lastGood
      holds.append(hold)
    }
    return holds
  }

  /// Of the points since the previous anomaly, those that the rules keep at the time of this one;
  /// nil if the times do not allow that.
  ///
  /// Of the points before the previous anomaly, the rules keep at most those that they kept then,
  /// and these are already held: rules count from the newest point, and points only grow older. So
  /// each point is judged once, however many anomalies there are. In between, the full of a chain
  /// represents all older points of the chain.
  private func keptSince(
    _ previous: Int, before position: Int, _ points: [Point], _ family: PointFamily
  ) -> [Int]? {
    guard !points[previous].clockSuspect, !points[position].clockSuspect,
      points[previous].created <= points[position].created
    else { return nil }
    let tops = Set((previous..<position).map { family.top[$0] }.filter { $0 < previous }).sorted()
    let chosen = tops + (previous..<position)
    let part = chosen.map { place in
      var point = points[place]
      if place >= previous, let parent = family.parent[place], parent < previous {
        point.parent = points[family.top[place]].id
      }
      return point
    }
    return kept(of: part, PointFamily(part), at: points[position].created).map { chosen[$0] }.filter { $0 >= previous }
  }

  /// Of the points before a position, those that the rules keep at the time when it was made.
  private func keptBefore(_ position: Int, _ points: [Point], _ family: PointFamily) -> [Int] {
    kept(of: Array(points[..<position]), family.ofFirst(position), at: points[position].created)
  }

  private func kept(of points: [Point], _ family: PointFamily, at time: Timestamp) -> [Int] {
    var standing = self
    standing.rules = standingRules ?? rules
    var judgement = standing.judge(points, family, now: time)
    protect(points, &judgement)
    keepNeeded(points, family, &judgement)
    return points.indices.filter { judgement.kept[$0] != nil }
  }

  func hold(
    _ points: [Point], _ family: PointFamily, now: Timestamp, _ judgement: inout RetentionJudgement
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
