/// Decides which points a cleanup removes.
///
/// The rules are restic's (``RetentionRules``), but they apply to different points:
/// - `keepLast`, `retentionDays` and `maxBackups` *count* requested fulls, of type `manual` and
///   `scheduled` (and of types unknown here), so that a busy hour cannot push out a month. On a day
///   with only fulls of changes, the last of them counts.
/// - Rules of the calendar apply to every restorable point except safety, guard and pinned ones and
///   those with a suspect clock. They use the clocks of `zone`.
/// - `keepTags` applies to every restorable point.
///
/// Fulls of changes do not count, so they become fewer with age like incrementals: all stay for an
/// hour, and the last of each hour for a day. An incremental stays while a rule keeps its full, or
/// a rule of the calendar keeps any point of its chain. Within a chain compaction decides
/// (`CompactionPolicy`), and it leaves alone any point that a rule of the calendar or of tags names.
/// If there are rules of the calendar, a chain with an incremental younger than an hour stays.
///
/// `safety` and `guard` points are never counted: they are removed once they are older than
/// `safetyGrace`. Points that are not authenticated are neither counted nor removed, because anyone
/// who can write the repository could use them to push out the real ones. Failed points are
/// removed. Without any rule nothing is removed.
///
/// An *anomaly hold* keeps the points that the rules would have kept when an anomalous point was
/// made, so that an accident cannot push out the good points just because time passes; see
/// ``anomalyHold``. Below ``minFreeSpace`` everything except the newest verified point and backup
/// may be removed.
///
/// The following points stay whatever the rules say:
/// - pinned points;
/// - the newest verified point, and the newest verified one that is not a safety or guard point (if
///   no point is verified, the newest);
/// - the newest that passed a drill;
/// - points with a doubtful clock, if only their age or the calendar would remove them;
/// - all points that a kept point needs.
///
/// ```swift
/// var policy = RetentionPolicy(keepLast: 30, safetyGrace: .seconds(14 * 86400))
/// policy.keepMonthly = 12
/// for verdict in try await service.planCleanup(by: policy).remove { print(verdict.id, verdict.reasons) }
/// try await service.cleanUp(by: policy)
/// ```
@dynamicMemberLookup
public struct RetentionPolicy: Hashable, Sendable {
  /// The rules for what to keep.
  public var rules: RetentionRules
  /// The rules for anomaly holds, if the standing rules differ from ``rules``: a manual cleanup
  /// must not free points that the agent's rules would have kept. Nil: ``rules``.
  package var standingRules: RetentionRules?
  /// The zone for the days and hours of the calendar.
  package var zone = ZoneRules.utc
  /// Seconds for which a safety or guard point always stays.
  public var safetyGrace: Duration
  /// Seconds for which an anomalous point holds the points before it, unless it is accepted sooner;
  /// 0 for never.
  public var anomalyHold: Duration
  /// If less is free, more is removed than the rules say; nil for never.
  public var minFreeSpace: FreeSpace?

  /// 30 days.
  public static let standardAnomalyHold = Duration.seconds(30 * 86400)
  /// 7 days.
  public static let standardSafetyGrace = Duration.seconds(7 * 86400)

  /// - Parameters:
  ///   - rules: the rules for what to keep.
  ///   - safetyGrace: seconds for which a safety backup always stays.
  ///   - anomalyHold: seconds for which an anomalous point holds the points before it; 0 for never.
  ///   - minFreeSpace: if less is free, more is removed than the rules say; nil for never.
  public init(
    _ rules: RetentionRules, safetyGrace: Duration = RetentionPolicy.standardSafetyGrace,
    anomalyHold: Duration = RetentionPolicy.standardAnomalyHold, minFreeSpace: FreeSpace? = nil
  ) {
    self.rules = rules
    self.safetyGrace = safetyGrace
    self.anomalyHold = anomalyHold
    self.minFreeSpace = minFreeSpace
  }

  /// The rules that only count.
  ///
  /// - Parameters:
  ///   - keepLast: number of the newest points to keep.
  ///   - retentionDays: days for which a point is kept.
  ///   - maxBackups: maximum number of points to keep.
  ///   - safetyGrace: seconds for which a safety backup always stays.
  ///   - anomalyHold: seconds for which an anomalous point holds the points before it; 0 for never.
  ///   - minFreeSpace: if less is free, more is removed than the rules say; nil for never.
  public init(
    keepLast: Int? = nil, retentionDays: Int? = nil, maxBackups: Int? = nil,
    safetyGrace: Duration = RetentionPolicy.standardSafetyGrace,
    anomalyHold: Duration = RetentionPolicy.standardAnomalyHold, minFreeSpace: FreeSpace? = nil
  ) {
    var rules = RetentionRules()
    (rules.keepLast, rules.retentionDays, rules.maxBackups) = (keepLast, retentionDays, maxBackups)
    self.init(rules, safetyGrace: safetyGrace, anomalyHold: anomalyHold, minFreeSpace: minFreeSpace)
  }

