import Testing

@testable import BackupPolicy

/// The choice of a point for a moment, and the report about the choice.
@Suite("The point for a moment")
struct PointByTimeTests {
  private let now = Timestamp(iso8601: "2026-11-22T18:00:00Z")!

  /// In the given order, which is the order of storing: `14:02:58`, or with an obstacle.
  private func points(_ times: (String, String?)...) throws -> [Point] {
    try times.map { time, obstacle in
      let created = try #require(Timestamp(iso8601: time.count > 12 ? time : "2026-11-22T\(time)Z"))
      return Point(id: PointID(at: created), created: created, obstacle: obstacle)
    }
  }

  private func choose(
    _ points: [Point], _ moment: String, zone: String = "UTC"
  ) throws -> PointByTime {
    try PointByTime.choose(
      points, notAfter: try #require(Timestamp(iso8601: moment)), zone: ZoneSamples.named(zone), now: now)
  }

  @Test("The choice is the newest point that is not after the moment, and reports the distance")
  func newest() throws {
    let points = try points(("13:00:00", nil), ("14:02:58", nil), ("14:03:01", nil))
    let choice = try choose(points, "2026-11-22T14:03:00Z")
    #expect(choice.id == points[1].id && choice.behind == 2000 && choice.warnings.isEmpty)
    #expect(choice.words == "backup_20261122_140258 of 2026-11-22 14:02:58, 2 s before 14:03:00 +00:00")
    let berlin = try choose(points, "2026-11-22T14:03:00Z", zone: "Europe/Berlin")
    #expect(berlin.words == "backup_20261122_140258 of 2026-11-22 15:02:58, 2 s before 15:03:00 +01:00")
    let exact = try choose(points, "2026-11-22T14:03:01Z")
    #expect(exact.id == points[2].id)
    #expect(exact.words.hasSuffix("of 2026-11-22 14:03:01, exactly 14:03:01 +00:00"))
    // One millisecond less gives the point before.
    #expect(try choose(points, "2026-11-22T14:03:00.999Z").id == points[1].id)
    let nextDay = try choose(points, "2026-11-23T00:00:00Z").words
    #expect(nextDay.hasSuffix("of 2026-11-22 14:03:01, 9 h 56 min before 2026-11-23 00:00:00 +00:00"), "\(nextDay)")
  }

  @Test("Each time has its own offset across a change of the clocks")
  func offsets() throws {
    let points = try points(("2026-10-25T00:30:00Z", nil))
    let choice = try choose(points, "2026-10-25T01:45:00Z", zone: "Europe/Berlin")
    #expect(
      choice.words
        == "backup_20261025_003000 of 2026-10-25 02:30:00 +02:00, 1 h 15 min before 2026-10-25 02:45:00 +01:00")
  }

  @Test("If no point is that old, the oldest is named")
  func nothing() throws {
    let points = try points(("12:00:00", "it failed"), ("13:00:00", nil), ("14:00:00", nil))
    let error = #expect(throws: HoldfastError.self) { try choose(points, "2026-11-22T12:30:00Z") }
    #expect(error?.code == .pointNotFound && error?.code.exitCode == 4)
    let message = error?.message ?? ""
    #expect(message.contains("of 2026-11-22 12:30:00 +00:00 or before"), "\(message)")
    #expect(message.contains("the oldest is backup_20261122_130000 of 2026-11-22 13:00:00 +00:00"), "\(message)")
    #expect(error?.hint?.isEmpty == false)
    let none = #expect(throws: HoldfastError.self) { try choose([], "2026-11-22T12:30:00Z") }
    #expect(none?.code == .pointNotFound && none?.message == "there is no backup yet")
    #expect(HoldfastError.noSoundPoint(of: 1).message == "the only backup cannot be used")
    #expect(HoldfastError.noSoundPoint(of: 3).message == "none of the 3 backups can be used")
  }

