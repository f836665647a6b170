import TestSupport
import Testing

@testable import holdfast

struct GuardDocument: Decodable {
  struct Rollback: Decodable {
    var executed: Bool?
    var safetyBackupId: String?
    var error: Failure.Details?
  }
  var backupId: String
  var program: String
  var exitStatus: Int?
  var signal: String?
  var restoreCommand: String
  var rollback: Rollback?
}

struct PinDocument: Decodable {
  var backupId: String
  var pinned: Bool
  var changed: Bool
}

extension CommandBed {
  /// Runs `guard` around a shell's script.
  func guarded(_ script: String, _ flags: String..., environment: [String: String] = [:]) throws -> ProgramResult {
    try Shell.run(
      Self.program, ["guard"] + flags + ["--", "sh", "-c", script], environment: self.environment(environment),
      in: folder.path)
  }

  /// The backups that a guard created, newest first.
  func guardPoints() throws -> [Point] {
    try decode([Point].self, succeed("list", "--json")).filter { $0.backupType == "guard" }
  }

  /// The content of `--report report.json`.
  func report() throws -> GuardDocument {
    try decode(GuardDocument.self, String(decoding: folder.read("report.json") ?? [], as: UTF8.self))
  }

  /// Every row, as SQL.
  func dump(_ path: String? = nil) throws -> String { try value(".dump", of: path) }
}

/// Commands between a backup and a rollback, as real processes.
@Suite("The guard command", .ownThread)
struct GuardCommandTests {
  private static let destruction = "sqlite3 app.db 'DELETE FROM entries WHERE id > 100; CREATE TABLE half(done)'"