  /// A rule.
  public subscript<Value>(dynamicMember rule: WritableKeyPath<RetentionRules, Value>) -> Value {
    get { rules[keyPath: rule] }
    set { rules[keyPath: rule] = newValue }
  }

  /// - Parameters:
  ///   - points: every point of the repository, in its order, the oldest first.
  ///   - now: wall time, for the rules about age.
  ///   - space: the repository's file system, for ``minFreeSpace``.
  ///   - awaited: the points that a target should have and does not have yet, with the reasons to
  ///     keep them until it has. They are the first to be removed if there is too little space.
  package func decide(
    _ points: [Point], now: Timestamp, space: SpaceFacts? = nil, awaited: [PointID: [String]] = [:]
  ) -> RetentionDecision {
    if let refused = rules.invalidRule ?? tagsNobodyHas(points) {
      let verdicts = points.map { RetentionVerdict(id: $0.id, reasons: ["the request is refused"]) }
      return RetentionDecision(keep: verdicts, remove: [], refused: refused)
    }
    let family = PointFamily(points)
    var judgement = judge(points, family, now: now)
    protect(points, &judgement)
    hold(points, family, now: now, &judgement)
    keepNeeded(points, family, &judgement)
    keepNamesakes(points, &judgement)
    keepAwaited(points, family, awaited, &judgement)
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

  /// If tags are the only rule and no point has them, they are probably mistyped: all points would
  /// be removed.
  private func tagsNobodyHas(_ points: [Point]) -> String? {
    guard !rules.keepTags.isEmpty, !rules.counts, rules.calendar.isEmpty else { return nil }
    let trusted = points.filter(\.isTrusted)
    guard !trusted.isEmpty, trusted.allSatisfy({ rules.tags(of: $0).isEmpty }) else { return nil }
    return "no backup has the tags in keep_tag, so all backups would be removed"
  }
}

extension RetentionPolicy {
  static var doubtfulAge: String { "its clock is suspect, so its age does not count" }

  /// Seconds for which a chain stays because of its incrementals if the calendar would remove it.
  private static let freshness: Int64 = 3600

  /// The results of the rules, before protections are applied.
  func judge(_ points: [Point], _ family: PointFamily, now: Timestamp) -> RetentionJudgement {
    var judgement = RetentionJudgement(count: points.count)
    guard !rules.isEmpty else {
      for position in points.indices { judgement.keep(position, "no rule is set") }
      return judgement
    }
    judgeByNumber(points, now: now, &judgement)
    judgeByTag(points, &judgement)
    let calendar = judgeByCalendar(points, family, &judgement)
    for position in points.indices where !points[position].isHistory {
      judgeApart(points[position], position, now: now, &judgement)
    }
    followFulls(points, family, calendar, now: now, &judgement)
    return judgement
  }

  private func judgeByNumber(_ points: [Point], now: Timestamp, _ judgement: inout RetentionJudgement) {
    let reading = FullsReading(rules, points, zone, now: now)
    for (position, reasons) in reading.keep { for reason in reasons { judgement.keep(position, reason) } }
    for (position, reasons) in reading.remove { for reason in reasons { judgement.remove(position, reason) } }
  }

  private func judgeByTag(_ points: [Point], _ judgement: inout RetentionJudgement) {
    guard !rules.keepTags.isEmpty else { return }
    for position in points.indices where points[position].isTrusted {
      let reasons = rules.tags(of: points[position])
      for reason in reasons { judgement.keep(position, reason) }
      if reasons.isEmpty { judgement.remove(position, "does not have the tags (keep_tag)") }
    }
  }

  /// - Returns: the positions that a rule of the calendar keeps.
  private func judgeByCalendar(
    _ points: [Point], _ family: PointFamily, _ judgement: inout RetentionJudgement
  ) -> Set<Int> {
    guard !rules.calendar.isEmpty else { return [] }
    let history = ruledByCalendar(points, family)
    for position in history where points[position].clockSuspect { judgement.keep(position, Self.doubtfulAge) }
    let (reading, seen) = readCalendar(points, family)
    for position in seen {
      if let reasons = reading.keep[position] {
        for reason in reasons { judgement.keep(position, reason) }
      } else {
        for reason in reading.remove[position] ?? [] { judgement.remove(position, reason) }
      }
    }
    return Set(reading.keep.keys)
  }

