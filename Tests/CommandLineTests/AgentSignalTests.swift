import Glibc
import TestSupport
import Testing

@testable import holdfast

@Suite("The agent as a process", .ownThread)
struct AgentSignalTests {
  /// Runs an agent, then `script`. In the script, `agent` is the process, `log()` its standard
  /// error so far, `insert(n)` adds rows, and `wait_for(text)` waits for a line.
  private func besideAgent(_ bed: CommandBed, _ arguments: [String], _ script: String) throws -> String {
    let result = try Python.run(
      script: """
        import os, signal, sqlite3, subprocess, sys, time

        program, folder = sys.argv[1:3]
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        out = open(folder + "/agent.log", "wb")
        command = [program, "agent", "--poll-interval", "1h", "--debounce", "50ms"] + sys.argv[3:]
        agent = subprocess.Popen(command, cwd=folder, stderr=out)

        def log():
            with open(folder + "/agent.log") as file:
                return file.read()

        def insert(count):
            connection = sqlite3.connect(folder + "/app.db")
            for _ in range(count):
                connection.execute("INSERT INTO entries (text) VALUES ('more')")
            connection.commit()
            connection.close()

        def wait_for(text, count=1):
            for _ in range(3000):
                if log().count(text) >= count:
                    return
                assert agent.poll() is None, "the agent has ended: " + log()
                time.sleep(0.01)
            sys.exit(f"{text} never came: {log()}")

        try:
            wait_for(" stored backup_")
        \(script.split(separator: "\n").map { "    " + $0 }.joined(separator: "\n"))
            agent.send_signal(signal.SIGTERM)
            print(agent.wait(), end="")
        finally:
            agent.kill()
        """, arguments: [CommandBed.program, bed.folder.path] + arguments,
      environment: bed.environment())
    try #require(result.status == 0, "\(result.stderr)")
    return result.stdout
  }

  @Test("SIGUSR1 starts a backup, SIGHUP does not end the agent, and a second agent reports the first one's process")
  func signals() throws {
    let bed = try CommandBed(rows: 20)
    let output = try besideAgent(
      bed, [],
      """
      agent.send_signal(signal.SIGUSR1)
      wait_for("(asked for)")
      agent.send_signal(signal.SIGHUP)
      wait_for("configuration")
      second = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
      assert second.returncode == 6, second
      assert f"another agent (process {agent.pid} on " in second.stderr, second.stderr
      assert "holdfast: hint: stop that agent first" in second.stderr, second.stderr
      """)
    #expect(output == "0")
    #expect(try decode([Point].self, bed.succeed("list", "--json")).map(\.backupType) == ["manual", "change"])
  }

  @Test("A commit right before SIGTERM is backed up before the agent ends")
  func lastCommit() throws {
    let bed = try CommandBed(rows: 20)
    let output = try besideAgent(bed, ["--debounce", "1h", "--max-delay", "1h"], "insert(5)")
    #expect(output == "0")
    try bed.succeed("restore", "latest", "--to", "restored.db", "--yes", "--quiet")
    #expect(try bed.value("SELECT count(*) FROM entries", of: bed.folder.path("restored.db")) == "25")
  }

  @Test("A stalled reader of the log blocks nothing and later learns how many lines it missed")
  func stalledLog() throws {
    var ends: [Int32] = [0, 0]
    try #require(pipe(&ends) == 0)
    defer { ends.forEach { close($0) } }
    let log = LogOutput(ends[1])
    let line = String(repeating: "x", count: 1000)
    for _ in 0..<200 { log.write(line) }
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    let first = read(ends[0], &buffer, buffer.count)
    #expect(first > 30_000 && first < 200_000)
    log.write("again")
    let count = read(ends[0], &buffer, buffer.count)
    let text = String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
    #expect(text.hasPrefix("(\(200 - first / 1001) lines were dropped here"), "\(text)")
    #expect(text.hasSuffix("again\n"))
  }

  @Test("The agent survives the end of its log's reader")
  func brokenPipe() throws {
    let bed = try CommandBed(rows: 20)
    let result = try Python.run(
      script: """
        import os, signal, sqlite3, subprocess, sys, time

        program, folder = sys.argv[1:3]
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        command = [program, "agent", "--poll-interval", "1h", "--debounce", "20ms"]
        agent = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE)
        try:
            while b" stored " not in agent.stderr.readline():
                pass
            agent.stderr.close()
            for number in range(3):
                connection = sqlite3.connect(folder + "/app.db")
                connection.execute("INSERT INTO entries (text) VALUES ('more')")
                connection.commit()
                connection.close()
                time.sleep(0.3)
            assert agent.poll() is None, agent.poll()
            agent.send_signal(signal.SIGTERM)
            print(agent.wait(), end="")
        finally:
            agent.kill()
        """, arguments: [CommandBed.program, bed.folder.path], environment: bed.environment())
    #expect(result.status == 0 && result.stdout == "0", "\(result.stderr)")
    try bed.succeed("restore", "latest", "--to", "restored.db", "--yes", "--quiet")
    #expect(try bed.value("SELECT count(*) FROM entries", of: bed.folder.path("restored.db")) == "23")
  }

  /// The kernel drops the commit's events because they are not read while the process is stopped,
  /// and there is no poll.
  @Test("A commit is backed up even if the kernel's event queue overflows")
  func overflow() throws {
    let bed = try CommandBed(rows: 20)
    let output = try besideAgent(
      bed, [],
      """
      # Stopped inside one of SQLite's moments under a lock, it would keep the writer out: not before it has closed the database.
      def is_open():
          place = f"/proc/{agent.pid}/fd"
          try: return any(os.readlink(f"{place}/{fd}") == os.path.realpath(folder) + "/app.db" for fd in os.listdir(place))
          except FileNotFoundError: return True
      closed = 0
      while closed < 20:
          closed = 0 if is_open() else closed + 1
          time.sleep(0.02)
      agent.send_signal(signal.SIGSTOP)
      limit = int(open("/proc/sys/fs/inotify/max_queued_events").read())
      for number in range(limit):
          path = folder + "/" + "xy"[number % 2]
          os.close(os.open(path, os.O_CREAT))
          os.remove(path)
      insert(5)
      agent.send_signal(signal.SIGCONT)
      wait_for(" stored backup_", 2)
      """)
    #expect(output == "0")
    try bed.succeed("restore", "latest", "--to", "restored.db", "--yes", "--quiet")
    #expect(try bed.value("SELECT count(*) FROM entries", of: bed.folder.path("restored.db")) == "25")
  }

  /// Nothing in the process may tick: neither our timers nor those of a library.
  @Test("An idle agent sleeps without wake-ups")
  func idleness() throws {
    let bed = try CommandBed(rows: 20)
    let output = try besideAgent(
      bed, [],
      """
      def switches():
          total = 0
          for task in os.listdir(f"/proc/{agent.pid}/task"):
              with open(f"/proc/{agent.pid}/task/{task}/status") as file:
                  total += sum(int(line.split()[1]) for line in file if "ctxt_switches" in line)
          return total
      # The looks that follow a backup, and threads that end.
      time.sleep(7)
      before = switches()
      time.sleep(6)
      woken = switches() - before
      assert woken < 4, f"{woken} context switches in six seconds"
      """)
    #expect(output == "0")
  }
}
