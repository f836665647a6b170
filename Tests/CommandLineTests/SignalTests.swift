import Glibc
import TestSupport
import Testing

@testable import BackupEngine
@testable import holdfast

@Suite("Signals", .ownThread)
struct SignalTests {
  struct Ending: Decodable {
    var status: Int
    var stderr: String
    var leftovers: [String]
  }

  @Test(
    "A signal stops a running backup with exit code 130, leaves nothing behind and removes nothing",
    arguments: ["INT", "TERM"])
  func stop(signal: String) throws {
    let bed = try CommandBed(rows: 20)
    _ = try bed.create()
    try makeLarge(bed)
    let ending = try interrupt(bed, signal, ignored: false)
    #expect(ending.status == 130, "\(ending.stderr)")
    #expect(ending.stderr == "holdfast: error: interrupted\n")
    #expect(ending.leftovers == [])
    #expect(try bed.succeed("list").hasPrefix("Available backups: 1\n"))
  }

  @Test("A signal that the caller ignores, as nohup does, stays ignored")
  func ignored() throws {
    let bed = try CommandBed(rows: 20)
    try makeLarge(bed)
    let ending = try interrupt(bed, "HUP", ignored: true)
    #expect(ending.status == 0, "\(ending.stderr)")
    #expect(try bed.succeed("list").hasPrefix("Available backups: 1\n"))
  }

  @Test(
    "A signal ends a pin that waits for the lock with exit code 130, and nothing is pinned",
    arguments: ["pin", "unpin"])
  func pin(command: String) throws {
    let bed = try CommandBed(rows: 20)
    let id = try bed.create()
    if command == "unpin" { try bed.succeed("pin", id) }
    let before = try bed.succeed("show", id)
    let output = try LockedRepository.interrupt(
      [command, id], backups: bed.backups, in: bed.folder.path, environment: bed.environment())
    #expect(output == "130")
    #expect(try bed.succeed("show", id) == before)
  }

  @Test(
    "A signal ends the wait of drill and verify for the lock with exit code 130, and no drill is recorded",
    arguments: ["drill", "verify"])
  func reading(command: String) throws {
    let bed = try CommandBed(rows: 20)
    let id = try bed.create()
    let output = try LockedRepository.interrupt(
      [command, id], backups: bed.backups, in: bed.folder.path, environment: bed.environment())
    #expect(output == "130")
    #expect(try !bed.succeed("list").contains("Last drill"))
  }

  @Test("A signal to a command for every database ends it before the next database")
  func everyDatabase() throws {
    let bed = try CommandBed(rows: 20)
    try makeLarge(bed)
    try bed.makeDatabase(at: bed.folder.path("b.db"), rows: 30)
    try bed.folder.write(
      "holdfast.toml", Array("[[databases]]\npath = \"app.db\"\n[[databases]]\npath = \"b.db\"\n".utf8))
    let every = ["DATABASE_URL": ""]
    let ending = try interrupt(bed, "INT", ignored: false, ["--all"], environment: every)
    #expect(ending.status == 130 && ending.leftovers == [], "\(ending.stderr)")
    #expect(try !bed.run("list", "--database", "b", environment: every).stdout.contains("backup_"))
  }

  @Test("A second signal ends the process at once, unless the work is installing a file")
  func second() async {
    await #expect(processExitsWith: .exitCode(130)) {
      let progress = Progress()
      Interruption.stop(progress)
      Interruption.stop(progress)
    }
    await #expect(processExitsWith: .exitCode(7)) {
      let progress = Progress()
      progress.mustEnd()
      Interruption.stop(progress)
      Interruption.stop(progress)
      exit(progress.isStopped ? 7 : 1)
    }
  }

  /// Keeps zlib busy for a second or more, so that a signal finds the backup at work.
  private func makeLarge(_ bed: CommandBed) throws {
    _ = try bed.value(
      """
      WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 24000)
      INSERT INTO entries (text) SELECT hex(randomblob(1000)) FROM c
      """)
  }

  /// Starts a slow backup, sends it a signal as soon as the archive's temporary file exists, and
  /// returns how it ended.
  private func interrupt(
    _ bed: CommandBed, _ signal: String, ignored: Bool, _ more: [String] = [], environment: [String: String] = [:]
  ) throws -> Ending {
    let script = """
      import json, os, signal, subprocess, sys, time

      folder, number, ignored = sys.argv[2], getattr(signal, "SIG" + sys.argv[3]), sys.argv[4] == "ignored"
      # The threads that run tests block signals, and a child inherits that.
      signal.pthread_sigmask(signal.SIG_SETMASK, [])
      if ignored:
          signal.signal(number, signal.SIG_IGN)
      process = subprocess.Popen(
          [sys.argv[1], "create", "--compression-level", "9"] + sys.argv[5:], cwd=folder, stdout=subprocess.DEVNULL,
          stderr=subprocess.PIPE, text=True)

      def temporary():
          found = [os.path.join(place, name) for place, _, names in os.walk(folder) for name in names]
          return [name for name in found if "/.tmp-" in name]

      while process.poll() is None and not [name for name in temporary() if "/state/" not in name]:
          time.sleep(0.001)
      process.send_signal(number)
      stderr = process.communicate()[1]
      json.dump({"status": process.returncode, "stderr": stderr, "leftovers": temporary()}, sys.stdout)
      """
    let arguments = [CommandBed.program, bed.folder.path, signal, ignored ? "ignored" : "default"] + more
    let result = try Python.run(script: script, arguments: arguments, environment: bed.environment(environment))
    try #require(result.status == 0, "\(result.stderr)")
    return try decode(Ending.self, result.stdout)
  }
}
