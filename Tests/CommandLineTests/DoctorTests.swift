import Glibc
import TestSupport
import Testing

/// `doctor` on real databases: its findings, and that it leaves nothing behind.
@Suite(.ownThread) struct DoctorTests {
  private struct Report: Decodable {
    struct Finding: Decodable {
      var name: String
      var level: String
      var detail: String
      var advice: String?
    }

    var healthy: Bool
    var findings: [Finding]

    subscript(_ name: String) -> Finding? { findings.first { $0.name == name } }
  }

  private func examine(
    _ bed: CommandBed, _ arguments: [String] = [], environment: [String: String] = [:]
  ) throws -> (report: Report, status: Int32) {
    let result = try Shell.run(
      CommandBed.program, ["doctor", "--json"] + arguments, environment: bed.environment(environment),
      in: bed.folder.path)
    return (try decode(Report.self, result.stdout), result.status)
  }

  /// Names of everything in the bed's folder, and the content of the database and the backups.
  private func traces(_ bed: CommandBed) throws -> String {
    try bed.python(
      """
      import hashlib, os, sys
      for folder, _, names in sorted(os.walk(sys.argv[1])):
        print(folder)
        for name in sorted(names):
          print(name, hashlib.sha256(open(os.path.join(folder, name), "rb").read()).hexdigest())
      """, bed.folder.path)
  }

  @Test func aHealthyRepositoryIsProvedEndToEndAndNothingIsLeft() throws {
    let bed = try CommandBed()
    let id = try bed.create()
    let before = try traces(bed)
    let (report, status) = try examine(bed)
    #expect(status == 0 && report.healthy)
    #expect(report["key"]?.detail.contains(id) == true)
    #expect(report["probe: compare"]?.detail == "the restored file is equal to the database, page for page")
    #expect(report.findings.filter { $0.name.hasPrefix("probe") }.count == 4)
    #expect(try traces(bed) == before)
  }

  @Test func nothingIsMadeForARepositoryThatIsNotThere() throws {
    let bed = try CommandBed()
    let before = try traces(bed)
    let (report, status) = try examine(bed)
    #expect(status == 0 && report["backup folder"]?.level == "note")
    #expect(report["probe: compare"]?.level == "ok")
    #expect(try traces(bed) == before)
  }

  @Test(arguments: ["mkfifo", "mkdir", "ln -s elsewhere"])
  func anEntryInPlaceOfAStateFileIsAProblem(command: String) throws {
    let bed = try CommandBed()
    _ = try bed.create()
    #expect(try examine(bed, ["--no-probe"]).report["state files"] == nil)
    for name in [".state/lock", ".state/agent.lock", ".state/repository.json", ".metadata/pins.json"] {
      let path = "\(bed.backups)/\(name)"
      let words = command.split(separator: " ").map(String.init)
      _ = try Shell.run("mv", [path, bed.folder.path("aside")])
      #expect(try Shell.run(words[0], Array(words.dropFirst()) + [path]).status == 0)
      let (report, status) = try examine(bed, ["--no-probe"])
      #expect(status == 1)
      #expect(report["state files"]?.detail.contains("backups/\(name) is a ") == true, "\(report.findings)")
      _ = try Shell.run("rm", ["-rf", path])
      _ = try Shell.run("mv", [bed.folder.path("aside"), path])
    }
    #expect(try examine(bed, ["--no-probe"]).report["state files"] == nil)
  }

  @Test func aWrongKeyIsAProblemAndStopsTheProbe() throws {
    let bed = try CommandBed()
    _ = try bed.create()
    try bed.folder.write("other", Array(String(repeating: "f", count: 64).utf8))
    let (report, status) = try examine(bed, environment: ["BACKUP_ENCRYPTION_KEY_FILE": bed.folder.path("other")])
    #expect(status == 1 && !report.healthy)
    #expect(report["key"]?.level == "problem" && report["key"]?.advice != nil)
    #expect(report["probe"]?.detail.contains("left out") == true)
  }

  @Test func aDatabaseThatIsMissingOrNoneIsAProblem() throws {
    let bed = try CommandBed()
    let missing = try examine(bed, ["--database", "nope.db"]).report["database"]
    #expect(missing?.detail.contains("nope.db") == true)
    try bed.folder.write("text.db", Array(repeating: 0x61, count: 5000))
    let (report, status) = try examine(bed, ["--database", bed.folder.path("text.db")])
    #expect(status == 1 && report["database"]?.level == "problem")
  }

