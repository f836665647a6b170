import TestSupport
import Testing

@testable import BackupPolicy

@Suite struct RetentionPropertyTests {
  @Test(arguments: [2, 71, 828, 1828, 45_904] as [UInt64])
  func everyDecisionIsSafe(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    var removals = 0
    for number in 0..<400 {
      let points = Self.repository(&random)
      var policy = RetentionPolicy(
        keepLast: random.pick([nil, 1, 3, 10]), retentionDays: random.pick([nil, 1, 7, 400]),
        maxBackups: random.pick([nil, 1, 5]), safetyGrace: .seconds(random.pick([0, 86400, 604_800])))
      Self.addCalendar(&policy.rules, &random)
      let decision = policy.decide(points, now: RetentionHistory.now)
      removals += decision.remove.count
      let broken = Self.broken(decision, points, policy)
      if !broken.isEmpty {
        Issue.record("seed \(seed), case \(number): \(broken) by \(policy) of \(points)")
        return
      }
    }
    #expect(removals > 1000, "seed \(seed) hardly removes anything")
  }

  /// A decision on a chain of 20,000 incrementals, or as many fulls, is quick.
  @Test func longChains() {
    var points = [Point(id: RetentionHistory.id(0), created: RetentionHistory.now, type: .scheduled)]
    for number in 1...20_000 {
      points.append(
        Point(
          id: RetentionHistory.id(number), created: RetentionHistory.now, type: .change, kind: .incremental,
          parent: points[number - 1].id))
    }
    points.append(Point(id: RetentionHistory.id(30_000), created: RetentionHistory.now, type: .scheduled))
    let decision = RetentionPolicy(keepLast: 1).decide(points, now: RetentionHistory.now)
    #expect(decision.remove.map(\.id) == points.prefix(20_001).reversed().map(\.id))
    points[20_000].pinned = true
    #expect(RetentionPolicy(keepLast: 1).decide(points, now: RetentionHistory.now).remove.isEmpty)
  }

  private static func broken(
    _ decision: RetentionDecision, _ points: [Point], _ policy: RetentionPolicy
  ) -> [String] {
    var broken: [String] = []
    func rule(_ name: String, _ holds: Bool) { if !holds { broken.append(name) } }
    let byID = Dictionary(uniqueKeysWithValues: points.map { ($0.id, $0) })
    let kept = Set(decision.keep.map(\.id))
    let removed = decision.remove.map(\.id)
    rule("each point once", kept.union(removed) == Set(byID.keys) && kept.count + removed.count == points.count)
    rule(
      "a reason each", (decision.keep + decision.remove).allSatisfy { !$0.reasons.isEmpty && !$0.reasons.contains("") })
    rule("in repository order", decision.keep.map(\.id) == points.map(\.id).filter(kept.contains))
    rule("pinned stay", points.allSatisfy { !$0.pinned || kept.contains($0.id) })
    rule("parents stay", points.allSatisfy { !kept.contains($0.id) || parentStays($0, kept, byID) })
    rule("children first", childrenFirst(removed, byID))
    let sound = points.filter { ![.failed, .unauthenticated, .suspect, .anomalous].contains($0.status) }
    if let newest = sound.last(where: \.verified) { rule("newest verified stays", kept.contains(newest.id)) }
    if let newest = sound.last(where: { $0.verified && ![BackupType.safety, .guard].contains($0.type) }) {
      rule("newest verified backup stays", kept.contains(newest.id))
    }
    rule("something stays", points.isEmpty || !kept.isEmpty)
    rule("no rule, no removal", !policy.rules.isEmpty || removed.isEmpty)
    let left = points.filter { kept.contains($0.id) }
    // A full of a change begins to count when the last requested full of its day is removed.
    let isSteady = !left.contains { $0.type == .change && $0.kind == .full }
    rule("once is enough", !isSteady || policy.decide(left, now: RetentionHistory.now).remove.isEmpty)
    for point in points where removed.contains(point.id) && [BackupType.safety, .guard].contains(point.type) {
      let age = Duration.milliseconds(RetentionHistory.now.milliseconds - point.created.milliseconds)
      rule("grace of \(point.id)", point.status == .failed || (age > policy.safetyGrace && !point.clockSuspect))
    }
    let ordinary = points.filter {
      $0.kind == .full && !$0.pinned && [.manual, .scheduled, .change].contains($0.type)
    }
    let counted = counted(ordinary.filter { ![.failed, .unauthenticated].contains($0.status) })
    let owed = min(policy.keepLast ?? 0, policy.maxBackups ?? .max)
    rule("the newest are kept", counted.suffix(owed).allSatisfy { kept.contains($0.id) })
    return broken
  }

  /// Half of the policies also have rules of the calendar or of tags.
  private static func addCalendar(_ rules: inout RetentionRules, _ random: inout SeededGenerator) {
    guard random.chance(2) else { return }
    rules.keepHourly = random.pick([nil, nil, 1, 24, -1])
    rules.keepDaily = random.pick([nil, 1, 7])
    rules.keepMonthly = random.pick([nil, nil, 2, 12])
    rules.keepWithinDaily = random.pick([nil, nil, CalendarSpan(days: 7), CalendarSpan(months: 2)])
    rules.keepTags = random.pick([[], [], [[]], [["a"]]])
  }

  /// The requested ones, and the last change of a day without a requested full.
  private static func counted(_ fulls: [Point]) -> [Point] {
    func day(_ point: Point) -> Substring { point.created.iso8601.prefix(10) }
    let asked = fulls.filter { $0.type != .change }.map(day)
    return fulls.enumerated().filter { index, point in
      point.type != .change
        || (!asked.contains(day(point)) && !fulls[(index + 1)...].contains { day($0) == day(point) })
    }.map(\.element)
  }

  private static func parentStays(
    _ point: Point, _ kept: Set<PointID>, _ byID: [PointID: Point]
  ) -> Bool {
    guard point.kind != .full, let parent = point.parent, byID[parent] != nil else { return true }
    return kept.contains(parent)
  }

  private static func childrenFirst(_ removed: [PointID], _ byID: [PointID: Point]) -> Bool {
    var gone: Set<PointID> = []
    for id in removed {
      if let point = byID[id], point.kind != .full, let parent = point.parent, gone.contains(parent) { return false }
      gone.insert(id)
    }
    return true
  }

  private static func repository(_ random: inout SeededGenerator) -> [Point] {
    var points: [Point] = []
    let ages = (0..<Int.random(in: 0..<40, using: &random)).map { _ in
      Int64.random(in: -90_000..<random.pick([40_000, 3_000_000, 30_000_000]), using: &random)
    }
    for (number, age) in ages.sorted(by: >).enumerated() {
      let incremental = !points.isEmpty && random.chance(2)
      points.append(
        Point(
          id: RetentionHistory.id(number),
          created: RetentionHistory.now.adding(seconds: -age),
          type: random.pick([.manual, .scheduled, .scheduled, .change, .safety, .guard]),
          kind: incremental ? .incremental : .full,
          parent: incremental ? (random.chance(20) ? RetentionHistory.id(9999) : random.pick(points).id) : nil,
          status: random.pick([
            .completed, .completed, .verified, .failed, .unauthenticated, .suspect, .anomalous,
          ]),
          verified: random.chance(3), clockSuspect: random.chance(10), pinned: random.chance(10),
          tags: random.pick([[], ["a"], ["a", "b"]])))
    }
    return points
  }
}
