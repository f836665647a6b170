/// Decides which points a cleanup removes.
///
/// The rules are restic's (``RetentionRules``); who is asked by which rule is not:
/// - `keepLast`, `retentionDays` and `maxBackups` *count* fulls that were asked for, of type `manual` and `scheduled` (and of
///   types unknown here), so that a busy hour cannot push out a month. A day on which only changes made fulls is
///   counted by its last one.
/// - Rules of the calendar see every restorable point but safety, guard and pinned ones and those whose clock is
///   suspect. They go by `zone`.
/// - `keepTags` sees every restorable point.
///
/// Fulls that changes made are thinned out like incrementals, for nobody counts them: all stay for an hour, and the last of
/// each hour for a day. An incremental stays as long as its full does by a rule, or any point of its chain by one of the
/// calendar. Within a chain thinning decides (`ThinningPolicy`), which leaves alone what a rule of the calendar or of tags
/// names. Where rules of the calendar hold, no chain goes that has an incremental younger than an hour.
///
/// `safety` and `guard` points are never counted: they go once they are older
/// than `safetyGrace`. Points that are not authenticated are neither counted nor removed, since whoever can write the
/// repository could push the real ones out with them. Failed points go. Without any rule nothing goes at all.
///
/// An *anomaly hold* keeps what the rules would have kept when an anomalous point was made, so that an accident cannot push
/// out the good points by the mere passing of time; see ``anomalyHold``. Below ``minFreeSpace`` everything but the newest
/// verified point and backup may go.
///
/// Whatever the rules say, these stay: pinned points; the newest verified point, and the newest verified one that is no
/// safety or guard point (where none is verified, the newest); the newest that passed a drill; points that a clock makes doubtful, as far as their age
/// or the calendar would remove them; and whatever a point that stays needs.
@dynamicMemberLookup
public struct RetentionPolicy: Hashable, Sendable {
  /// What to keep.
  public var rules: RetentionRules
  /// The rules that anomalies hold by, where others than ``rules`` are in force as a standing order: a cleanup by hand must not
  /// free what the agent's rules would have kept. Nil: ``rules``.
  package var standingRules: RetentionRules?
  /// Whose days and hours the calendar means.
  package var zone = ZoneRules.utc
  /// Seconds for which a safety or guard point stays in any case.
  public var safetyGrace: Int64
  /// Seconds for which an anomalous point holds what was before it, unless somebody accepts it sooner; 0 for never.
  public var anomalyHold: Int64
  /// Below this, more goes than the rules say; nil for never.
  public var minFreeSpace: FreeSpace?

  /// 30 days.
  public static let standardAnomalyHold: Int64 = 30 * 86400

  /// - Parameters:
  ///   - rules: what to keep.
  ///   - safetyGrace: seconds for which a safety backup stays in any case.
  ///   - anomalyHold: seconds for which an anomalous point holds what was before it; 0 for never.
  ///   - minFreeSpace: below this, more goes than the rules say; nil for never.
  public init(
    _ rules: RetentionRules, safetyGrace: Int64 = 7 * 86400,
    anomalyHold: Int64 = RetentionPolicy.standardAnomalyHold, minFreeSpace: FreeSpace? = nil
  ) {
    self.rules = rules
    self.safetyGrace = safetyGrace
    self.anomalyHold = anomalyHold
    self.minFreeSpace = minFreeSpace
  }

  /// The rules that only count.
  ///
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
  ///   - space: the file system that the repository is on, for ``minFreeSpace``.
  package func decide(_ points: [RetentionPoint], now: Timestamp, space: SpaceFacts? = nil) -> RetentionDecision {
    if let refused = rules.unmeant ?? tagsNobodyHas(points) {
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

  /// Where tags are the only rule and no point has them, somebody mistyped them: all would go.
  private func tagsNobodyHas(_ points: [RetentionPoint]) -> String? {
    guard !rules.keepTags.isEmpty, !rules.counts, rules.calendar.isEmpty else { return nil }
    let trusted = points.filter(\.isTrusted)
    guard !trusted.isEmpty, trusted.allSatisfy({ rules.tags(of: $0).isEmpty }) else { return nil }
    return "no backup has the tags that keep_tag names, so all of them would go"
  }
}
