import BackupEngine
import TestSupport
import Testing

@Suite("The drill command", .ownThread)
struct DrillCommandTests {
  private struct Drill: Decodable {
    struct Failure: Decodable {
      var step: String
      var code: String
      var message: String
    }
    struct Answer: Decodable {
      var name: String
      var passed: Bool
      var answer: String?
    }
    var backupId: String
    var number: Int
    var passed: Bool
    var trigger: String
    var failure: Failure?
    var assertions: [Answer]
    var restoreMs: Int?
    var checkMs: Int?
  }

  private struct Statistics: Decodable {
    struct Proof: Decodable {
      var backupId: String
    }
    struct Drills: Decodable {
      var total: Int
      var failed: Int
      var recoveryMs: Int?
      var medianRecoveryMs: Int?
      var last: Drill?
      var concerns: [String]
    }
    var newestProven: Proof?
    var drills: Drills
  }

  private struct Marked: Decodable {
    var backupId: String
    var provenAt: String?
  }

  private func statistics(_ bed: CommandBed) throws -> Statistics {
    try decode(Statistics.self, bed.succeed("stats", "--json"))
  }

  private func drill(_ bed: CommandBed, _ arguments: String..., status: Int32) throws -> Drill {
    let result = try Shell.run(
      CommandBed.program, ["drill", "--json"] + arguments, environment: bed.environment(), in: bed.folder.path)
    #expect(result.status == status, "\(result.stderr)")
    return try decode(Drill.self, result.stdout)
  }

  private func flip(_ bed: CommandBed, _ id: String) throws {
    try bed.python(
      """
      import sys
      with open(sys.argv[1], "r+b") as file:
          file.seek(-60, 2); byte = file.read(1); file.seek(-60, 2); file.write(bytes([byte[0] ^ 1]))
      """, "\(bed.backups)/\(id).db.gz.enc")
  }

  private func scratch(_ bed: CommandBed) -> [String] {
    ((try? Shell.run("find", [bed.folder.path("state"), "-name", ".tmp-*"]).stdout) ?? "?").split(separator: "\n")
      .map { String($0) }
  }

  private static let assertions = """
    database = "app.db"
    [[drill.assert]]
    name = "all entries"
    sql = "SELECT count(*), max(id) FROM entries"
    expect = "1234|1234"

    """