  @Test("A nearer point that is not sound is passed over and named")
  func passedOver() throws {
    let points = try points(
      ("12:59:00", "it failed"), ("13:00:00", nil), ("13:10:00", "it failed"), ("13:20:00", "it is a safety backup"),
      ("13:40:00", "it failed"))
    let choice = try choose(points, "2026-11-22T13:30:00Z")
    #expect(choice.id == points[1].id)
    #expect(
      choice.warnings == [
        "\(points[3].id) is nearer and was skipped: it is a safety backup",
        "\(points[2].id) is nearer and was skipped: it failed",
      ])
    let many = try self.points(
      ("13:00:00", nil), ("13:01:00", "it failed"), ("13:02:00", "it failed"), ("13:03:00", "it failed"),
      ("13:04:00", "it failed"), ("13:05:00", "it failed"))
    let warnings = try choose(many, "2026-11-22T13:30:00Z").warnings
    try #require(warnings.count == 4)
    #expect(warnings[0].hasPrefix("\(many[5].id)"))
    #expect(warnings[3] == "2 more backups were skipped")
  }

  @Test("If the clock was set back, the choice uses the times and warns that they are not reliable")
  func setBack() throws {
    let points = try points(("10:00:00", nil), ("10:05:00", nil), ("09:06:00", nil), ("09:10:00", nil))
    let early = try choose(points, "2026-11-22T09:30:00Z")
    #expect(early.id == points[3].id)
    #expect(early.warnings.contains { $0.contains("set back before \(points[3].id) was stored") }, "\(early.warnings)")
    let late = try choose(points, "2026-11-22T10:30:00Z")
    #expect(late.id == points[1].id)
    #expect(
      late.warnings == [
        "the clock was set back: \(points[3].id) and 1 more were stored later than \(points[1].id), with an earlier time"
      ])
  }

  @Test(
    "A time is suspect if it is earlier than one before it, or in the future",
    arguments: [
      ([], []), ([0, 5, 5, 9], []), ([0, 5, -60, -50, 4, 5], [2, 3, 4]), ([0, 2000, 5], [1]), ([480, 481, 482], [2]),
      ([600, 0, -1], [0, 2]),
    ])
  func suspects(minutes: [Int64], positions: [Int]) throws {
    let noon = try #require(Timestamp(iso8601: "2026-11-22T10:00:00Z"))
    let found = minutes.map { noon.adding(seconds: $0 * 60) }.clockSuspects(now: now)
    #expect(found.count == minutes.count && found.indices.filter { found[$0] } == positions)
  }

  @Test("A time in the future does not make the following ones suspect")
  func future() throws {
    let points = try points(("10:00:00", nil), ("2030-01-01T00:00:00Z", nil), ("10:05:00", nil))
    let choice = try choose(points, "2026-11-22T11:00:00Z")
    #expect(choice.id == points[2].id && choice.warnings.isEmpty)
  }

  @Test("If two points have the same time, the one stored later is chosen")
  func sameTime() throws {
    let time = try #require(Timestamp(iso8601: "2026-11-22T10:00:00Z"))
    let points = [PointID(at: time), PointID(at: time, number: 1)].map { Point(id: $0, created: time) }
    #expect(try choose(points, "2026-11-22T10:00:00Z").id == points[1].id)
  }

  @Test("A forged time causes no crash", arguments: [Int64.min, .max, -62_135_596_800_001])
  func forged(_ milliseconds: Int64) throws {
    let forged = Point(id: PointID(at: now), created: Timestamp(milliseconds: milliseconds))
    let choice = try? choose([forged], "2026-11-22T10:00:00Z")
    #expect((choice == nil) == (milliseconds > 0))
    let words = choice?.words ?? "none"
    #expect(words.contains("0001-01-01") || choice == nil, "\(words)")
    #expect([forged.created].clockSuspects(now: now) == [milliseconds > 0])
  }

  @Test(
    "A distance has at most two units",
    arguments: [
      (0, "0 ms"), (999, "999 ms"), (1499, "1 s"), (1500, "2 s"), (59_600, "1 min"), (90_000, "1 min 30 s"),
      (3_600_000, "1 h"), (11_100_000, "3 h 5 min"), (86_400_000, "1 day"), (187_200_000, "2 days 4 h"),
      (Int64.max, "106751991167 days 7 h"),
    ])
  func distances(milliseconds: Int64, words: String) {
    #expect(Words.distance(milliseconds: milliseconds) == words)
  }

  @Test("A backup that cannot be read now is never ignored, because it may be the one that is meant")
  func hidden() throws {
    func point(_ second: Int64, _ sequence: Int64?, isUnreadable: Bool = false) -> Point {
      let time = Timestamp(milliseconds: second * 1000)
      var point = Point(id: PointID(at: time), created: time)
      (point.sequence, point.isUnreadable) = (sequence, isUnreadable)
      return point
    }
    let (one, two, three) = (point(100, 1), point(200, 2), point(300, 3))
    var lost = three
    lost.isUnreadable = true
    #expect(Point.hidden([one, two, three], after: three.id, notAfter: nil) == nil)
    #expect(Point.hidden([one, two, lost], after: two.id, notAfter: nil) == lost.id)
    #expect(Point.hidden([one, two, lost], after: nil, notAfter: nil) == lost.id)
    // An older one does not matter. One with an unknown number comes first in the list, and may be
    // the newest.
    #expect(Point.hidden([point(50, 1, isUnreadable: true), one, two], after: two.id, notAfter: nil) == nil)
    let unknown = point(300, nil, isUnreadable: true)
    #expect(Point.hidden([unknown, one, two], after: two.id, notAfter: nil) == unknown.id)
    #expect(Point.hidden([point(50, nil, isUnreadable: true), one, two], after: two.id, notAfter: nil) == nil)
    // If a time is given, only the backups that are not after it count.
    #expect(Point.hidden([one, two, lost], after: two.id, notAfter: two.created) == nil)
    #expect(Point.hidden([one, two, lost], after: two.id, notAfter: lost.created) == lost.id)
    #expect(Point.hidden([one, lost], after: nil, notAfter: one.created) == nil)
  }
}