  @Test("A command that succeeds keeps its input and output to itself, and a pinned, verified backup remains")
  func success() throws {
    let bed = try CommandBed()
    let result = try bed.run(
      "guard", "--", "sh", "-c", "cat; echo to the error >&2; sqlite3 app.db 'DELETE FROM entries'", stdin: "typed\n")
    #expect(result.status == 0 && result.stdout == "typed\n")
    let points = try bed.guardPoints()
    let point = try #require(points.first)
    #expect(points.count == 1 && point.verified && point.tags == ["sh"] && point.description == "before sh")
    #expect(
      result.stderr
        == "Stored \(point.backupId), verified; it is pinned until holdfast unpin \(point.backupId)\nto the error\n")
    #expect(
      try bed.succeed("show", point.backupId).contains("Pinned          until holdfast unpin \(point.backupId)\n"))
    #expect(try bed.value("SELECT count(*) FROM entries") == "0")
    #expect(try bed.guarded("exit 0", "--quiet").stderr == "")
  }

  @Test(
    "A command that fails keeps its status, and the printed command restores everything from any folder")
  func failure() throws {
    let bed = try CommandBed()
    let before = try bed.dump()
    let result = try bed.guarded("\(Self.destruction); exit 7", "--backup-dir", "it's a 'folder'")
    #expect(result.status == 7 && result.stdout == "")
    let lines = result.stderr.split(separator: "\n").map { String($0) }
    #expect(lines[1] == "holdfast: sh ended with exit status 7")
    let command = try #require(lines.last).drop { $0 == " " }
    #expect(try bed.dump() != before)
    // Typed into a shell that knows only this host's state folder.
    let typed = try Shell.run(
      "bash", ["-c", "\(command) --yes"], environment: ["XDG_STATE_HOME": bed.folder.path("state"), "HOME": "/"],
      in: "/")
    #expect(typed.status == 0, "\(command): \(typed.stderr)")
    #expect(try bed.dump() == before)
  }

  @Test(
    "If the command removed its backup, no restore is suggested",
    arguments: [("--no-pin", 7), ("--rollback", 125)])
  func removedByCommand(flag: String, status: Int32) throws {
    let bed = try CommandBed()
    let script = """
      exec >&2; id=$(ls backups | grep -o 'backup_[0-9_]*' | head -n 1)
      \(CommandBed.program) unpin $id; \(CommandBed.program) delete $id --yes; exit 7
      """
    let result = try bed.guarded(script, flag)
    #expect(result.status == status, "\(result.stderr)")
    #expect(result.stderr.contains("holdfast list shows the existing backups"), "\(result.stderr)")
    #expect(!result.stderr.contains("holdfast restore"), "\(result.stderr)")
  }

  @Test(
    "Words are quoted so that a shell reads them back",
    arguments: ["a b", "it's", "$HOME `id` \"x\" \\", "", "tab\tline\n'\\end", "ä*?"])
  func quoting(word: String) throws {
    let result = try Shell.run("bash", ["-c", "printf %s \(RestoreCommandLine.quoted(word))"])
    #expect(result.stdout == word)
  }

  @Test(
    "--rollback restores every earlier row under an application that stays open, and undo reverses it")
  func rollback() throws {
    let bed = try CommandBed()
    let application = try DatabaseProcess(bed.database, in: bed.folder)
    #expect(try application.run("INSERT INTO entries(text) VALUES ('from the application')") == "ok")
    let before = try bed.dump()
    let result = try bed.guarded("\(Self.destruction); exit 3", "--rollback", "--report", "report.json")
    #expect(result.status == 3 && result.stdout == "", "\(result.stderr)")
    #expect(result.stderr.contains("✓ restored "))
    #expect(try bed.dump() == before)
    #expect(try application.run("UPDATE entries SET text = 'later' WHERE id = 1235") == "ok")
    #expect(try bed.value("SELECT text FROM entries WHERE id = 1235") == "later")
    let report = try bed.report()
    #expect(report.exitStatus == 3 && report.signal == nil && report.rollback?.executed == true)
    #expect(try bed.guardPoints().map(\.backupId) == [report.backupId])

    _ = try bed.value("UPDATE entries SET text = text WHERE id = 1")
    let undone = try decode(Restoration.self, bed.succeed("undo", "--yes", "--json"))
    #expect(undone.executed && undone.backupId == report.rollback?.safetyBackupId && undone.warnings.count == 1)
    #expect(try bed.value("SELECT count(*) FROM entries") == "100" && bed.value("SELECT count(*) FROM half") == "0")
    #expect(try application.run("INSERT INTO half VALUES (1)") == "ok")
  }

  @Test("A command that a signal kills ends as in a shell and is rolled back")
  func killed() throws {
    let bed = try CommandBed()
    let before = try bed.dump()
    let result = try bed.guarded("\(Self.destruction); kill -9 $$", "--rollback", "--json")
    #expect(result.status == 137 && result.stdout == "")
    let document = try decode(GuardDocument.self, result.stderr)
    #expect(document.signal == "SIGKILL" && document.exitStatus == 137 && document.rollback?.executed == true)
    #expect(try bed.dump() == before)
  }

  @Test("If a command cannot be run, guard ends as a shell does, without a backup")
  func unusable() throws {
    let bed = try CommandBed(rows: 10)
    try bed.folder.write("script", Array("echo no first line".utf8))
    for (name, status, words) in [
      ("no-such-program", 127, "no such file"), ("./missing/program", 127, "no such file"),
      ("./script", 126, "permission denied"), ("/", 126, "permission denied"),
    ] {
      let result = try bed.run("guard", "--", name)
      #expect(result.status == Int32(status), "\(name)")
      #expect(result.stderr.contains("holdfast: error: cannot run \(name): \(words)"), "\(result.stderr)")
    }
    #expect(try bed.run("list").status == 4)
    // Only the kernel can detect it.
    _ = try Shell.run("chmod", ["+x", bed.folder.path("script")])
    let result = try bed.run("guard", "--", "./script")
    #expect(result.status == 126 && result.stdout == "" && result.stderr.contains("#!/bin/sh"))
    for arguments in [["guard"], ["guard", "ls"], ["guard", "ls", "--", "ls"]] {
      let usage = try Shell.run(CommandBed.program, arguments, environment: bed.environment(), in: bed.folder.path)
      #expect(usage.status == 64 && usage.stderr.contains("guard needs the command behind --"))
    }
  }

  @Test("If the backup fails, the command is not started")
  func noBackup() throws {
    let bed = try CommandBed(rows: 10)
    func attempt(_ environment: [String: String], _ flags: String...) throws -> Int32 {
      let result = try Shell.run(
        CommandBed.program, ["guard"] + flags + ["--", "touch", "started"], environment: bed.environment(environment),
        in: bed.folder.path)
      #expect(result.stderr.contains("holdfast: error: "))
      return result.status
    }
    #expect(try attempt(["DATABASE_URL": "nothing.db"]) == 1)
    #expect(try attempt(["BACKUP_ENCRYPTION_KEY_FILE": ""]) == 5)
    #expect(try attempt([:], "--report", "no/such/folder") == 1)
    try bed.folder.write("app.db", Array("not a database at all, but long enough to look at".utf8))
    #expect(try attempt([:]) == 1)
    #expect(try bed.folder.read("started") == nil)
  }

  @Test("If a rollback fails, guard ends with 125 and prints how to try again")
  func failedRollback() throws {
    let bed = try CommandBed(rows: 10)
    let result = try bed.guarded("rm backups/backup_*; exit 1", "--rollback", "--report", "report.json")
    #expect(result.status == 125)
    #expect(result.stderr.contains("holdfast: error: the rollback failed: "))
    #expect(result.stderr.contains("holdfast: hint: to try it again:\n"))
    let report = try bed.report()
    #expect(report.exitStatus == 1 && report.rollback?.error?.code == "point_not_found")
  }

  @Test("The command's arguments are not recorded, and its environment lacks the password")
  func secrets() throws {
    let bed = try CommandBed(rows: 10)
    let password = ["BACKUP_ENCRYPTION_PASSWORD": "sesame-open", "BACKUP_ENCRYPTION_KEY_FILE": ""]
    let result = try bed.run(
      "guard", "--report", "report.json", "--", "env", "PGPASSWORD=hunter2", environment: password)
    #expect(
      result.status == 0 && result.stdout.contains("PGPASSWORD=hunter2\n") && result.stdout.contains("\nTZ=UTC\n"))
    #expect(!result.stdout.contains("sesame"))
    let found = try Shell.run("grep", ["-rlE", "hunter2|sesame", bed.folder.path])
    #expect(found.status == 1, "\(found.stdout)")
  }

  @Test("The rollback runs even if the reader of our messages has gone")
  func brokenPipe() throws {
    let bed = try CommandBed()
    let before = try bed.dump()
    let script = "\"$0\" guard --rollback -- sh -c \"$1; exit 9\" 2>&1 | true; exit \"${PIPESTATUS[0]}\""
    let result = try Shell.run(
      "bash", ["-c", script, CommandBed.program, Self.destruction], environment: bed.environment(), in: bed.folder.path)
    #expect(result.status == 9, "\(result.stderr)")
    #expect(try bed.dump() == before)
  }

  @Test("The agent beside it reports neither the guard's backup nor its rollback as an accident")
  func besideAgent() throws {
    let bed = try CommandBed()
    _ = try bed.create()
    let result = try bed.guarded("sqlite3 app.db 'DELETE FROM entries; VACUUM'; exit 1", "--rollback")
    #expect(result.status == 1)
    let once = try bed.run("agent", "--once")
    #expect(once.status == 0, "\(once.stderr)")
    let points = try decode([Point].self, bed.succeed("list", "--json"))
    #expect(!points.contains { $0.status == "anomalous" })
  }

  @Test("--keep-for ends a pin by itself, and --no-pin creates no pin")
  func keeping() throws {
    let bed = try CommandBed(rows: 20)
    let kept = try bed.run("guard", "--keep-for", "7d", "--", "true")
    #expect(kept.status == 0 && kept.stderr.contains("it is pinned until 20"), "\(kept.stderr)")
    #expect(try bed.folder.text("backups/.metadata/pins.json")?.contains("\"until\"") == true)
    let loose = try bed.run("guard", "--no-pin", "--", "true")
    #expect(loose.status == 0 && loose.stderr.contains("it is kept as long as a safety backup"))
    #expect(try decode([PinnedPoint].self, bed.succeed("list", "--json")).map(\.pinned) == [false, true])
    for flags in [["--keep-for", "7"], ["--keep-for", "7d", "--no-pin"]] {
      let refused = try Shell.run(
        CommandBed.program, ["guard"] + flags + ["--", "true"], environment: bed.environment(), in: bed.folder.path)
      #expect(refused.status == 64)
    }
  }

  private struct PinnedPoint: Decodable { var pinned: Bool }
}