  @Test("drill proves the newest backup, and every command that lists backups shows it")
  func passes() throws {
    let bed = try CommandBed()
    try bed.folder.write("holdfast.toml", Array(Self.assertions.utf8))
    let ids = [try bed.create(), try bed.create()]
    #expect(try statistics(bed).newestProven == nil)
    #expect(try !bed.succeed("list").contains("roven"))
    let printed = try bed.succeed("drill")
    #expect(
      bed.normalised(printed).replacing(#/\d+ ms/#, with: "MS") == """
        ID, full, made TIME

          ✓ restore (SIZE from 1 archive)
          ✓ sqlite_integrity_check
          ✓ foreign_key_check
          ✓ row_counts (1 table)
          ✓ all entries

        Restored in MS, checked in MS
        ✓ passed: the backup is proven

        """)
    let second = try drill(bed, status: 0)
    #expect(second.backupId == ids[1] && second.number == 2 && second.passed && second.trigger == "manual")
    let stats = try statistics(bed)
    #expect(stats.newestProven?.backupId == ids[1] && stats.drills.total == 2 && stats.drills.failed == 0)
    #expect(stats.drills.recoveryMs != nil && stats.drills.medianRecoveryMs != nil && stats.drills.concerns == [])
    let words = try bed.succeed("stats").split(separator: "\n").map { String($0) }
    #expect(
      words[1].hasPrefix("  Newest proven        \(ids[1]), made ") && words.contains { $0.contains("Recovery time") })
    #expect(try bed.succeed("list").split(separator: "\n")[1].hasPrefix("Newest proven: \(ids[1]), drilled "))
    let listed = try decode([Marked].self, bed.succeed("list", "--json"))
    #expect(listed.map { $0.provenAt != nil } == [true, false])
    #expect(try bed.succeed("show", ids[1]).contains("Proven          by the drill of "))
    #expect(scratch(bed) == [])
  }

  @Test("drill accepts an older backup, by ID, by time or at random")
  func chosen() throws {
    let bed = try CommandBed(rows: 20)
    let ids = try bed.makeChain(incrementals: 2)
    #expect(try drill(bed, ids[1], status: 0).backupId == ids[1])
    #expect(try bed.succeed("drill", "--at", "latest", "--quick").contains("(the quick check)"))
    #expect(try ids.contains(drill(bed, "--random", status: 0).backupId))
    let both = try bed.run("drill", ids[1], "--random")
    #expect(both.status == 64 && both.stderr.contains("drill takes one of the ID of a backup, --at TIME and --random"))
    let none = try CommandBed(rows: 1).run("drill")
    #expect(none.status == 4, "\(none.stderr)")
  }

  @Test("If one bit of an archive changed, drill exits with 3, names another backup and records the result")
  func damaged() throws {
    let bed = try CommandBed()
    let ids = [try bed.create(), try bed.create()]
    _ = try drill(bed, status: 0)
    try flip(bed, ids[1])
    let result = try bed.run("drill", ids[1])
    #expect(result.status == 3 && result.stdout.contains("  ✗ restore — ") && result.stdout.contains("✗ failed at"))
    #expect(result.stdout.contains("The newest usable backup is \(ids[0]): holdfast restore \(ids[0])"))
    let stats = try statistics(bed)
    #expect(stats.newestProven == nil && stats.drills.last?.failure?.step == "restore" && stats.drills.failed == 1)
    #expect(stats.drills.concerns.first?.hasPrefix("the last drill failed: \(ids[1]): ") == true)
    #expect(try drill(bed, status: 0).backupId == ids[0], "the next one takes the newest that is whole")
    #expect(try statistics(bed).newestProven?.backupId == ids[0])
    #expect(scratch(bed) == [])
  }

  @Test("If an assertion gives another answer, drill exits with 3 and prints the answer without storing it")
  func assertion() throws {
    let bed = try CommandBed()
    try bed.folder.write(
      "holdfast.toml", Array(Self.assertions.replacing("1234|1234", with: "more than we have").utf8))
    let id = try bed.create()
    let printed = try bed.run("drill")
    #expect(printed.status == 3 && printed.stdout.contains("expected \"more than we have\", and got \"1234|1234\""))
    #expect(printed.stdout.hasSuffix("✗ failed: all entries does not have the expected answer\n"))
    let failed = try drill(bed, status: 3)
    #expect(failed.failure?.step == "assertions" && failed.assertions.first?.answer == "1234|1234")
    #expect(try statistics(bed).drills.last?.assertions.first?.answer == nil && statistics(bed).newestProven == nil)
    #expect(
      try bed.succeed("doctor", "--no-probe").contains(
        "the last drill failed: \(id): all entries does not have the expected answer"))
  }

  @Test("If the key is missing or wrong, drill exits with 5, and the history records both")
  func wrongKey() throws {
    let bed = try CommandBed(rows: 20)
    _ = try bed.create()
    try bed.folder.write("other", Array(String(repeating: "ab", count: 32).utf8))
    let wrong = try bed.run("drill", environment: ["BACKUP_ENCRYPTION_KEY_FILE": bed.folder.path("other")])
    #expect(wrong.status == 5, "\(wrong.stderr)")
    let none = try bed.run("drill", environment: ["BACKUP_ENCRYPTION_KEY_FILE": ""])
    #expect(none.status == 5, "\(none.stderr)")
    let stats = try statistics(bed)
    #expect(stats.drills.total == 2 && stats.drills.failed == 2)
  }

  @Test("If the archive is missing, drill exits with 3 like verify")
  func missingArchive() throws {
    let bed = try CommandBed(rows: 20)
    let id = try bed.create()
    try SystemFileOperations().unlink("\(bed.backups)/\(id).db.gz.enc")
    let failed = try drill(bed, id, status: 3)
    #expect(failed.failure?.step == "restore" && failed.failure?.code == "verification_failed")
    #expect(failed.failure?.message.contains("the archive \(id).db.gz.enc is missing") == true)
    #expect(try bed.run("verify", id).status == 3)
  }

  @Test("If the disk of the scratch folder is full, drill exits with 7 and names the folder")
  func noRoom() throws {
    let bed = try CommandBed(rows: 20000)
    _ = try bed.create()
    let small = bed.folder.path("small")
    try SystemFileOperations().makeFolder(small)
    let script = """
      set -e
      mount -t tmpfs -o size=200k none "$1" 2>/dev/null || exit 77
      cp -r "$2" "$1/holdfast" 2>/dev/null || true
      set +e
      XDG_STATE_HOME="$1" "$3" drill --json
      status=$?
      find "$1" -name '.tmp-*' >&2
      exit $status
      """
    let result = try Shell.run(
      "unshare",
      [
        "--mount", "--map-root-user", "sh", "-c", script, "sh", small, bed.folder.path("state/holdfast"),
        CommandBed.program,
      ],
      environment: bed.environment(["PATH": "/usr/bin:/bin:/usr/sbin:/sbin"]), in: bed.folder.path)
    // If no mount is allowed here, the fault sweep has to suffice.
    guard result.status != 77, !result.stderr.contains("unshare") else { return }
    #expect(result.status == 7 && !result.stderr.contains(".tmp-"), "\(result.stderr)")
    let failed = try decode(Drill.self, result.stdout)
    #expect(failed.failure?.code == "no_space" && failed.failure?.message.contains(small) == true)
    #expect(try statistics(bed).drills.last?.failure?.code == "no_space")
  }

  private struct Ending: Decodable {
    var named: [String]
    var status: Int
    var stderr: String
  }

  /// Starts a drill with an endless query, and sends it a signal as soon as it has the restored
  /// database open.
  private func stop(_ bed: CommandBed, by signal: String) throws -> Ending {
    try bed.folder.write(
      "holdfast.toml",
      Array(
        """
        database = "app.db"
        [[drill.assert]]
        sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
        expect = "0"
        """.utf8))
    let script = """
      import json, os, signal, subprocess, sys, time

      number, state = getattr(signal, "SIG" + sys.argv[3]), sys.argv[4]
      # The threads that run tests block signals, and a child inherits that.
      signal.pthread_sigmask(signal.SIG_SETMASK, [])
      process = subprocess.Popen(
          [sys.argv[1], "drill"], cwd=sys.argv[2], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
      folder = f"/proc/{process.pid}/fd"

      def target(name):
          try:
              return os.readlink(f"{folder}/{name}")
          except OSError:
              return ""

      while not any("/scratch/" in target(n) and "(deleted)" in target(n) for n in os.listdir(folder)):
          time.sleep(0.01)
      named = [name for _, _, names in os.walk(state) for name in names if name.startswith(".tmp-")]
      process.send_signal(number)
      _, words = process.communicate(timeout=60)
      print(json.dumps({"named": named, "status": process.returncode, "stderr": words}))
      """
    let result = try Python.run(
      script: script, arguments: [CommandBed.program, bed.folder.path, signal, bed.folder.path("state")],
      environment: bed.environment())
    try #require(result.status == 0, "\(result.stderr)")
    return try decode(Ending.self, result.stdout)
  }

  @Test("SIGINT and SIGTERM end a drill within a query, with 130 and without a record", arguments: ["INT", "TERM"])
  func interrupted(signal: String) throws {
    let bed = try CommandBed(rows: 20)
    let id = try bed.create()
    let ending = try stop(bed, by: signal)
    #expect(ending.status == 130 && ending.stderr == "holdfast: error: drill \(id): interrupted\n", "\(ending)")
    #expect(try scratch(bed) == [] && statistics(bed).drills.total == 0)
  }

  @Test("A killed drill leaves no named decrypted file, and the next one runs as usual")
  func killed() throws {
    let bed = try CommandBed()
    _ = try bed.create()
    let ending = try stop(bed, by: "KILL")
    #expect(ending.status == -9 && ending.named == [] && scratch(bed) == [], "\(ending)")
    try bed.folder.write("holdfast.toml", Array("database = \"app.db\"\n".utf8))
    #expect(try drill(bed, status: 0).number == 1 && scratch(bed) == [])
  }
}
