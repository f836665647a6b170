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
  /// Earlier than its predecessor, or in the future: its age means nothing.
  package var clockSuspect: Bool
  package var pinned: Bool
  /// What is odd about its content, in words that follow its ID; nil where nothing is, or where somebody accepted it.
  package var anomaly: String?
  /// Bytes of its archive.
  package var bytes: Int64

  package init(
    id: PointID, sequence: Int64? = nil, created: Timestamp, type: String, kind: String = "full",
    parent: PointID? = nil, status: String = "completed", verified: Bool = false, clockSuspect: Bool = false,
    pinned: Bool = false, anomaly: String? = nil, bytes: Int64 = 0
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
    self.anomaly = anomaly
    self.bytes = bytes
  }
}

/// What retention says of one point, and why: at least one reason, lower case, no full stop.
public struct RetentionVerdict: Hashable, Sendable {
  /// The point.
  public package(set) var id: PointID
  /// Why it stays or goes.
  public package(set) var reasons: [String]

  package init(id: PointID, reasons: [String]) {
    self.id = id
    self.reasons = reasons
  }
}

/// Which points stay and which go.
public struct RetentionDecision: Hashable, Sendable {
  /// In repository order.
  public package(set) var keep: [RetentionVerdict]
  /// In the order to remove them: children before parents.
  public package(set) var remove: [RetentionVerdict]
  /// Why nothing is removed at all: a rule that cannot be meant. The command ends with `usage`.
  public package(set) var refused: String?

  package init(keep: [RetentionVerdict], remove: [RetentionVerdict], refused: String? = nil) {
    self.keep = keep
    self.remove = remove
    self.refused = refused
  }
}

/// Decides which points a cleanup removes.
///
/// *Counted* are the fulls of type `manual`, `scheduled` and `change`, and of types unknown here. (Change fulls follow
/// thinning once there are incrementals and thinning; until then they are counted, so that an agent cannot fill the disk.)
/// Of them:
/// - `keepLast` keeps the newest N, and `retentionDays` keeps those that are younger; a point that either keeps, stays;
/// - `maxBackups` is a ceiling over the result: of what these keep (of all, where neither is set) the newest N stay.
///
/// An incremental stays and goes with its full. `safety` and `guard` points are never counted: they go once they are older
/// than `safetyGrace`. Points that are not authenticated are neither counted nor removed, since whoever can write the
/// repository could push the real ones out with them. Failed points go. Without any rule nothing goes at all.
///
/// An *anomaly hold* keeps what these rules would have kept when an anomalous point was made, so that an accident cannot push
/// out the good points by the mere passing of time; see ``anomalyHold``. Below ``minFreeSpace`` everything but the newest
/// verified point and backup may go.
///
/// Whatever the rules say, these stay: pinned points; the newest verified point, and the newest verified one that is no
/// safety or guard point (where none is verified, the newest); points that a clock makes doubtful, as far as their age
/// would remove them; and whatever a point that stays needs.
public struct RetentionPolicy: Hashable, Sendable {
  /// How many of the newest to keep, at least 1.
  public var keepLast: Int?
  /// Days for which a point is kept, at least 1.
  public var retentionDays: Int?
  /// The most points to keep, at least 1.
  public var maxBackups: Int?
  /// Seconds for which a safety or guard point stays in any case.
  public var safetyGrace: Int64
  /// Seconds for which an anomalous point holds what was before it, unless somebody accepts it sooner; 0 for never.
  public var anomalyHold: Int64
  /// Below this, more goes than the rules say; nil for never.
  public var minFreeSpace: FreeSpace?

  /// 30 days.
  public static let standardAnomalyHold: Int64 = 30 * 86400

  /// - Parameters:
  ///   - keepLast: how many of the newest to keep.
  ///   - retentionDays: days for which a point is kept.
  ///   - maxBackups: the most points to keep.
  ///   - safetyGrace: seconds for which a safety backup stays in any case.
  ///   - anomalyHold: seconds for which an anomalous point holds what was before it; 0 for never.
  ///   - minFreeSpace: below this, more goes than the rules say; nil for never.
  public init(
    keepLast: Int? = nil, retentionDays: Int? = nil, maxBackups: Int? = nil, safetyGrace: Int64 = 7 * 86400,
    anomalyHold: Int64 = RetentionPolicy.standardAnomalyHold, minFreeSpace: FreeSpace? = nil
  ) {
    self.keepLast = keepLast
    self.retentionDays = retentionDays
    self.maxBackups = maxBackups
    self.safetyGrace = safetyGrace
    self.anomalyHold = anomalyHold
    self.minFreeSpace = minFreeSpace
  }

  /// - Parameters:
  ///   - points: every point of the repository, in its order, the oldest first.
  ///   - now: wall time, for the rules about age.
  ///   - space: the file system that the repository is on, for ``minFreeSpace``.
  package func decide(_ points: [RetentionPoint], now: Timestamp, space: SpaceFacts? = nil) -> RetentionDecision {
    if let refused = unmeant {
      let verdicts = points.map { RetentionVerdict(id: $0.id, reasons: ["the request is refused"]) }
      return RetentionDecision(keep: verdicts, remove: [], refused: refused)
    }
    let family = PointFamily(points)
    var judgement = judge(points, family, now: now)
    protect(points, &judgement)
    hold(points, family, now: now, &judgement)
    keepNeeded(points, family, &judgement)
    keepNamesakes(points, &judgement)
    makeRoom(points, family, space, now: now, &judgement)
    let keep = points.indices.compactMap { index in
      judgement.kept[index].map { RetentionVerdict(id: points[index].id, reasons: $0) }
    }
    let gone = points.indices.filter { judgement.kept[$0] == nil }
    let remove = family.removalOrder(of: gone, points).map {
      RetentionVerdict(id: points[$0].id, reasons: judgement.removed[$0] ?? [])
    }
    return RetentionDecision(keep: keep, remove: remove)
  }

  /// A rule that nobody can mean, in words.
  private var unmeant: String? {
    let rules = [("keep", keepLast), ("retention_days", retentionDays), ("max_backups", maxBackups)]
    return rules.first { ($0.1 ?? 1) <= 0 }.map { "\($0.0) must be at least 1, not \($0.1 ?? 0)" }
  }
}
