import TestSupport
import Testing

@testable import BackupPolicy
@testable import holdfast

/// `holdfast cleanup` by restic's rules, and its simulation of the days to come.
@Suite("Cleanup by the calendar", .ownThread)
struct CleanupCommandTests {
  private struct Simulation: Decodable {
    struct Day: Decodable {
      var at: String
      var fulls: Int
      var incrementals: Int
      var bytes: Int
    }
    struct Point: Decodable {
      var createdAt: String
      var kind: String
      var bytes: Int
      var reasons: [String]
    }
    var assumptions: [String]
    var days: [Day]
    var points: [Point]
  }

  private func cleanup(_ bed: CommandBed, _ rest: String..., environment: [String: String] = [:]) throws
    -> CleanupResult
  {
    let result = try Shell.run(
      CommandBed.program, ["cleanup", "--json"] + rest, environment: bed.environment(environment), in: bed.folder.path)
    try #require(result.status == 0, "\(rest): \(result.stderr)")
    return try decode(CleanupResult.self, result.stdout)
  }

  @Test("A dry run prints the actions of the real run, with rules from flags and from settings")
  func dryRun() throws {
    let bed = try CommandBed(rows: 20)
    for _ in 0..<3 { _ = try bed.create() }
    // Only the last of the present day, hour or year: all backups were created just now (or around
    // a midnight).
    let flags = ["--keep-yearly", "1", "--dry-run"]
    let planned = try cleanup(bed, flags[0], flags[1], flags[2])
    #expect(planned.keep.count == 1 && planned.remove.count == 2)
    #expect(planned.keep[0].reasons[0] == "the last of its year (keep_yearly 1)")
    let bySetting = try cleanup(bed, "--dry-run", environment: ["BACKUP_KEEP_YEARLY": "1", "BACKUP_TIMEZONE": "UTC"])
    #expect(bySetting.keep.map(\.backupId) == planned.keep.map(\.backupId))
    let done = try cleanup(bed, flags[0], flags[1])
    #expect(done.keep.map(\.reasons) == planned.keep.map(\.reasons))
    #expect(done.remove.map(\.backupId) == planned.remove.map(\.backupId))
    #expect(try decode([Point].self, bed.succeed("list", "--json")).map(\.backupId) == done.keep.map(\.backupId))
  }

  @Test("Every rule has its flag and its setting")
  func everyRule() throws {
    let flags = try RetentionOptions.parse([
      "--keep-last", "-1", "--keep-hourly", "unlimited", "--keep-daily=7", "--keep-weekly", "all", "--keep-monthly",
      "12",
      "--keep-yearly", "0", "--keep-within", "2d", "--keep-within-hourly", "1y5m7d2h", "--keep-within-daily", "1w",
      "--keep-within-weekly", "2m", "--keep-within-monthly", "none", "--keep-within-yearly", "10y", "--keep-tag", "a,b",
      "--keep-tag", "c",
    ])
    let bed = try ConfigurationBed()
    let rules = try #require(try flags.policy(bed.configuration().settings())?.rules)
    let file = try bed.configuration(
      toml: """
        keep_last = "all"
        keep_hourly = -1
        keep_daily = 7
        keep_weekly = "unlimited"
        keep_monthly = 12
        keep_yearly = 0
        keep_within = "2d"
        keep_within_hourly = "1y5m7d2h"
        keep_within_daily = "7d"
        keep_within_weekly = "2m"
        keep_within_monthly = "none"
        keep_within_yearly = "10y"
        keep_tag = ["a,b", "c"]
        timezone = "Europe/Berlin"
        """)
    #expect(file.problems == [])
    let configured = try #require(try file.settings().retention())
    #expect(configured.rules == rules && configured.zone.name == "Europe/Berlin")
    #expect(rules.keepLast == -1 && rules.keepHourly == -1 && rules.keepDaily == 7 && rules.keepYearly == nil)
    #expect(rules.keepTags == [["a", "b"], ["c"]] && rules.keepWithinMonthly == nil)
    #expect(rules.keepWithinHourly == CalendarSpan(years: 1, months: 5, days: 7, time: .seconds(7200)))
  }

