import TestSupport
import Testing

/// `restore --at`, `show --at`, `verify --at`.
@Suite("A backup by its time", .ownThread)
struct PointInTimeCommandTests {
  /// A chain of backups from 13:00, 14:02:58 and 14:03:01 UTC, with 3, 4 and 5 rows.
  private func world() throws -> (bed: CommandBed, ids: [String]) {
    let bed = try CommandBed(rows: 3)
    let plain = ["BACKUP_ENCRYPTION_ENABLED": "false"]
    var ids = [try bed.create(plain)]
    for _ in 0..<2 {
      _ = try bed.value("INSERT INTO entries(text) VALUES ('more')")
      ids.append(try bed.create(plain))
    }
    for (id, time) in zip(ids, ["13:00:00.000", "14:02:58.250", "14:03:01.000"]) {
      try bed.setTime(of: id, to: "2025-11-22T\(time)Z")
    }
    return (bed, ids)
  }

  @Test("restore --at names the backup and its distance, also in the plan, and restores that state")
  func restore() throws {
    let (bed, ids) = try world()
    let dry = try bed.succeed("restore", "--at", "2025-11-22 14:03", "--dry-run")
    #expect(
      dry.hasPrefix(
        "\(ids[1]) of 2025-11-22 14:02:58, 2 s before 14:03:00 +00:00\n\nRestore of \(ids[1]) to "), "\(dry)")
    #expect(try bed.value("SELECT count(*) FROM entries") == "5")
    let done = try decode(
      Restoration.self,
      bed.succeed("restore", "--at", "2025-11-22 14:03", "--yes", "--json", "--no-safety-backup"))
    #expect(done.executed && done.backupId == ids[1])
    let choice = try #require(done.at)
    #expect(choice.requested == "2025-11-22T14:03:00.000Z" && choice.createdAt == "2025-11-22T14:02:58.250Z")
    #expect(choice.behindMs == 1750 && choice.warnings.isEmpty)
    #expect(try bed.value("SELECT count(*) FROM entries") == "4")
    #expect(try decode(Restoration.self, bed.succeed("restore", ids[0], "--dry-run", "--json")).at == nil)
  }

  @Test("--at uses the configured zone, else the process's, and shows times by the same clocks")
  func zones() throws {
    let (bed, ids) = try world()
    func show(_ at: String, _ environment: [String: String]) throws -> String {
      try bed.succeed("show", "--at", at, environment: environment)
    }
    let berlin = try show("2025-11-22 15:03", ["TZ": "Europe/Berlin"])
    #expect(berlin.hasPrefix("\(ids[1]) of 2025-11-22 15:02:58, 2 s before 15:03:00 +01:00\n"), "\(berlin)")
    let kathmandu = try show("2025-11-22 19:48", ["TZ": "Europe/Berlin", "BACKUP_TIMEZONE": "Asia/Kathmandu"])
    #expect(kathmandu.hasPrefix("\(ids[1]) of 2025-11-22 19:47:58, 2 s before 19:48:00 +05:45\n"), "\(kathmandu)")
    #expect(kathmandu.contains("    Created         2025-11-22 19:47:58 +05:45\n"), "\(kathmandu)")
    let list = try bed.succeed("list", environment: ["BACKUP_TIMEZONE": "Asia/Kathmandu"])
    #expect(list.contains("    Created      2025-11-22 19:47:58 +05:45\n"), "\(list)")
    // With an offset the zone does not matter.
    let instant = try show("2025-11-22T14:03:00Z", ["TZ": "Asia/Kathmandu"])
    #expect(instant.hasPrefix("\(ids[1]) of "), "\(instant)")
  }

  @Test("latest and now mean the newest backup, and verify also accepts a time")
  func newest() throws {
    let (bed, ids) = try world()
    #expect(try decode(Shown.self, bed.succeed("show", "--at", "latest", "--json")).backupId == ids[2])
    let now = try decode(Shown.self, bed.succeed("show", "--at", "now", "--json"))
    #expect(now.backupId == ids[2] && (now.at?.behindMs ?? 0) > 0)
    let verdict = try decode(Verdict.self, bed.succeed("verify", "--at", "2025-11-22 13:59", "--json"))
    #expect(verdict.backupId == ids[0] && verdict.verified && verdict.at?.behindMs == 59 * 60_000)
    let text = try bed.succeed("verify", "--at", "2025-11-22 13:59")
    #expect(text.hasPrefix("\(ids[0]) of 2025-11-22 13:00:00, 59 min before 13:59:00 +00:00\n\n\(ids[0])\n"), "\(text)")
  }

  @Test("A nearer but unusable backup is named before the question")
  func warnings() throws {
    let (bed, ids) = try world()
    try bed.python("import os, sys; os.unlink(sys.argv[1])", "\(bed.backups)/\(ids[1]).db.gz")
    let dry = try bed.succeed("restore", "--at", "2025-11-22 14:03", "--dry-run")
    #expect(dry.hasPrefix("\(ids[0]) of 2025-11-22 13:00:00, 1 h 3 min before 14:03:00 +00:00\n"), "\(dry)")
    #expect(dry.contains("\nWarnings:\n  ! \(ids[1]) is nearer and was skipped: the archive "), "\(dry)")
    let document = try decode(
      Restoration.self, bed.succeed("restore", "--at", "2025-11-22 14:03", "--dry-run", "--json"))
    #expect(document.warnings.count == 1 && document.at?.warnings == document.warnings)
    let shown = try bed.succeed("show", "--at", "2025-11-22 14:03")
    #expect(shown.contains("\n  ! \(ids[1]) is nearer and was skipped"), "\(shown)")
  }
}
