import TestSupport
import Testing

/// The documents for scripts: `--json` prints exactly one document on standard output.
@Suite("JSON output", .ownThread)
struct DocumentTests {
  @Test("create, list and show print the metadata")
  func points() throws {
    let bed = try CommandBed()
    let first = try decode(
      Point.self,
      bed.succeed("create", "--json", "--verify", "--description", "one", "--tags", "a", "b", "--tags", "c"))
    #expect(first.verified && first.status == "verified" && first.backupType == "manual")
    #expect(first.description == "one" && first.tags == ["a", "b", "c"] && first.totalRecords == 1234)
    #expect(first.filename == "\(first.backupId).db.gz.enc" && first.cipher == "aes-256-gcm")
    #expect(first.databasePath == bed.database)
    let second = try decode(
      Point.self, bed.succeed("create", "--json", "--no-encrypt", "--compression-level", "9"))
    #expect(!second.encrypted && second.compressed && second.sequence == 2)
    let list = try decode([Point].self, bed.succeed("list", "--json"))
    #expect(list.map(\.backupId) == [second.backupId, first.backupId])
    #expect(try decode([Point].self, bed.succeed("list", "--json", "--limit", "1")).count == 1)
    #expect(try decode(Point.self, bed.succeed("show", first.backupId, "--json")).verified)
  }

  @Test("If a repository is empty, list prints an empty array")
  func empty() throws {
    let bed = try CommandBed()
    try bed.succeed("init")
    #expect(try decode([Point].self, bed.succeed("list", "--json")).isEmpty)
    #expect(try bed.succeed("list") == "Available backups: 0\n")
    #expect(try decode([Verdict].self, bed.succeed("verify", "--all", "--json")).isEmpty)
    let stats = try decode(Statistics.self, bed.succeed("stats", "--json"))
    #expect(stats.totalBackups == 0 && stats.averageCompression == nil && stats.oldestBackup == nil)
  }

  /// IDs within one second are numbered; a gap that a removal left must not be filled.
  @Test("A new backup never gets the ID of a removed one")
  func uniqueIDs() throws {
    let bed = try CommandBed(rows: 20)
    var seen: Set<String> = []
    for _ in 0..<4 {
      let (first, second) = (try bed.create(), try bed.create())
      #expect(seen.insert(first).inserted && seen.insert(second).inserted)
      try bed.succeed("delete", first, "--yes")
    }
  }

  @Test("verify names every check")
  func verify() throws {
    let bed = try CommandBed()
    let id = try bed.create()
    let verdict = try decode(Verdict.self, bed.succeed("verify", id, "--json"))
    #expect(verdict.backupId == id && verdict.verified)
    #expect(verdict.checks.map(\.name).contains("sqlite_integrity_check"))
    #expect(verdict.checks.allSatisfy { $0.passed })
    let again = try decode(Verdict.self, bed.succeed("verify", id, "--json"))
    let known = again.checks.first { $0.name == "sqlite_integrity_check" }
    #expect(known?.detail == "passed before for the same content")
    let recheck = try decode(Verdict.self, bed.succeed("verify", id, "--json", "--recheck"))
    #expect(recheck.checks.first { $0.name == "sqlite_integrity_check" }?.detail == nil)
  }

  @Test("verify --all reports a backup without a matching key and continues")
  func otherKey() throws {
    let bed = try CommandBed()
    let password = ["BACKUP_ENCRYPTION_PASSWORD": "a password"]
    let first = try bed.create(password.merging(["BACKUP_ENCRYPTION_KEY_FILE": ""]) { $1 })
    let second = try bed.create(password)
    let third = try bed.create()
    let result = try bed.run("verify", "--all", "--json")
    #expect(result.status == 5 && result.stderr == "holdfast: error: 1 of 3 backups are not verified: \(first)\n")
    let verdicts = try decode([Verdict].self, result.stdout)
    #expect(verdicts.map(\.backupId) == [third, second, first])
    #expect(verdicts.map(\.verified) == [true, true, false])
    #expect(verdicts[2].error?.code == "key_missing")
  }

