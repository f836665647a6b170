import TestSupport
import Testing

@testable import BackupPolicy

/// The promises of calendar rules, from an independent computation over all points that were ever
/// stored.
private struct Promises {
  private struct Stretch: Hashable {
    var rule: Int
    var name: String
  }

  private let rules: [KeepRule]
  private let zone: ZoneRules
  /// For each point that rules see, its stretches, one a rule.
  private var seen: [(point: Point, stretches: [Stretch])] = []
  private var known = 0
  /// Stretches that were once beyond a rule: `cleanup` may have removed their points by then.
  private var lapsed: Set<Stretch> = []

  init(_ policy: RetentionPolicy) {
    (rules, zone) = (policy.rules.calendar, policy.zone)
  }

  /// - Returns: the broken promise.
  mutating func check(_ life: RepositoryLife) -> String? {
    learn(life.ever)
    let there = Set(life.points.map(\.id))
    for (index, rule) in rules.enumerated() {
      var met: Set<Stretch> = []
      for (point, stretches) in seen.reversed() where met.insert(stretches[index]).inserted {
        guard isPromised(point, rank: met.count, rule) else {
          lapsed.insert(stretches[index])
          continue
        }
        guard !lapsed.contains(stretches[index]), !there.contains(point.id) else { continue }
        return "\(rule.name): \(point.id), the last of \(stretches[index].name), is gone"
      }
    }
    return nil
  }

  private mutating func learn(_ ever: [Point]) {
    for point in ever[known...] where !point.type.isSafety && point.status != .failed && !point.pinned {
      let stretches = rules.enumerated().map { Stretch(rule: $0, name: Self.name(point, $1.kind.unit, zone)) }
      seen.append((point, stretches))
    }
    known = ever.count
  }

  private func isPromised(_ point: Point, rank: Int, _ rule: KeepRule) -> Bool {
    switch rule.amount {
    case .count(let most): most < 0 || rank <= most
    case .span(let span):
      // Months are not drawn, and no day here is shorter than 24 hours: no calendar is needed.
      seen[seen.count - 1].point.created < point.created.adding(.seconds(Int64(span.days) * 86400) + span.time)
    case .tags: false
    }
  }

  private static func name(_ point: Point, _ unit: KeepRule.Unit?, _ zone: ZoneRules) -> String {
    let wall = zone.wall(point.created)
    switch unit {
    case nil: return point.id.text
    case .hour: return String(wall.iso8601.prefix(13))
    case .day: return String(wall.iso8601.prefix(10))
    case .month: return String(wall.iso8601.prefix(7))
    case .year: return String(wall.iso8601.prefix(4))
    case .week:
      let monday = Timestamp(iso8601: "2001-01-01T00:00:00Z")!.milliseconds
      return "week \((wall.milliseconds - monday) / (7 * 86_400_000))"
    }
  }
}

/// Compaction and cleanup take turns over weeks, and the points that the rules promise stay.
@Suite("Points that rules name survive compaction")
struct CompactionPromisePropertyTests {
  @Test("The last point ever stored of each promised hour, day … year is present", arguments: 0..<8)
  func promises(group: UInt64) {
    var spared = 0
    for seed in (group * 4)..<(group * 4 + 4) { spared += Self.live(seed) }
    #expect(spared > 1000, "group \(group): compaction alone would have done as well")
  }

  /// - Returns: how often a rule kept a point from compaction.
  private static func live(_ seed: UInt64) -> Int {
    var random = SeededGenerator(seed: seed)
    let policy = policy(&random)
    var promises = Promises(policy)
    var life = RepositoryLife()
    var time = Timestamp(iso8601: "2023-10-09T07:00:00Z")!
    var spared = 0
    for step in 0..<steps {
      time = time.adding(seconds: Int64.random(in: 1...random.pick([120, 4000, 20_000, 100_000]), using: &random))
      store(&life, time, &random)
      guard random.chance(6) else { continue }
      let now = random.chance(10) ? time.adding(seconds: 86400) : time
      let before = policy.promised(life.points.map(\.point))
      var problem: String?
      if random.chance(3) {
        life.cleanUp(by: policy, now: now)
      } else {
        spared += life.thin(by: policy, now: now).kept.count
        problem = difference(before, policy.promised(life.points.map(\.point)))
      }
      problem = problem ?? life.broken.map { "\($0) lacks what it needs" } ?? promises.check(life)
      guard let problem else { continue }
      Issue.record("seed \(seed), step \(step): \(problem) by \(policy.rules)")
      break
    }
    return spared
  }

  private static let steps = 600

  /// The points that a rule names by the end of an hour, a day and so on must not change. The
  /// oldest point may.
  private static func difference(_ before: [PointID: [String]], _ after: [PointID: [String]]) -> String? {
    if let lost = before.keys.first(where: { after[$0] == nil }) { return "\(lost) is no longer named" }
    func names(_ reason: String) -> Bool { !reason.hasPrefix("the oldest") }
    let new = after.first { before[$0.key] == nil && $0.value.contains(where: names) }
    return new.map { "\($0.key) is named anew: \($0.value)" }
  }

  private static func policy(_ random: inout SeededGenerator) -> RetentionPolicy {
    var policy = RetentionPolicy(
      keepLast: random.pick([nil, nil, 3]), retentionDays: random.pick([nil, nil, 4]),
      maxBackups: random.pick([nil, nil, 2]))
    let names: [WritableKeyPath<RetentionRules, Int?>] = [
      \.keepHourly, \.keepDaily, \.keepWeekly, \.keepMonthly, \.keepYearly,
    ]
    let spans: [WritableKeyPath<RetentionRules, CalendarSpan?>] = [
      \.keepWithin, \.keepWithinHourly, \.keepWithinDaily, \.keepWithinWeekly, \.keepWithinMonthly, \.keepWithinYearly,
    ]
    for _ in 0..<Int.random(in: 1...3, using: &random) {
      if random.chance(3) {
        policy.rules[keyPath: random.pick(spans)] = CalendarSpan(
          days: random.pick([9, 30, 200]), time: .seconds(random.pick([0, 5000])))
      } else {
        policy.rules[keyPath: random.pick(names)] = random.pick([2, 14, 40, 400, -1])
      }
    }
    if random.chance(10) { policy.rules.keepTags = [["release"]] }
    policy.zone = random.pick([.utc, berlin])
    return policy
  }

  /// The clocks are set back on 29 October 2023.
  private static let berlin = ZoneRules(
    name: "Europe/Berlin", firstOffset: 7200, transitions: [.init(instant: 1_698_541_200, offset: 3600)], rule: nil)

  /// Mostly a change of the newest point; sometimes of an older one, or a full of any kind.
  private static func store(_ life: inout RepositoryLife, _ time: Timestamp, _ random: inout SeededGenerator) {
    let sound = life.points.filter { $0.point.status == .completed }
    let isFull = sound.isEmpty || random.chance(60)
    let parent = isFull ? nil : random.chance(40) ? random.pick(sound).id : sound.last?.id
    let types: [BackupType] = isFull ? [.scheduled, .manual, .change, .safety] : [.change, .change, .change, .manual]
    let type = isFull || random.chance(10) ? random.pick(types) : .change
    life.add(type, time, parent: parent) { point in
      if random.chance(40) { point.point.status = .failed }
      if random.chance(60) { point.point.tags = ["release"] }
      if random.chance(80) { point.point.pinned = true }
      if random.chance(20) { point.point.verified = true }
    }
  }
}