  /// The results of the calendar rules, and the positions of the points to which they apply, the
  /// oldest first.
  func readCalendar(_ points: [Point], _ family: PointFamily) -> (reading: CalendarReading, seen: [Int]) {
    let seen = ruledByCalendar(points, family).filter { !points[$0].clockSuspect }
    return (CalendarReading(rules.calendar, points, seen: seen, zone), seen)
  }

  private func ruledByCalendar(_ points: [Point], _ family: PointFamily) -> [Int] {
    points.indices.filter { points[$0].isHistory && points[family.top[$0]].kind == .full }
  }

  /// Points to which no rule applies.
  private func judgeApart(
    _ point: Point, _ position: Int, now: Timestamp, _ judgement: inout RetentionJudgement
  ) {
    if point.status == .failed {
      judgement.remove(position, "failed")
    } else if point.status == .unauthenticated {
      judgement.keep(position, "not authenticated: accept or delete it by hand")
    } else if point.type.isSafety {
      judgeSafety(point, position, now: now, &judgement)
    }
  }

  private func judgeSafety(
    _ point: Point, _ position: Int, now: Timestamp, _ judgement: inout RetentionJudgement
  ) {
    let grace = Words.duration(safetyGrace)
    if !point.isOlder(than: safetyGrace, now: now) {
      judgement.keep(position, "\(point.type) backup younger than \(grace)")
    } else if point.clockSuspect {
      judgement.keep(position, Self.doubtfulAge)
    } else {
      judgement.remove(position, "\(point.type) backup older than \(grace)")
    }
  }

  /// Incrementals are kept or removed with their chains.
  private func followFulls(
    _ points: [Point], _ family: PointFamily, _ calendar: Set<Int>, now: Timestamp,
    _ judgement: inout RetentionJudgement
  ) {
    // A full is not pinned in order to lose the points that build on it.
    var staying = Set(calendar.map { family.top[$0] } + points.indices.filter { points[$0].pinned })
    let followers = points.indices.filter { points[$0].followsItsFull }
    if !rules.calendar.isEmpty {
      let fresh = followers.filter { !points[$0].isOlder(than: Self.freshness, now: now) }
      staying.formUnion(fresh.map { family.top[$0] })
    }
    let ruled = Set(points.indices.filter { judgement.kept[$0] != nil })
    for position in followers where !ruled.contains(position) {
      let root = family.top[position]
      if points[root].kind != .full {
        judgement.keep(position, "its chain has no full here: `holdfast verify` shows the details")
      } else if ruled.contains(root) || staying.contains(root) {
        judgement.keep(position, "belongs to \(points[root].id), which is kept")
      } else {
        judgement.remove(position, "belongs to \(points[root].id), which is removed")
      }
    }
  }
}

/// Retention's result for one point and the reasons: at least one, lower case, no full stop.
///
/// ```swift
/// let decision = try await service.planCleanup(by: RetentionPolicy(keepLast: 30))
/// for verdict in decision.keep { print("\(verdict.id) stays: \(verdict.reasons.joined(separator: "; "))") }
/// ```
public struct RetentionVerdict: Hashable, Sendable {
  /// The point.
  public package(set) var id: PointID
  /// The reasons why it is kept or removed.
  public package(set) var reasons: [String]

  package init(id: PointID, reasons: [String]) {
    self.id = id
    self.reasons = reasons
  }
}

/// The points to keep and the points to remove.
///
/// ```swift
/// let decision = try await service.cleanUp(by: RetentionPolicy(keepLast: 30))
/// print("\(decision.remove.count) backups removed, \(decision.keep.count) kept")
/// ```
public struct RetentionDecision: Hashable, Sendable {
  /// In repository order.
  public package(set) var keep: [RetentionVerdict]
  /// In the order to remove them: children before parents.
  public package(set) var remove: [RetentionVerdict]
  /// The reason why nothing is removed at all: a rule that cannot be intended. The command ends
  /// with `refused`.
  public package(set) var refused: String?

  package init(keep: [RetentionVerdict], remove: [RetentionVerdict], refused: String? = nil) {
    self.keep = keep
    self.remove = remove
    self.refused = refused
  }
}

/// The verdicts in progress, by position in the repository.
struct RetentionJudgement {
  /// The reasons why a point is kept; nil if it is removed.
  var kept: [[String]?]
  /// The reasons why a point is removed, if a rule says so.
  var removed: [Int: [String]] = [:]
  /// The points that anomalies hold, and the anomalous points.
  var held: Set<Int> = []
  /// The points that stay only because a target does not have them yet.
  var awaited: Set<Int> = []

  init(count: Int) {
    kept = Array(repeating: nil, count: count)
  }

  mutating func keep(_ position: Int, _ reason: String) {
    kept[position] = (kept[position] ?? []) + [reason]
  }

  mutating func remove(_ position: Int, _ reason: String) {
    removed[position, default: []].append(reason)
  }
}