@Suite("The pin and unpin commands", .ownThread)
struct PinCommandTests {
  @Test("pin protects a backup from cleanup and delete, create --pin creates a pinned one, and unpin removes the pin")
  func pins() throws {
    let bed = try CommandBed(rows: 10)
    let first = try bed.create()
    let pinned = try decode(Point.self, bed.succeed("create", "--pin", "--json"))
    #expect(pinned.pinned)
    _ = try bed.create()
    #expect(try bed.succeed("pin", first, "--dry-run") == "Would pin \(first)\n")
    #expect(try bed.succeed("pin", first) == "Pinned \(first)\n")
    #expect(try bed.succeed("pin", first) == "\(first) is pinned already\n")
    #expect(
      try bed.succeed("list").split(separator: "\n").count { $0.contains("Pinned       until holdfast unpin") } == 2)
    #expect(try bed.succeed("cleanup", "--keep", "1").contains("Removed: 0\n"))
    let refusal = try bed.run("delete", first, "--yes")
    #expect(refusal.status == 8 && refusal.stderr.hasSuffix("holdfast: hint: run holdfast unpin \(first) first\n"))
    let change = try decode(PinDocument.self, bed.succeed("unpin", first, "--json"))
    #expect(change.backupId == first && !change.pinned && change.changed)
    #expect(try bed.succeed("unpin", first) == "\(first) is not pinned\n")
    #expect(try bed.succeed("cleanup", "--keep", "1").hasPrefix("Removed: 1\n  \(first) "))
    #expect(try bed.run("pin", "backup_20010101_000000").status == 4)
  }
}

