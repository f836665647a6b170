import TestSupport
import Testing

@Suite("An agent that is killed and restarted", .ownThread)
struct AgentRestartTests {
  /// The application's connection stays open, so the log is kept.
  @Test("When a killed agent restarts, it continues to follow the log, and its backups contain the database's content")
  func killed() throws {
    let bed = try CommandBed(rows: 20000)
    let result = try Python.run(
      script: """
        import json, os, signal, sqlite3, subprocess, sys, time

        program, folder = sys.argv[1:3]
        command = [program, "agent", "--poll-interval", "1h", "--debounce", "50ms", "--log-level", "debug"]
        application = sqlite3.connect(folder + "/app.db")
        application.execute("PRAGMA wal_autocheckpoint = 0")

        def insert():
            application.execute("INSERT INTO entries (text) VALUES ('more')")
            application.commit()

        def wait_for_memory():
            newest = max(os.listdir(folder + "/backups/.metadata"))
            for _ in range(3000):
                with open(folder + "/backups/.state/agent.json") as memory:
                    if json.load(memory)["backup_id"] + ".json" == newest:
                        return
                time.sleep(0.01)
            sys.exit(f"the agent does not remember {newest}")

        def run(name, wait):
            out = open(f"{folder}/{name}.log", "wb")
            agent = subprocess.Popen(command, cwd=folder, stderr=out)
            try:
                for count, text in enumerate(wait):
                    if text == "insert":
                        insert()
                        continue
                    for _ in range(3000):
                        log = open(f"{folder}/{name}.log").read()
                        if text in log:
                            break
                        assert agent.poll() is None, "the agent has ended: " + log
                        time.sleep(0.01)
                    else:
                        sys.exit(f"{text} never came: {log}")
                wait_for_memory()
            finally:
                agent.send_signal(signal.SIGKILL)
                agent.wait()

        # The file has to be older than the clock's tick for its times to prove anything.
        time.sleep(0.05)
        insert()
        run("first", [" stored backup_", "insert", " ms (changed, then quiet"])
        run("second", ["nothing has changed since backup_", "insert", " ms (changed, then quiet"])
        insert()
        run("third", [" ms (changed since the newest backup)"])
        assert application.execute("SELECT count(*) FROM entries").fetchone()[0] == 20004
        for name in ["first", "second", "third"]:
            log = open(f"{folder}/{name}.log").read()
            assert log.count(": followed: same generation") == 1 and "compared: " not in log, log
        """, arguments: [CommandBed.program, bed.folder.path], environment: bed.environment())
    try #require(result.status == 0, "\(result.stderr)")
    let kinds = try decode([Point].self, bed.succeed("list", "--json")).reversed().map(\.kind)
    #expect(kinds == ["full", "incremental", "incremental", "incremental"])
    try bed.succeed("restore", "latest", "--to", "restored.db", "--yes", "--quiet")
    let rows = "SELECT count(*), sum(id), max(length(text)) FROM entries"
    #expect(try bed.value(rows, of: bed.folder.path("restored.db")) == bed.value(rows))
  }
}
