import TestSupport
import Testing

@Suite("The agent as a command")
struct AgentCommandTests {
  @Test("--once takes one backup where something changed, and says where nothing did")
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

  @Test("A schedule needs nothing else, and the log tells time and level of each line")
  func schedule() throws {
    let bed = try CommandBed(rows: 20)
    let result = try bed.run("agent", "--once", environment: ["BACKUP_SCHEDULE": "0 2 * * *"])
    #expect(result.status == 0)
    #expect(!result.stderr.contains("warning"), "\(result.stderr)")
    let line = try #require(result.stderr.split(separator: "\n").first)
    #expect(line.firstMatch(of: #/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (info|warning): /#) != nil)
  }

  @Test("It backs up a change, applies the retention rules, and stops cleanly", arguments: ["INT", "TERM"])
  func running(signal: String) throws {
    let bed = try CommandBed(rows: 20)
    let output = try bed.python(
      """
      import glob, json, signal, sqlite3, subprocess, sys, time

      program, folder = sys.argv[1:3]
      # The threads that run tests block signals, and a child inherits that.
      signal.pthread_sigmask(signal.SIG_SETMASK, [])
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

      def wait_for_more(last):
          for _ in range(6000):
              if max(sequences(), default=0) > last:
                  return max(sequences())
              assert agent.poll() is None, "the agent has ended"
              time.sleep(0.01)
          agent.kill()
          sys.exit(f"nothing came after {last}, there is {sequences()}")

      wait_for_more(0)
      connection = sqlite3.connect(folder + "/app.db")
      # The incrementals of so small a database soon outweigh its full, so that others follow, and the first chain goes.
      stored = [1]
      while 1 in sequences():
          assert len(stored) < 50, f"nothing was removed: {sequences()}"
          connection.execute("INSERT INTO entries (text) VALUES ('more')")
          connection.commit()
          stored.append(wait_for_more(stored[-1]))
      connection.close()
      agent.send_signal(getattr(signal, "SIG" + sys.argv[3]))
      print(agent.communicate()[0], agent.returncode, end="")
      """, CommandBed.program, bed.folder.path, signal, environment: bed.environment())
    #expect(output == " 0")
    try bed.succeed("verify", "--all")
  }
}
