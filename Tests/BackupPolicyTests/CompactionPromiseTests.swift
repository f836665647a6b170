import Testing

@testable import BackupPolicy

private let minute: Int64 = 60
private let hour: Int64 = 3600
private let day: Int64 = 86400

/// Midnight of a Monday, so that days, weeks and months of a test begin at a known time.
private let start = Timestamp(iso8601: "2023-01-02T00:00:00Z")!

@Suite("Retention rules and compaction")
struct CompactionPromiseTests {
  /// A full at the start and changes at these seconds, each an incremental of the one before.
  private func chain(_ seconds: some Sequence<Int64>) -> RepositoryLife {
    var life = RepositoryLife()
    life.add(.scheduled, start, parent: nil)
    for second in seconds { life.add(.change, start.adding(seconds: second), parent: life.points.last?.id) }
    return life
  }

  private func policy(_ change: (inout RetentionRules) -> Void) -> RetentionPolicy {
    var policy = RetentionPolicy()
    change(&policy.rules)
    return policy
  }

  private func end(_ days: Int64) -> Timestamp { start.adding(seconds: days * day) }

  /// Seconds since the start of the incrementals that are left.
  private func times(_ life: RepositoryLife) -> [Int64] {
    life.points.filter { $0.point.kind == .incremental }.map {
      ($0.point.created.milliseconds - start.milliseconds) / 1000
    }
  }

  @Test("Without a schedule keep_daily 30 keeps thirty days, when compaction alone leaves a week")
  func days() throws {
    let changes = stride(from: 2 * hour, to: 40 * day, by: Int(2 * hour))
    let rules = policy { $0.keepDaily = 30 }
    var life = chain(changes)
    let plan = life.thin(by: rules, now: end(40))
    #expect(life.thin(by: rules, now: end(40)).steps.isEmpty)
    let lasts = (10..<40).map { ($0 + 1) * day - 2 * hour }
    #expect(times(life).filter { $0 < 33 * day } == lasts.filter { $0 < 33 * day })
    #expect(Set(lasts).isSubset(of: times(life)))
    // Besides: one that would stay because of its age alone, and the newest of all.
    #expect(plan.kept.map(\.reasons) == .init(repeating: ["the last of its day (keep_daily 30)"], count: 23))
    #expect(life.broken == nil)
    var alone = chain(changes)
    alone.thin(by: policy { $0.keepLast = 30 }, now: end(40))
    #expect(times(alone) == times(life).filter { $0 >= 33 * day })
  }

  @Test("The last point of the current day changes with each new point, and a past day keeps its last point")
  func openDay() {
    let rules = policy { $0.keepDaily = 5 }
    var life = chain([hour, hour + 10 * minute])
    // Another chain, so that the newest point is not the one that stays.
    life.add(.safety, start.adding(seconds: hour + 11 * minute), parent: nil)
    life.thin(by: rules, now: end(10))
    #expect(times(life) == [hour + 10 * minute])
    let id = life.points[1].id
    life.add(.change, start.adding(seconds: hour + 20 * minute), parent: id)
    life.add(.safety, start.adding(seconds: hour + 21 * minute), parent: nil)
    life.thin(by: rules, now: end(10))
    #expect(times(life) == [hour + 20 * minute])
    life.add(
      .change, start.adding(seconds: day + hour), parent: life.points.last { $0.point.type == .change }?.id)
    life.thin(by: rules, now: end(20))
    #expect(times(life) == [hour + 20 * minute, day + hour])
  }

  static let rules: [(String, @Sendable (inout RetentionRules) -> Void, Int)] = [
    ("keep_hourly", { $0.keepHourly = 100 }, 100), ("keep_hourly all", { $0.keepHourly = -1 }, 1920),
    ("keep_daily", { $0.keepDaily = 100 }, 80), ("keep_weekly", { $0.keepWeekly = 3 }, 3),
    ("keep_monthly", { $0.keepMonthly = 12 }, 3), ("keep_yearly", { $0.keepYearly = 2 }, 1),
    ("keep_within", { $0.keepWithin = CalendarSpan(days: 20) }, 960),
    ("keep_within_hourly", { $0.keepWithinHourly = CalendarSpan(days: 20) }, 480),
    ("keep_within_daily", { $0.keepWithinDaily = CalendarSpan(days: 20) }, 20),
    ("keep_within_weekly", { $0.keepWithinWeekly = CalendarSpan(months: 2) }, 9),
    ("keep_within_monthly", { $0.keepWithinMonthly = CalendarSpan(years: 1) }, 3),
    ("keep_within_yearly", { $0.keepWithinYearly = CalendarSpan(years: 1) }, 1),
    ("keep_tag of none", { $0.keepTags = [[]] }, 3839),
  ]

  @Test(
    "Each rule keeps all points that it names, long after compaction alone would have removed all",
    arguments: rules.indices)
  func each(_ index: Int) {
    let (name, change, count) = Self.rules[index]
    let rules = policy(change)
    // Eighty days, a change at each half hour; a safety backup makes sure that no change is the
    // newest point.
    var life = chain(stride(from: 30 * minute, to: 80 * day, by: Int(30 * minute)))
    life.add(.safety, end(80).adding(seconds: -1), parent: nil)
    life.thin(by: rules, now: end(400))
    #expect(times(life).count == count, "\(name)")
    #expect(life.broken == nil, "\(name)")
  }

  @Test(
    "Rules that count see fulls alone, and change nothing",
    arguments: [
      RetentionPolicy(), RetentionPolicy(keepLast: 100), RetentionPolicy(retentionDays: 400),
      RetentionPolicy(maxBackups: 1000),
    ])
  func counting(_ policy: RetentionPolicy) {
    var life = chain(stride(from: hour, to: 20 * day, by: Int(hour)))
    var alone = life
    #expect(policy.promised(life.points.map(\.point)).isEmpty)
    #expect(life.thin(by: policy, now: end(20)) == alone.thin(by: nil, now: end(20)))
    #expect(life == alone)
  }

  @Test("A point that a rule names takes over removed ones, and is removed when no rule names it")
  func leaving() {
    let rules = policy { $0.keepDaily = 2 }
    var life = chain([hour, 2 * hour, day + hour, day + 2 * hour, 2 * day])
    life.thin(by: rules, now: end(20))
    #expect(times(life) == [day + 2 * hour, 2 * day])
    #expect(life.points[1].point.parent == life.points[0].id)
    life.add(.change, end(30), parent: life.points.last?.id)
    let plan = life.thin(by: rules, now: end(50))
    #expect(plan.steps.map(\.reasons) == [["older than 7 days: only fulls are kept"]])
    #expect(times(life) == [2 * day, 30 * day])
  }
}
