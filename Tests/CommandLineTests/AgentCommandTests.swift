import TestSupport
import Testing

@Suite("The agent command", .ownThread)
struct AgentCommandTests {
  @Test("--once stores a backup if the database changed, and otherwise reports that it did not")
  func once() throws {
    let bed = try CommandBed()
    let first = try bed.run("agent", "--once")
    #expect(first.status == 0 && bed.normalised(first.stdout).hasPrefix("Created ID\n"), "\(first.stderr)")
    #expect(try bed.run("agent", "--once").stdout == "Nothing has changed since the last backup\n")
    #expect(try bed.run("agent", "--once", "--json").stdout == "null\n")
    _ = try bed.value("INSERT INTO entries (text) VALUES ('more')")
    let second = try bed.run("agent", "--once", "--json", "--log-level", "error")
    #expect(second.stderr == "")
    #expect(try decode(Point.self, second.stdout).backupType == "change")
  }

  @Test("A schedule needs no other setting, and each log line has its time and level")
  func schedule() throws {
    let bed = try CommandBed(rows: 20)
    let result = try bed.run("agent", "--once", environment: ["BACKUP_SCHEDULE": "0 2 * * *"])
    #expect(result.status == 0)
    #expect(!result.stderr.contains("warning"), "\(result.stderr)")
    let line = try #require(result.stderr.split(separator: "\n").first)
    #expect(line.firstMatch(of: #/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (info|warning): /#) != nil)
  }

  @Test("The agent backs up a change, applies the retention rules and stops cleanly", arguments: ["INT", "TERM"])
  func running(signal: String) throws {
    let bed = try CommandBed(rows: 20)
    let output = try bed.python(
      """
      import glob, json, signal, sqlite3, subprocess, sys, time

      program, folder = sys.argv[1:3]
      # The threads that run tests block signals, and a child inherits that.
      signal.pthread_sigmask(signal.SIG_SETMASK, [])
      for _ in range(3):
          subprocess.run([program, "create", "--quiet"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
      agent = subprocess.Popen(
          [program, "agent", "--debounce", "50ms", "--min-interval", "0", "--max-backups", "2", "--json"], cwd=folder,
          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

      def sequences():
          found = []
          for path in glob.glob(folder + "/backups/.metadata/backup_*.json"):
              try:
                  with open(path) as file:
                      found.append(json.load(file)["sequence"])
              except FileNotFoundError:
                  pass
          return sorted(found)

      def wait_for(wanted):
          for _ in range(6000):
              if sequences() == wanted:
                  return
              assert agent.poll() is None, "the agent has ended"
              time.sleep(0.01)
          agent.kill()
          sys.exit(f"{wanted} never came, there is {sequences()}")

      wait_for([1, 2, 3])
      connection = sqlite3.connect(folder + "/app.db")
      # What is counted was asked for: 1, 2 and 3.
      for kept in [2, 3, 4], [2, 3, 4, 5]:
          connection.execute("INSERT INTO entries (text) VALUES ('more')")
          connection.commit()
          wait_for(kept)
      connection.close()
      agent.send_signal(getattr(signal, "SIG" + sys.argv[3]))
      print(agent.communicate()[0], agent.returncode, end="")
      """, CommandBed.program, bed.folder.path, signal, environment: bed.environment())
    #expect(output == " 0")
    try bed.succeed("verify", "--all")
  }
}