  @Test("restore prints the plan, executed or not")
  func restore() throws {
    let bed = try CommandBed()
    let id = try bed.create()
    _ = try bed.value("DELETE FROM entries")
    let dry = try decode(Restoration.self, bed.succeed("restore", id, "--dry-run", "--json"))
    #expect(dry.backupId == id && !dry.executed && dry.safetyBackupId == nil && dry.plan.install == "live")
    #expect(dry.plan.steps.map(\.step).contains("safety_backup"))
    #expect(try bed.value("SELECT count(*) FROM entries") == "0")
    let done = try decode(Restoration.self, bed.succeed("restore", id, "--yes", "--json"))
    #expect(done.executed && done.plan.steps.map(\.step) == dry.plan.steps.map(\.step))
    #expect(try bed.value("SELECT count(*) FROM entries") == "1234")
    let safety = try decode(Point.self, bed.succeed("show", try #require(done.safetyBackupId), "--json"))
    #expect(safety.backupType == "safety" && safety.encrypted)
    let waived = try decode(
      Restoration.self, bed.succeed("restore", id, "--yes", "--json", "--no-safety-backup", "--no-verify"))
    #expect(waived.executed && waived.safetyBackupId == nil && waived.warnings.count == 2)
    #expect(waived.plan.steps.allSatisfy { !["safety_backup", "verify"].contains($0.step) })
  }

  @Test("delete, cleanup, stats and init print their documents")
  func housekeeping() throws {
    let bed = try CommandBed()
    let ids = try (0..<3).map { _ in try bed.create() }
    let dry = try decode(Deletion.self, bed.succeed("delete", ids[0], "--dry-run", "--json"))
    #expect(dry.backupId == ids[0] && !dry.deleted)
    #expect(try decode(Deletion.self, bed.succeed("delete", ids[0], "--yes", "--json")).deleted)
    let cleanup = try decode(CleanupResult.self, bed.succeed("cleanup", "--max-backups", "1", "--json"))
    #expect(cleanup.keep.map(\.backupId) == [ids[2]] && cleanup.remove.map(\.backupId) == [ids[1]])
    #expect(cleanup.refused == nil && cleanup.remove.allSatisfy { !$0.reasons.isEmpty })
    let stats = try decode(Statistics.self, bed.succeed("stats", "--json"))
    #expect(stats.totalBackups == 1 && stats.totalSize == stats.averageSize && stats.failedBackups == 0)
    let made = try decode(Initialisation.self, bed.succeed("init", "--key-file", "new-key", "--json"))
    #expect(made.backupDir == bed.backups && made.keyFile == "new-key" && made.keyCreated)
  }

  @Test(
    "Every error, also one of the parser, is one document on standard error",
    arguments: [["show", "backup_1"], ["list", "--foo"]])
  func errors(arguments: [String]) throws {
    let bed = try CommandBed()
    try bed.succeed("init")
    let result = try Shell.run(
      CommandBed.program, arguments + ["--json"], environment: bed.environment(), in: bed.folder.path)
    #expect(result.stdout == "")
    let error = try decode(Failure.self, result.stderr).error
    #expect(result.status == (arguments[0] == "show" ? 4 : 64))
    #expect(error.code == (arguments[0] == "show" ? "point_not_found" : "usage"))
    #expect(error.hint != nil)
  }

  @Test("The program fails if it cannot write its result")
  func fullOutput() throws {
    let bed = try CommandBed()
    try bed.succeed("init")
    let result = try Shell.run(
      "sh", ["-c", "exec \"$0\" list > /dev/full", CommandBed.program], environment: bed.environment(),
      in: bed.folder.path)
    #expect(result.status == 7)
    #expect(result.stderr.hasPrefix("holdfast: error: cannot write standard output: no space left on device\n"))
  }
}
