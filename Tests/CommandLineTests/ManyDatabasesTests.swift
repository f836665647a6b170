import TestSupport
import Testing

@Suite("An agent with more databases than its limit of open files", .ownThread)
struct ManyDatabasesTests {
  /// 80 databases need one lock each, and the running backups need the remaining descriptors.
  @Test("The agent backs up all databases repeatedly and reports what it gives up", arguments: [250])
  func underTheLimit(limit: Int) throws {
    let bed = try CommandBed(rows: 1)
    let output = try bed.python(
      """
      import glob, os, resource, signal, sqlite3, subprocess, sys, time

      program, folder = sys.argv[1:3]
      signal.pthread_sigmask(signal.SIG_SETMASK, [])
      count, limit = 80, int(sys.argv[3])

      def write(number):
          path = f"{folder}/tenants/{number:03}"
          os.makedirs(path, exist_ok=True)
          connection = sqlite3.connect(path + "/app.db", isolation_level=None)
          connection.execute("PRAGMA journal_mode = WAL")
          connection.execute("CREATE TABLE IF NOT EXISTS entries(text)")
          connection.execute("INSERT INTO entries VALUES (?)", (number,))
          connection.close()

      for number in range(count):
          write(number)
      with open(folder + "/many.toml", "w") as file:
          file.write(f'backup_dir = "{folder}/many"\\n\\n[[databases]]\\npath = "{folder}/tenants/*/app.db"\\n')
      environment = {key: value for key, value in os.environ.items() if key != "DATABASE_URL"}
      agent = subprocess.Popen(
          [program, "agent", "--config", folder + "/many.toml", "--debounce", "50ms", "--min-interval", "0ms"],
          cwd=folder, env=environment, stderr=open(folder + "/agent.log", "wb"),
          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)))

      def backed_up(rounds):
          for _ in range(1200):
              names = glob.glob(folder + "/many/*/backup_*.enc")
              stored = {name.split("/")[-2]: 0 for name in names}
              for name in names:
                  stored[name.split("/")[-2]] += 1
              if len(stored) == count and min(stored.values()) >= rounds:
                  return
              assert not agent.poll() and (agent.poll() is None or rounds == 3), open(folder + "/agent.log").read()
              time.sleep(0.1)
          sys.exit(f"{len(stored)} of {count} databases, round {rounds}: {open(folder + '/agent.log').read()[-3000:]}")

      try:
          backed_up(1)
          for number in range(count):
              write(number)
          backed_up(2)
          for number in range(count):
              write(number)
          agent.send_signal(signal.SIGTERM)
          assert agent.wait() == 0
          # Also the changes right before the signal.
          backed_up(3)
      finally:
          agent.kill()
      log = open(folder + "/agent.log").read()
      assert f"{limit} files open, too few for {count} databases" in log, log[:2000]
      assert " error: " not in log, [line for line in log.splitlines() if " error: " in line][:5]
      print("done", end="")
      """, CommandBed.program, bed.folder.path, "\(limit)", environment: bed.environment())
    #expect(output == "done")
  }
}
