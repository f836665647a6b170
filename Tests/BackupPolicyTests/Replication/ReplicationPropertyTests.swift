import TestSupport
import Testing

@testable import BackupPolicy

/// Random histories of stores, compaction, cleanups, deletions, outages, failures in the middle of a
/// plan and lost inventories.
@Suite("A target follows its repository")
struct ReplicationPropertyTests {
  private static let steps = 100

  @Test("After a plan without failures the target has what it should have, and nothing is left to do", arguments: 0..<8)
  func histories(group: UInt64) {
    let removals = Self.live(group * 2, with: Self.target(removes: true))
    #expect(removals > 10, "seed \(group * 2) hardly removes anything")
    Self.live(group * 2 + 1, with: Self.target(removes: false))
  }

  /// - Returns: the number of removed archives.
  @discardableResult
  private static func live(_ seed: UInt64, with target: (inout SeededGenerator) -> TargetSettings) -> Int {
    var random = SeededGenerator(seed: seed)
    let target = target(&random)
    var history = TargetHistory(target)
    let rules = random.pick([target.retention, RetentionPolicy(keepLast: 2), RetentionPolicy(RetentionRules())])
    var removals = 0
    for step in 0..<steps {
      store(&history, &random)
      change(&history, rules, &random)
      guard !random.chance(3) else { continue }
      removals += history.plan.removals.count
      let problem = random.chance(4) ? history.sync(failingAt: random.pick([0, 1, 2, 5, 20])) : look(&history)
      guard let problem else { continue }
      Issue.record("seed \(seed), step \(step): \(problem) by \(target)")
      break
    }
    return removals
  }

  /// A random target, or one with access and a rule to remove.
  private static func target(removes: Bool) -> (inout SeededGenerator) -> TargetSettings {
    return { random in
      var target = target(&random)
      guard removes else { return target }
      target.access = .full
      if target.retention.rules.isEmpty { target.retention = RetentionPolicy(keepLast: 3) }
      return target
    }
  }

  private static func target(_ random: inout SeededGenerator) -> TargetSettings {
    var policy = RetentionPolicy(
      keepLast: random.pick([nil, 1, 3]), retentionDays: random.pick([nil, nil, 4]))
    policy.rules.keepDaily = random.pick([nil, nil, 5])
    policy.rules.keepHourly = random.pick([nil, nil, 30])
    var target = TargetSettings(name: "nas", retention: random.chance(3) ? RetentionPolicy(RetentionRules()) : policy)
    target.interval = random.pick([0, 10_000, 10_000, 60_000, 600_000])
    target.thins = !random.chance(4)
    target.access = random.pick([.full, .full, .full, .append, .writeOnly])
    target.canMerge = !random.chance(5)
    return target
  }

  private static func store(_ history: inout TargetHistory, _ random: inout SeededGenerator) {
    for _ in 0..<Int.random(in: 1...5, using: &random) {
      let points = history.points
      let sound = points.filter { $0.status == .completed }
      let seconds = Int64.random(in: 1...random.pick([2, 15, 90, 4000, 40_000]), using: &random)
      let isFull = sound.isEmpty || random.chance(30)
      let type: BackupType =
        isFull ? random.pick([.scheduled, .manual, .safety]) : random.chance(15) ? .manual : .change
      let parent = isFull ? nil : random.chance(40) ? random.pick(sound).id : sound.last?.id
      history.add(type, after: seconds, to: parent, full: isFull) { point in
        if random.chance(40) { point.point.status = .failed }
        if random.chance(50) { point.point.tags = ["release"] }
        if random.chance(80) { point.point.pinned = true }
        if random.chance(20) { point.point.verified = true }
      }
    }
  }

  private static func change(
    _ history: inout TargetHistory, _ rules: RetentionPolicy, _ random: inout SeededGenerator
  ) {
    if random.chance(4) {
      var promising = rules
      promising.rules = history.policy.target.retention.rules
      history.life.thin(by: random.chance(2) ? promising : rules, now: history.now)
    }
    if random.chance(10) { history.life.cleanUp(by: rules, now: history.now) }
    if random.chance(40), let point = history.points.last, point.kind == .incremental { history.delete(point.id) }
    if random.chance(80), !history.points.isEmpty { history.delete(random.pick(history.points).id) }
    if random.chance(25) { history.loseInventory() }
    if random.chance(10) { history.readHeads() }
    history.now = history.now.adding(seconds: random.pick([0, 0, 5, 3600]))
  }

  /// A look without failures, and what must be true after it.
  private static func look(_ history: inout TargetHistory) -> String? {
    let before = history.complete
    let plan = history.plan
    if let problem = history.sync() { return problem }
    if history.policy.target.access != .full, !plan.removals.isEmpty { return "removes although it may not" }
    if let problem = lost(before, history) { return problem }
    if case .wait? = plan.steps.last { return nil }
    let complete = history.complete
    if let missing = plan.owed.first(where: { !complete.contains($0) }) { return "\(missing) is owed and not there" }
    if let problem = missing(complete, history) { return problem }
    let next = history.plan
    return next.steps.isEmpty ? nil : "the next look is not empty: \(next.steps)"
  }

  /// A removed backup that the rules keep and age does not remove.
  private static func lost(_ before: Set<PointID>, _ history: TargetHistory) -> String? {
    let target = history.policy.target
    let complete = history.complete
    let gone = before.subtracting(complete)
    guard !gone.isEmpty else { return nil }
    if target.retention.rules.isEmpty, !target.thins { return "\(gone) are removed without a rule" }
    for id in gone {
      guard let point = history.life.ever.first(where: { $0.id == id }) else { continue }
      let isOutdated = target.thins && point.isCompacted && point.age(history.now) >= 3600
      if target.retention.rules.isEmpty, !isOutdated { return "\(id) is removed without a rule" }
      if point.pinned, !history.hasLostInventory { return "\(id) is removed although it is pinned" }
    }
    return nil
  }

  /// A backup that the target should have.
  private static func missing(_ complete: Set<PointID>, _ history: TargetHistory) -> String? {
    let target = history.policy.target
    let points = history.points
    var sendable: Set<PointID> = []
    for point in points where point.isTrusted {
      guard point.kind != .incremental || point.parent.map({ sendable.contains($0) || complete.contains($0) }) ?? false
      else { continue }
      sendable.insert(point.id)
    }
    if let newest = points.last(where: { sendable.contains($0.id) || complete.contains($0.id) }),
      !complete.contains(newest.id)
    {
      return "the newest backup \(newest.id) is missing"
    }
    let kept = Set(target.retention.decide(history.union, now: history.now).keep.map(\.id))
    let times = history.union.filter { complete.contains($0.id) }.map(\.created.milliseconds)
    for point in points where sendable.contains(point.id) && kept.contains(point.id) && !complete.contains(point.id) {
      if !point.isCompacted { return "\(point.id) is missing" }
      guard point.age(history.now) < 3600 || !target.thins else { continue }
      if !times.contains(where: { abs($0 - point.created.milliseconds) < target.interval }) {
        return "nothing within the interval of \(point.id) is there"
      }
    }
    return nil
  }
}