  @Test("cleanup refuses rules that keep nothing", arguments: [["--keep-daily", "0"], ["--keep-tag", "nobody"]])
  func refusals(flags: [String]) throws {
    let bed = try CommandBed(rows: 20)
    _ = try bed.create()
    let result = try Shell.run(
      CommandBed.program, ["cleanup"] + flags, environment: bed.environment([:]), in: bed.folder.path)
    #expect(result.status == 8 && result.stderr.contains("nothing was removed: "), "\(result.stderr)")
    #expect(result.stderr.contains("holdfast: hint: "))
    #expect(try decode([Point].self, bed.succeed("list", "--json")).count == 1)
  }

  @Test("A manual cleanup with looser rules does not release the backups that an anomaly holds")
  func holds() throws {
    let bed = try CommandBed()
    let good = [try bed.create(), try bed.create()]
    _ = try bed.value("DELETE FROM entries WHERE id > 3; VACUUM")
    for _ in 0..<2 { _ = try bed.create() }
    let byHand = try cleanup(bed, "--keep", "1", "--dry-run", environment: ["BACKUP_KEEP_LAST": "2"])
    #expect(byHand.keep.prefix(2).map(\.backupId) == good)
    let configured = try cleanup(bed, "--dry-run", environment: ["BACKUP_KEEP_LAST": "1"])
    #expect(configured.keep.first?.backupId == good[1])
  }

  @Test("A negative number is a mistake, unless it is -1 for a rule that may keep all")
  func negative() throws {
    let bed = try CommandBed(rows: 20)
    _ = try bed.create()
    for flag in ["--keep=-2", "--keep-daily=-2", "--retention-days=-1", "--max-backups=-1", "--max-backups=-7"] {
      #expect(try bed.run("cleanup", flag, "--dry-run").status == 64, "\(flag)")
    }
    for flag in ["--keep=-1", "--keep=all", "--keep-daily=-1"] { try bed.succeed("cleanup", flag, "--dry-run") }
    let help = try bed.succeed("cleanup", "--help").split(whereSeparator: \.isWhitespace).joined(separator: " ")
    #expect(help.contains("all (or -1) instead of N keeps every one"))
  }

  @Test("A simulation predicts the later cleanups and changes nothing")
  func simulation() throws {
    let bed = try CommandBed(rows: 20)
    _ = try bed.create()
    let before = try FolderDigest.of(bed.backups)
    let settings = [
      "BACKUP_SCHEDULE": "0 2 * * *", "BACKUP_MODE": "schedule", "BACKUP_KEEP_DAILY": "7", "BACKUP_TIMEZONE": "UTC",
    ]
    let output = try bed.succeed("cleanup", "--simulate", "30d", "--json", environment: settings)
    let simulation = try decode(Simulation.self, output)
    #expect(simulation.days.count == 31 && simulation.days[0].fulls == 1 && simulation.days[30].fulls == 7)
    #expect(simulation.points.count == 7 && simulation.points.allSatisfy { $0.kind == "full" && !$0.reasons.isEmpty })
    #expect(simulation.assumptions.contains { $0.contains("the database size stays the same") })
    let table = try bed.succeed("cleanup", "--simulate", "30d", "--keep-daily", "3", environment: settings)
    #expect(table.contains("If the database changes as before:") && !table.contains("keep_daily 3"))
    let text = try bed.succeed(
      "cleanup", "--simulate", "30d", "--keep-daily", "3", "--verbose", environment: settings)
    #expect(text.hasPrefix(table) && text.contains("the last of its day (keep_daily 3)"))
    #expect(try FolderDigest.of(bed.backups) == before)
    #expect(try bed.run("cleanup", "--simulate", "1h").status == 64)
  }
}
