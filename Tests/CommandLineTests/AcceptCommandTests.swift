import TestSupport
import Testing

/// An accident on the command line, from cron's `create` to `accept`.
@Suite("The accept command", .ownThread)
struct AcceptCommandTests {
  private struct Verdicts: Decodable {
    struct Verdict: Decodable {
      var backupId: String
      var reasons: [String]
    }
    var keep: [Verdict]
    var remove: [Verdict]
  }

  private struct Acceptance: Decodable {
    var backupId: String
    var accepted: Bool
    var acceptedAt: String?
    var anomalies: [String]
  }

  private struct Hold: Decodable {
    var backupId: String
    var ends: String?
    var held: [String]
  }

  private struct Statistics: Decodable {
    var anomalousBackups: Int
    var holds: [Hold]
  }

  /// A backup that no hold concerns has no such entry.
  private struct Shown: Decodable {
    var holds: [Hold]?
  }

  @Test("show reports that a backup is held or holds others, until it is accepted")
  func shown() throws {
    let bed = try CommandBed()
    let good = try bed.create()
    _ = try bed.value("DELETE FROM entries WHERE id > 3; VACUUM")
    let (odd, newest) = (try bed.create(), try bed.create())
    let rule = ["BACKUP_KEEP_LAST": "1"]
    func words(_ id: String) throws -> [String] {
      let shown = try bed.succeed("show", id, environment: rule)
      return shown.split(separator: "\n").map { String($0) }.filter {
        $0.contains(" Held  ") || $0.contains(" Holds  ")
      }
    }
    func holds(_ id: String) throws -> [Hold]? {
      try decode(Shown.self, bed.succeed("show", id, "--json", environment: rule)).holds
    }
    let held = try words(good).joined()
    #expect(held.contains("for \(odd), which lost most of its content") && held.contains("accept \(odd) ends that"))
    #expect(try words(odd).joined().contains("1 older, until "))
    #expect(try holds(good)?.map(\.backupId) == [odd] && holds(odd)?.first?.held == [good])
    #expect(try words(newest).isEmpty && holds(newest) == nil)
    _ = try bed.succeed("accept", odd)
    #expect(try words(good).isEmpty && words(odd).isEmpty && holds(good) == nil)
  }

  @Test("A backup that lost most of its content is marked and holds older ones until it is accepted")
  func story() throws {
    let bed = try CommandBed()
    let good = try bed.create()
    _ = try bed.value("DELETE FROM entries WHERE id > 3; VACUUM")
    let odd = try bed.create()
    let newest = [try bed.create(), try bed.create()]
    #expect(try bed.succeed("list").contains("! anomalous"))
    let shown = bed.normalised(try bed.succeed("show", odd))
    #expect(shown.contains("Anomaly  ") && shown.contains("it lost most of its content: SIZE before, SIZE now"))

    let plan = try decode(Verdicts.self, bed.succeed("cleanup", "--keep", "1", "--dry-run", "--json"))
    #expect(plan.keep.map(\.backupId) == [good, odd, newest[1]] && plan.remove.map(\.backupId) == [newest[0]])
    #expect(
      plan.keep[0].reasons.contains { $0.hasPrefix("held: \(odd) lost") && $0.contains("holdfast accept \(odd)") })
    let statistics = try decode(
      Statistics.self, bed.succeed("stats", "--json", environment: ["BACKUP_KEEP_LAST": "1"]))
    #expect(statistics.anomalousBackups == 1 && statistics.holds.map(\.backupId) == [odd])
    #expect(statistics.holds.first?.held == [good] && statistics.holds.first?.ends != nil)
    #expect(try bed.succeed("stats", environment: ["BACKUP_KEEP_LAST": "1"]).contains("\(odd) holds 1, until "))

    _ = try bed.succeed("accept", odd, "--dry-run")
    _ = try bed.succeed("cleanup", "--keep", "1")
    #expect(try bed.succeed("list", "--json").contains("\"\(good)\""))
    let acceptance = try decode(Acceptance.self, bed.succeed("accept", odd, "--json"))
    #expect(acceptance.backupId == odd && acceptance.accepted && acceptance.acceptedAt != nil)
    #expect(acceptance.anomalies.count == 1)
    #expect(try bed.succeed("accept", odd).hasPrefix("Accepted before: \(odd)\n"))
    _ = try bed.succeed("cleanup", "--keep", "1")
    #expect(try !bed.succeed("list", "--json").contains("\"\(good)\""))
  }

  @Test("If anomaly_hold is 0, an anomaly holds no backups")
  func never() throws {
    let bed = try CommandBed()
    let good = try bed.create()
    _ = try bed.value("DELETE FROM entries WHERE id > 3; VACUUM")
    for _ in 0..<2 { _ = try bed.create() }
    _ = try bed.succeed("cleanup", "--keep", "1", "--anomaly-hold", "0")
    #expect(try !bed.succeed("list", "--json").contains("\"\(good)\""))
  }

  @Test("accept refuses a backup without an anomaly")
  func refusal() throws {
    let bed = try CommandBed(rows: 10)
    let point = try bed.create()
    let result = try bed.run("accept", point)
    #expect(result.status == 8 && result.stdout == "")
    #expect(
      result.stderr
        == "holdfast: error: \(point) cannot be accepted: it is not anomalous\nholdfast: hint: holdfast list shows the anomalous backups\n"
    )
    #expect(try bed.run("accept", "backup_20010101_000000").status == 4)
  }

  @Test("If less than min_free_space is free, cleanup removes all but the newest backup and gives the reason")
  func space() throws {
    let bed = try CommandBed()
    let points = try (0..<3).map { _ in try bed.create() }
    let output = try bed.succeed("cleanup", "--min-free-space", "99%", "--dry-run", "--json")
    let plan = try decode(Verdicts.self, output)
    #expect(plan.remove.map(\.backupId) == Array(points.prefix(2)) && plan.keep.map(\.backupId) == [points[2]])
    #expect(plan.remove.allSatisfy { $0.reasons.contains { $0.contains("less than min_free_space") } })
    _ = try bed.succeed("cleanup", "--min-free-space", "1B")
    #expect(try bed.succeed("list", "--json").contains("\"\(points[0])\""))
    _ = try bed.succeed("cleanup", "--min-free-space", "99%")
    #expect(try !bed.succeed("list", "--json").contains("\"\(points[0])\""))
  }
}
