import Testing

@testable import BackupPolicy

@Suite("The state of drills")
struct DrillStandingTests {
  private let now = TriggerTimes.utc("2026-11-23 12:00:00")
  private func ago(_ seconds: Int64) -> Timestamp { now.adding(seconds: -seconds) }

  @Test("A drill counts for twice the longest pause of its schedule, and at least a day")
  func standardAge() throws {
    func age(_ schedules: String..., maxAge: Int64? = nil) throws -> Int64? {
      try DrillSettings(schedules: TriggerTimes.schedules(schedules), maxAge: maxAge).age(at: now)
    }
    #expect(try age("0 4 * * 0") == 14 * 86400)
    #expect(try age("0 4 * * *") == 2 * 86400)
    #expect(try age("*/5 * * * *") == 86400)
    // From Friday to Monday.
    #expect(try age("0 4 * * 1-5") == 6 * 86400)
    #expect(try age("0 4 * * 0", "0 4 * * 3") == 8 * 86400)
    #expect(try age("0 4 1 * *") == 62 * 86400)
    #expect(try age() == nil)
    #expect(try age("0 4 * * 0", maxAge: 3600) == 3600)
    #expect(try age("0 4 * * 0", maxAge: 0) == nil, "0 means never")
  }

  @Test("If no drill ever ran, the age counts from the oldest point, and without a point nothing is overdue")
  func neverDrilled() {
    #expect(DrillSummary().concerns(maxAge: 60, now: now) == [])
    let young = DrillSummary(oldestPoint: ago(59))
    #expect(young.concerns(maxAge: 60, now: now) == [] && young.expiry(maxAge: 60) == now.adding(seconds: 1))
    #expect(
      DrillSummary(oldestPoint: ago(60)).concerns(maxAge: 60, now: now)
        == [.tooOld("no drill has ever passed, and there are backups for more than 1 min")])
    #expect(DrillSummary(oldestPoint: ago(60)).concerns(maxAge: nil, now: now) == [])
  }

  @Test("A failed drill is one concern, and the age of the last passed drill is another")
  func both() {
    let summary = DrillSummary(
      last: ago(5), lastPassed: ago(100), failure: .init(time: ago(5), words: "no room"), oldestPoint: ago(500))
    #expect(summary.concerns(maxAge: 200, now: now) == [.failed("the last drill failed: no room")])
    #expect(summary.concerns(maxAge: 99, now: now).count == 2)
  }

  @Test("An answer is compared as text, without the space around it")
  func answers() {
    func isMet(_ expect: String, _ answer: String) -> Bool {
      DrillAssertion(sql: "", expect: expect).isMet(by: answer)
    }
    #expect(isMet("3", "3") && isMet("1|a\n2|b\n", "1|a\n2|b") && isMet("", "") && isMet(" ", ""))
    #expect(!isMet("3", "3.0") && !isMet("3", "03") && !isMet("a b", "a  b") && !isMet("", "0") && !isMet("1", ""))
    #expect(DrillAssertion(sql: "", expect: "").label(2) == "assertion 2")
    #expect(DrillAssertion(name: "users", sql: "", expect: "").label(2) == "users")
  }
}

@Suite("The newest proven point")
struct ProvenPointTests {
  private let now = TriggerTimes.utc("2026-11-23 12:00:00")

  /// Verified fulls, a day apart, the oldest first.
  private func points(proven: Set<Int>, status: [Int: BackupStatus] = [:]) -> [Point] {
    (0..<6).map { day in
      let time = now.adding(seconds: Int64(day - 6) * 86400)
      var point = Point(
        id: PointID(at: time), sequence: Int64(day), created: time, type: .scheduled,
        status: status[day] ?? .verified, verified: true)
      point.proven = proven.contains(day)
      return point
    }
  }

  @Test("The newest proven point is never removed, though others were verified since; an older one may be")
  func retention() {
    let policy = RetentionPolicy(keepLast: 1)
    func kept(_ points: [Point]) -> [PointID] { policy.decide(points, now: now).keep.map(\.id) }
    let points = points(proven: [1, 3])
    #expect(kept(points) == [points[3].id, points[5].id])
    let decision = policy.decide(points, now: now)
    #expect(decision.keep.first { $0.id == points[3].id }?.reasons == ["the newest proven backup"])
    let doubtful = self.points(proven: [1, 3], status: [3: .suspect])
    #expect(kept(doubtful).contains(doubtful[1].id))
    #expect(kept(self.points(proven: [])) == [points[5].id])
  }

  @Test("The newest proven point is not merged away")
  func compaction() {
    let start = now.adding(seconds: -5 * 86400)
    var chain = [
      Point(
        id: PointID(at: start), created: start, type: .scheduled, kind: .full, parent: nil, status: .verified,
        bytes: 100_000, pagesStored: 100, pageCount: 100, pageSize: 4096)
    ]
    for step in 1...5 {
      let time = start.adding(seconds: Int64(step))
      chain.append(
        Point(
          id: PointID(at: time), created: time, type: .change, kind: .incremental, parent: chain.last?.id,
          status: .completed, bytes: 5000, pagesStored: 5, pageCount: 100, pageSize: 4096))
    }
    func removed(_ points: [Point]) -> Set<PointID> {
      Set(CompactionPolicy().plan(points, now: now).steps.flatMap(\.removed))
    }
    #expect(removed(chain) == Set(chain[1...4].map(\.id)))
    chain[1].proven = true
    chain[2].proven = true
    #expect(removed(chain) == [chain[1].id, chain[3].id, chain[4].id])
  }
}