@Suite("The undo command", .ownThread)
struct UndoCommandTests {
  @Test("undo shows which restore it reverses, asks and executes; --json prints a document")
  func undo() throws {
    let bed = try CommandBed(rows: 10)
    let point = try bed.create()
    let nothing = try bed.run("undo", "--yes")
    #expect(nothing.status == 8 && nothing.stderr.contains("holdfast: error: there is nothing to undo"))
    #expect(
      try decode(Refusal.self, bed.run("undo", "--json", "--yes").stdout).refused.reason.contains("nothing to undo"))
    _ = try bed.value("DELETE FROM entries WHERE id > 3")
    let restoration = try decode(Restoration.self, bed.succeed("restore", point, "--yes", "--json"))
    let plan = try bed.succeed("undo", "--dry-run")
    #expect(plan.contains("Undoes the restore of \(point) on "))
    #expect(plan.contains("Restore of \(try #require(restoration.safetyBackupId)) to \(bed.database), live"))
    #expect(try bed.run("undo").status == 8)
    #expect(try bed.value("SELECT count(*) FROM entries") == "10")
    _ = try bed.succeed("undo", "--yes")
    #expect(try bed.value("SELECT count(*) FROM entries") == "3")
    _ = try bed.succeed("undo", "--yes")
    #expect(try bed.value("SELECT count(*) FROM entries") == "10")
    for id in try decode([Point].self, bed.succeed("list", "--json")).filter({ $0.backupType == "safety" }) {
      _ = try bed.succeed("delete", id.backupId, "--yes")
    }
    #expect(try bed.run("undo", "--yes").status == 4)
  }
}
