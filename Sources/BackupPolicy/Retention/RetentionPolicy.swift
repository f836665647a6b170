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
  package func decide(_ points: [Point], now: Timestamp, space: SpaceFacts? = nil) -> RetentionDecision {
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
  private func tagsNobodyHas(_ points: [Point]) -> String? {
    guard !rules.keepTags.isEmpty, !rules.counts, rules.calendar.isEmpty else { return nil }
    let trusted = points.filter(\.isTrusted)
    guard !trusted.isEmpty, trusted.allSatisfy({ rules.tags(of: $0).isEmpty }) else { return nil }
    return "no backup has the tags that keep_tag names, so all of them would go"
  }
}

extension RetentionPolicy {
  static var doubtfulAge: String { "its clock is suspect, so its age does not count" }

  /// How long a chain stays for its incrementals' sake where the calendar would remove it; seconds.
  private static let freshness: Int64 = 3600

  /// What the rules say, before anything is protected from them.
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
      if reasons.isEmpty { judgement.remove(position, "has not the tags (keep_tag)") }
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

  /// What the rules of the calendar say, and the positions of the points that they see, the oldest first.
  func readCalendar(_ points: [Point], _ family: PointFamily) -> (reading: CalendarReading, seen: [Int]) {
    let seen = ruledByCalendar(points, family).filter { !points[$0].clockSuspect }
    return (CalendarReading(rules.calendar, points, seen: seen, zone), seen)
  }

  private func ruledByCalendar(_ points: [Point], _ family: PointFamily) -> [Int] {
    points.indices.filter { points[$0].isHistory && points[family.top[$0]].kind == .full }
  }

  /// Points that no rule is about.
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
    let grace = Words.duration(seconds: safetyGrace)
    if !point.isOlder(than: safetyGrace, now: now) {
      judgement.keep(position, "\(point.type) backup younger than \(grace)")
    } else if point.clockSuspect {
      judgement.keep(position, Self.doubtfulAge)
    } else {
      judgement.remove(position, "\(point.type) backup older than \(grace)")
    }
  }

  /// Incrementals stay and go with their chains.
  private func followFulls(
    _ points: [Point], _ family: PointFamily, _ calendar: Set<Int>, now: Timestamp,
    _ judgement: inout RetentionJudgement
  ) {
    // Nobody pins a full to lose what builds on it.
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
        judgement.keep(position, "its chain has no full here: `holdfast verify` tells more")
      } else if ruled.contains(root) || staying.contains(root) {
        judgement.keep(position, "belongs to \(points[root].id), which stays")
      } else {
        judgement.remove(position, "belongs to \(points[root].id), which goes")
      }
    }
  }
}

/// What `keep`, `retention_days` and `max_backups` say of fulls, and how fulls thin out that are not counted.
struct FullsReading {
  private(set) var keep: [Int: [String]] = [:]
  private(set) var remove: [Int: [String]] = [:]
  private let rules: RetentionRules
  private let time: Timestamp

  /// All fulls of a changed database stay so long, and then the last of each hour; seconds.
  private static let every: Int64 = 3600
  private static let oneAnHour: Int64 = 86400

  init(_ rules: RetentionRules, _ points: [Point], _ zone: ZoneRules, now: Timestamp) {
    self.rules = rules
    time = now
    // The newest first: `rank` is what keep and max_backups count.
    let fulls = points.indices.reversed().filter { points[$0].kind == .full && points[$0].isHistory }
    let counted = Self.counted(fulls, points, zone)
    if rules.counts { count(fulls.filter(counted.contains), points) }
    thin(fulls.filter { points[$0].type == .change }, counted, points, zone)
  }

  /// Those that were asked for, and of a day that has none the last one.
  private static func counted(_ fulls: [Int], _ points: [Point], _ zone: ZoneRules) -> Set<Int> {
    func day(_ position: Int) -> Int64 {
      zone.wall(points[position].created).milliseconds.flooredQuotient(by: 86_400_000)
    }
    let asked = fulls.filter { points[$0].type != .change }
    var days = Set(asked.map(day))
    return Set(asked + fulls.filter { points[$0].type == .change && days.insert(day($0)).inserted })
  }