  /// The backup that the probe verifies also equals the database's content.
  @Test func aCorruptDatabaseFailsTheProbe() throws {
    let bed = try CommandBed(rows: 20000)
    try bed.python(
      """
      import sys
      with open(sys.argv[1], "r+b") as file:
        for page in range(20, 400):
          file.seek(4096 * page + 8)
          file.write(b"\\xff" * 200)
      """, bed.database)
    let (report, status) = try examine(bed)
    #expect(status == 1)
    #expect(report["probe: content"]?.level == "problem", "\(report.findings)")
    let names = try bed.python("import os, sys; print(os.listdir(sys.argv[1]))", bed.folder.path)
    #expect(!names.contains("doctor"))
  }

  /// The log of the other name would be left out.
  @Test func aHardLinkIsAWarningAndRefusedWhereItHidesTheLog() throws {
    let bed = try CommandBed()
    let application = try DatabaseApplication(bed.database, "PRAGMA journal_mode=WAL; CREATE TABLE late (x)")
    let alias = bed.folder.path("alias.db")
    #expect(link(bed.database, alias) == 0)
    #expect(try examine(bed, ["--no-probe"]).report["hard links"]?.detail.contains(alias) == true)
    let (report, status) = try examine(bed, ["--no-probe", "--database", alias])
    #expect(status == 1 && report["database"]?.advice == "--database \(bed.database)")
    let refused = try bed.run("create", "--database", alias)
    #expect(refused.status == 8 && refused.stderr.contains("it has another name, \(bed.database)"), "\(refused.stderr)")
    #expect(access(alias + "-wal", F_OK) != 0 && access(alias + "-shm", F_OK) != 0)
    application.close()
  }

  @Test func aLogThatWasDeletedUnderItsApplicationIsAProblem() throws {
    let bed = try CommandBed()
    let id = try bed.create()
    let application = try StagedApplication(
      bed.database, folder: bed.folder, [.open, .run("PRAGMA journal_mode=WAL"), .run("CREATE TABLE late (x)"), .wait])
    for suffix in ["-wal", "-shm"] { unlink(bed.database + suffix) }
    let report = try examine(bed, ["--no-probe"]).report
    #expect(report["database"]?.level == "problem" && report["database"]?.advice?.contains("restart it") == true)
    for arguments in [["create"], ["restore", id, "--yes"]] {
      let refused = try Shell.run(
        CommandBed.program, arguments, environment: bed.environment(), in: bed.folder.path)
      #expect(
        refused.status == 8 && refused.stderr.contains("app.db-wal was deleted or moved while"), "\(refused.stderr)")
      #expect(refused.stderr.contains("restart it"))
    }
    application.kill()
  }

  @Test(.enabled(if: Unprivileged.isPossible)) func theJournalModeIsThatOfTheDatabaseForOneWhoMayOnlyReadIt() throws {
    let bed = try CommandBed()
    try DatabaseApplication(bed.database, "PRAGMA journal_mode=WAL; CREATE TABLE late (x)").close()
    chmod(bed.folder.path, 0o755)
    chmod(bed.database, 0o644)
    let result = try Unprivileged.run(bed, ["doctor", "--no-probe", "--json"])
    #expect(try decode(Report.self, result.stdout)["journal mode"]?.detail.hasPrefix("wal") == true, "\(result)")
  }

  @Test(.enabled(if: Unprivileged.isPossible)) func aLogWithoutItsIndexIsExplainedToOneWhoMayOnlyRead() throws {
    let bed = try CommandBed()
    let application = try DatabaseApplication(
      bed.database, "PRAGMA journal_mode=WAL; CREATE TABLE late (x)", checkpointsOnClose: false)
    application.close()
    unlink(bed.database + "-shm")
    chmod(bed.folder.path, 0o755)
    chmod(bed.database, 0o644)
    let result = try Unprivileged.run(bed, ["doctor", "--no-probe", "--json"])
    let finding = try decode(Report.self, result.stdout)["database"]
    #expect(finding?.detail.contains("app.db-shm), and user 65534 may not make one") == true, "\(result)")
    #expect(finding?.advice?.contains("run as the user that owns the database") == true)
  }

  @Test func theProbeCanBeLeftOutAndWordsAreForPeople() throws {
    let bed = try CommandBed()
    let output = try bed.succeed("doctor", "--no-probe")
    let healthy = output.contains("✓ database: \(bed.database)")
    #expect(healthy, "\(output)")
    #expect(!output.contains("probe"))
    #expect(output.contains("0 problems"))
  }
}
