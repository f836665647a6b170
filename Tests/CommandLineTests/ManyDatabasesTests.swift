import Glibc
import TestSupport
import Testing

@Suite("An agent with more databases than its limit of open files", .ownThread)
struct ManyDatabasesTests {
  /// A bed whose settings file guards each `tenants/*/app.db`.
  private static func bed(_ more: String = "") throws -> CommandBed {
    let bed = try CommandBed(rows: 1)
    let folder = bed.folder.path
    let settings = """
      backup_dir = "\(folder)/many"
      stop_grace = "5m"

      [[databases]]
      path = "\(folder)/tenants/*/app.db"

      \(more)
      """
    try bed.folder.write("many.toml", Array(settings.utf8))
    mkdir(bed.folder.path("nas"), 0o700)
    return bed
  }

  /// Python that writes to this many databases with `write(number)`, and starts an agent that may have
  /// `limit` files open. Its arguments are the program and the folder.
  private static func script(databases: Int, limit: Int, pragma: String = "PRAGMA synchronous") -> String {
    """
    import glob, os, resource, signal, sqlite3, subprocess, sys, time

    program, folder = sys.argv[1:]
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    count, limit = \(databases), \(limit)

    def write(number):
        path = f"{folder}/tenants/{number:03}"
        os.makedirs(path, exist_ok=True)
        connection = sqlite3.connect(path + "/app.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("\(pragma)")
        connection.execute("CREATE TABLE IF NOT EXISTS entries(text)")
        connection.execute("INSERT INTO entries VALUES (?)", (number,))
        connection.close()

    for number in range(count):
        write(number)
    environment = {key: value for key, value in os.environ.items() if key != "DATABASE_URL"}
    agent = subprocess.Popen(
        [program, "agent", "--config", folder + "/many.toml", "--debounce", "50ms", "--min-interval", "0ms"],
        cwd=folder, env=environment, stderr=open(folder + "/agent.log", "wb"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)))

    """
  }

  /// 80 databases need one lock each, and the running backups need the remaining descriptors.
  @Test("The agent backs up all databases repeatedly and reports what it gives up", arguments: [250])
  func underTheLimit(limit: Int) throws {
    let bed = try Self.bed()
    let output = try bed.python(
      """
      \(Self.script(databases: 80, limit: limit))

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
      """, CommandBed.program, bed.folder.path, environment: bed.environment())
    #expect(output == "done")
  }

  /// One thread and two descriptors for each target would be too many, and so would the locks of all
  /// databases whose first backups wait for a thread.
  @Test("120 databases with a target under 128 open files are copied completely")
  func targets() throws {
    let bed = try Self.bed("[[targets]]\nurl = \"nas/{name}\"\ninterval = \"0s\"\n")
    let output = try bed.python(
      """
      \(Self.script(databases: 120, limit: 128, pragma: "PRAGMA synchronous = OFF"))
      def name(path):
          return path[path.rindex("backup_"):]

      # Backups that waited for a thread may be sent as one, so only the newest is certain to be there.
      def missing(rounds):
          for number in range(count):
              here = sorted(map(name, glob.glob(f"{folder}/many/{number:03}/backup_*.enc")))
              there = set(map(name, glob.glob(f"{folder}/nas/{number:03}/*/points/*/*")))
              if len(here) < rounds or here[-1] not in there:
                  return number
          return None

      def copied(rounds):
          for _ in range(3000):
              if missing(rounds) is None:
                  return
              assert agent.poll() is None, open(folder + "/agent.log").read()[-3000:]
              time.sleep(0.1)
          sys.exit(f"{missing(rounds)}, round {rounds}: {open(folder + '/agent.log').read()[-3000:]}")

      try:
          copied(1)
          with open(f"/proc/{agent.pid}/status") as file:
              threads = [int(line.split()[1]) for line in file if line.startswith("Threads:")][0]
          assert threads < 40, threads
          for number in range(count):
              write(number)
          copied(2)
          agent.send_signal(signal.SIGTERM)
          assert agent.wait() == 0
      finally:
          agent.kill()
      log = open(folder + "/agent.log").read()
      assert f"{limit} files open, too few for {count} databases" in log, log[:2000]
      assert "too many open files" not in log.lower(), log[-3000:]
      print("done", end="")
      """, CommandBed.program, bed.folder.path, environment: bed.environment())
    #expect(output == "done")
  }
}