  private mutating func count(_ counted: [Int], _ points: [Point]) {
    var staying = 0
    for (rank, position) in counted.enumerated() {
      let (keep, remove) = reasons(points[position], rank: rank)
      if keep.isEmpty {
        self.remove[position] = remove
      } else if let maxBackups = rules.maxBackups, staying >= maxBackups {
        self.remove[position] = ["beyond max_backups \(maxBackups)"]
      } else {
        staying += 1
        self.keep[position] = keep
      }
    }
  }

  /// Reasons of the rules that keep this point, and of those that do not; `maxBackups` comes after.
  private func reasons(_ point: Point, rank: Int) -> (keep: [String], remove: [String]) {
    var (keep, remove): ([String], [String]) = ([], [])
    if let last = rules.last {
      if last < 0 {
        keep.append("keep all")
      } else if rank < last {
        keep.append("among the newest \(last)")
      } else {
        remove.append("beyond keep \(last)")
      }
    }
    if let days = rules.retentionDays {
      if let reason = youth(point, days) { keep.append(reason) } else { remove.append("older than \(days) days") }
    }
    if rules.last == nil, rules.retentionDays == nil, let maxBackups = rules.maxBackups {
      keep.append("within max_backups \(maxBackups)")
    }
    return (keep, remove)
  }

  /// Why `retention_days` keeps a point; nil where it does not.
  private func youth(_ point: Point, _ days: Int) -> String? {
    guard point.isOlder(than: Int64(days).multipliedClamped(by: 86400), now: time) else {
      return "younger than \(days) days"
    }
    return point.clockSuspect ? RetentionPolicy.doubtfulAge : nil
  }

  /// What stays for a while whether it is counted or not: it must not matter to it when others of its day go.
  private mutating func thin(_ changes: [Int], _ counted: Set<Int>, _ points: [Point], _ zone: ZoneRules) {
    var hour: Int64?
    for position in changes {
      let point = points[position]
      let number = zone.wall(point.created).milliseconds.flooredQuotient(by: 3_600_000)
      let reason = recency(point, isLastOfHour: number != hour) ?? (counted.contains(position) ? nil : age(point))
      if let reason {
        keep[position, default: []].append(reason)
      } else if !counted.contains(position) {
        remove[position] = ["a full of a change is not counted where its day has a later one or one that was asked for"]
      }
      if !point.clockSuspect { hour = number }
    }
  }

  private func recency(_ point: Point, isLastOfHour: Bool) -> String? {
    guard !point.clockSuspect else { return nil }
    if !point.isOlder(than: Self.every, now: time) {
      return "a change younger than \(Words.duration(seconds: Self.every))"
    }
    guard isLastOfHour, !point.isOlder(than: Self.oneAnHour, now: time) else { return nil }
    return "the last change of its hour, and younger than \(Words.duration(seconds: Self.oneAnHour))"
  }

  /// Not counted is not unseen: `retention_days` is about every full.
  private func age(_ point: Point) -> String? {
    if point.clockSuspect { return RetentionPolicy.doubtfulAge }
    return rules.retentionDays.flatMap { youth(point, $0) }
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
  /// Why nothing is removed at all: a rule that cannot be meant. The command ends with `refused`.
  public package(set) var refused: String?

  package init(keep: [RetentionVerdict], remove: [RetentionVerdict], refused: String? = nil) {
    self.keep = keep
    self.remove = remove
    self.refused = refused
  }
}

/// The verdicts while they are made, by position in the repository.
struct RetentionJudgement {
  /// Why a point stays; nil for one that goes.
  var kept: [[String]?]
  /// Why a point goes, where a rule says so.
  var removed: [Int: [String]] = [:]
  /// What anomalies hold, and the anomalies.
  var held: Set<Int> = []

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
