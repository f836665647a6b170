import Testing

@testable import BackupPolicy

@Suite("Simulated repositories")
struct RepositorySimulationTests {
  private static let now = Timestamp(iso8601: "2023-11-16T12:00:00Z")!
  private static let pace = RepositoryPace(
    changeInterval: 600_000, fullBytes: 100 << 20, changeBytes: 1 << 20, daysSeen: 30)

  private func settings(_ change: (inout RepositorySimulation.Settings) -> Void) -> RepositorySimulation.Settings {
    var settings = RepositorySimulation.Settings()
    settings.compaction = CompactionPolicy()
    change(&settings)
    return settings
  }

  private func run(_ settings: RepositorySimulation.Settings, _ pace: RepositoryPace = pace, days: Int)
    -> RepositorySimulation
  {
    RepositorySimulation([], pace, settings, from: Self.now, days: days)
  }

  /// A decision each day must give the same result as one decision at the end over all points that
  /// were ever stored.
  @Test("A simulation of fulls keeps the same points as one decision at the end")
  func schedules() throws {
    var policy = RetentionPolicy()
    (policy.rules.keepDaily, policy.rules.keepWeekly, policy.rules.keepMonthly) = (7, 4, 12)
    let daily = try CronSchedule("0 2 * * *")
    let simulation = run(
      settings {
        ($0.mode, $0.schedules, $0.retention) = (.schedule, [daily], policy)
      }, days: 90)
    var series: [Point] = []
    var time = Self.now
    let end = Self.now.adding(seconds: 90 * 86400)
    while let next = daily.next(after: time, in: .utc), next <= end {
      series.append(
        Point(
          id: PointID(at: next), sequence: Int64(series.count), created: next, type: .scheduled, verified: true))
      time = next
    }
    #expect(series.count == 90)
    let kept = Set(policy.decide(series, now: end).keep.map(\.id))
    #expect(
      simulation.points.map(\.point.created) == series.filter { kept.contains($0.id) }.map(\.created))
    #expect(simulation.points.count == 13)
    #expect(simulation.points.allSatisfy { !$0.reasons.isEmpty })
    #expect(simulation.days.count == 91 && simulation.days.last?.bytes == 13 * (100 << 20))
    #expect(simulation.days[0] == .init(time: Self.now, fulls: 0, incrementals: 0, bytes: 0))
  }

  @Test("A simulation of changes keeps all points of an hour, one an hour for a week, and the fulls")
  func changes() throws {
    let nightly = try CronSchedule("0 2 * * *")
    let simulation = run(
      settings { ($0.mode, $0.schedules) = (.hybrid, [nightly]) }, days: 30)
    let end = Self.now.adding(seconds: 30 * 86400)
    func count(_ from: Int64, _ to: Int64) -> Int {
      simulation.points.count {
        $0.point.kind == .incremental && $0.point.isOlder(than: from, now: end)
          && !$0.point.isOlder(than: to, now: end)
      }
    }
    #expect((5...7).contains(count(-1, 3600)))
    // A full cuts the chain of a day, and each chain has its own last point of an hour.
    #expect((140...160).contains(count(86400, 7 * 86400 - 3600)))
    #expect(count(7 * 86400 + 3600, .max) == 0)
    // No rule removes fulls: thirty from the nights, and those that were advised for large chains.
    let fulls = simulation.points.filter { $0.point.kind == .full }
    #expect(fulls.count { $0.point.type == .scheduled } == 30)
    #expect(simulation.points.allSatisfy { $0.bytes <= 100 << 20 })
    let ids = Set(simulation.points.map(\.id))
    #expect(simulation.points.allSatisfy { $0.point.parent.map(ids.contains) ?? true })
  }

  @Test(
    "Without a schedule a daily rule keeps thirty days of changes, with reasons, and without it a week stays"
  )
  func promised() {
    var policy = RetentionPolicy()
    policy.rules.keepDaily = 30
    let small = RepositoryPace(changeInterval: 3_600_000, fullBytes: 100 << 20, changeBytes: 1000, daysSeen: 30)
    let simulation = run(settings { $0.retention = policy }, small, days: 50)
    let named = simulation.points.filter { $0.reasons.contains("the last of its day (keep_daily 30)") }
    let days = Set(named.map { $0.point.created.iso8601.prefix(10) })
    #expect(named.count == 30 && days.count == 30)
    #expect(named.allSatisfy { $0.point.kind == .incremental })
    let alone = run(settings { $0.retention = RetentionPolicy(keepLast: 30) }, small, days: 50)
    let old = alone.points.filter { $0.point.isOlder(than: 8 * 86400, now: alone.days[50].time) }
    #expect(old.map(\.point.kind) == [.full])
  }

  @Test("If changes come faster than one a minute, those of a minute are one point with the bytes of all")
  func bursts() {
    let fast = RepositoryPace(changeInterval: 100, fullBytes: 1 << 30, changeBytes: 1000, daysSeen: 1)
    let simulation = run(settings { $0.compaction = nil }, fast, days: 1)
    #expect(simulation.points.count == 1440)
    #expect(simulation.points.filter { $0.point.kind == .incremental }.allSatisfy { $0.bytes == 600_000 })
    #expect(simulation.assumptions[0].contains("those of one minute are counted as one"))
  }

  @Test("A simulation begins with the present points and continues their chain")
  func present() {
    let history = RetentionHistory("s!ii").points
    let points = history.map { point in
      var point = point
      point.bytes = point.kind == .full ? 100 << 20 : 1 << 20
      (point.pagesStored, point.pageCount, point.pageSize) = (1, 100, 4096)
      return SimulatedPoint(point)
    }
    let slow = RepositoryPace(changeInterval: 50_000_000, fullBytes: 100 << 20, changeBytes: 1 << 20, daysSeen: 3)
    let simulation = RepositorySimulation(points, slow, settings { _ in }, from: RetentionHistory.now, days: 1)
    #expect(simulation.days[0].fulls == 1 && simulation.days[0].incrementals == 2)
    #expect(simulation.points.last?.point.parent == points[2].id)
    #expect(simulation.points.last?.point.sequence == 3)
  }

  @Test("The numbers give the rate of changes, also after compaction")
  func pace() throws {
    var points = RetentionHistory("sisiis").points
    for (index, sequence) in [10, 400, 500, 700, 900, 1016].enumerated() {
      points[index].sequence = Int64(sequence)
      points[index].bytes = points[index].kind == .full ? 5000 : Int64(index * 100)
    }
    let pace = try #require(RepositoryPace(points))
    // In five days 1006 points, two of them on request.
    let interval: Int64 = 432_000_000 / 1004
    #expect(pace.changeInterval == interval)
    #expect(pace.fullBytes == 5000 && pace.changeBytes == 300 && pace.daysSeen == 5)
    #expect(RepositoryPace(RetentionHistory("f").points) == nil)
    #expect(RepositoryPace(RetentionHistory("s").points)?.changeInterval == nil)
    #expect(RepositoryPace(RetentionHistory("sss").points)?.changeInterval == nil)
  }
}
