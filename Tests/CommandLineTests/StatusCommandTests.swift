import TestSupport
import Testing

/// `status` and the commands to a running agent, with the program as a process.
@Suite("Status and control of an agent", .ownThread) struct StatusCommandTests {
  /// Runs a Python body beside an agent; there `run(*arguments)` runs the program, and `agent` is the
  /// agent's process. The agent has made its first backup.
  private func besideAgent(_ body: String, options: String = "'--debounce', '50ms', '--min-interval', '0'") throws
    -> String
  {
    let bed = try CommandBed(rows: 20)
    return try bed.python(
      """
      import json, signal, sqlite3, subprocess, sys, time
      program, folder = sys.argv[1:3]
      signal.pthread_sigmask(signal.SIG_SETMASK, [])

      def run(*arguments, status=0):
          result = subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True)
          assert result.returncode == status, (arguments, result)
          return result.stdout

      def state():
          return json.loads(run("status", "--json"))["databases"][0]

      def until(condition, what):
          for _ in range(600):
              if condition(): return
              time.sleep(0.05)
          raise SystemExit(f"never: {what}; {run('status')}")

      def write(path="app.db"):
          connection = sqlite3.connect(folder + "/" + path, timeout=20)
          connection.execute("INSERT INTO entries (text) VALUES ('more')")
          connection.commit()
          connection.close()

      agent = subprocess.Popen([program, "agent", \(options)], cwd=folder, stderr=open(folder + "/log", "w"))
      try:
          until(lambda: state()["watch"] == "events" and state()["newest"], "the first backup")
      \(body.split(separator: "\n", omittingEmptySubsequences: false).map { "    " + $0 }.joined(separator: "\n"))
      finally:
          agent.send_signal(signal.SIGCONT)
          agent.terminate()
          agent.wait()
      """, CommandBed.program, bed.folder.path, environment: bed.environment())
  }

  @Test("Without an agent, a file that was moved in place of the database is not called saved, however old it is")
  func replaced() throws {
    let bed = try CommandBed(rows: 20)
    _ = try bed.create()
    try bed.makeDatabase(at: bed.folder.path("import.db"), rows: 5)
    try bed.python(
      """
      import os, sys
      path = sys.argv[1] + "/import.db"
      os.utime(path, (1700000000, 1700000000))
      os.rename(path, sys.argv[1] + "/app.db")
      """, bed.folder.path)
    let status = try bed.run("status")
    #expect(status.stdout.hasPrefix("! Saved up to ") && status.stdout.contains("no agent is running"), "\(status)")
    _ = try bed.create()
    #expect(try !bed.run("status").stdout.contains("Saved up to"))
    // The same file, with an older time of change.
    try bed.python(
      """
      import os, sys, time
      time.sleep(0.05)
      os.utime(sys.argv[1] + "/app.db", (1700000000, 1700000000))
      """, bed.folder.path)
    #expect(try bed.run("status").stdout.hasPrefix("! Saved up to "))
  }

  @Test("Without an agent, a missing database becomes critical when it has been missing for long")
  func missing() throws {
    let bed = try CommandBed(rows: 20)
    _ = try bed.create()
    try bed.python("import os, sys; os.rename(sys.argv[1] + '/app.db', sys.argv[1] + '/away.db')", bed.folder.path)
    #expect(try bed.run("status", "--check", "--max-age", "1s").status != 0)
    try bed.python("import time; time.sleep(1.1)")
    #expect(try bed.run("status", "--check", "--max-age", "1s").status == 2)
    #expect(try bed.run("status", "--check", "--max-age", "1h").status == 1)
    #expect(try !bed.run("metrics").stdout.contains("holdfast_unprotected_since_timestamp_seconds{database=\"app\"} 0"))
  }

  @Test("Status leads with the sentence, with and without an agent")
  func sentence() throws {
    let bed = try CommandBed(rows: 20)
    let empty = try bed.run("status")
    #expect(empty.status == 0 && empty.stdout.hasPrefix("✗ Nothing has been backed up yet."), "\(empty)")
    _ = try bed.create()
    let saved = try bed.run("status")
    #expect(saved.stdout.hasPrefix("✓ Everything is saved, and no agent is running. Newest backup "), "\(saved)")
    try bed.python("import time; time.sleep(0.02)")
    _ = try bed.value("INSERT INTO entries (text) VALUES ('more')")
    let written = try bed.run("status")
    #expect(written.stdout.hasPrefix("! Saved up to ") && written.stdout.contains("no agent is running"), "\(written)")
  }

  @Test("backup-now --wait, pause, resume and reload of a running agent")
  func orders() throws {
    let output = try besideAgent(
      """
      write()
      stored = run("backup-now", "--wait")
      assert stored.startswith("app: stored backup_"), stored
      assert state()["newest"]["id"] in stored
      assert "  Next backup  after the next change" in run("status"), run("status")
      by_hand = json.loads(run("create", "--json"))["backup_id"]
      assert state()["newest"]["id"] == by_hand, state()
      assert "paused until" in run("pause", "--for", "10min")
      write()
      until(lambda: state()["unprotected_since"], "a pending change")
      assert state()["paused_until"] and state()["tone"] == "attention"
      assert run("status").startswith("! Paused until ")
      run("status", "--check", status=1)
      why = run("status", "--why", "now")
      assert why.startswith("[app] Nothing was backed up at ") and ": paused until " in why, why
      run("resume")
      until(lambda: state()["tone"] == "good", "a saved state")
      assert "in force" in run("reload")
      why = run("status", "--why", "now")
      assert "paused until" in why and "start manual: asked for" in why, why
      assert "there is no backup yet" in why and "holds the state of" in why.splitlines()[0], why
      print(run("status", "--check", "--max-age", "1h").split(" - ")[0])
      """)
    #expect(output == "HOLDFAST OK\n")
  }

  @Test("An agent that is stopped in the middle is reported, and the command does not hang")
  func silent() throws {
    let output = try besideAgent(
      """
      agent.send_signal(signal.SIGSTOP)
      begin = time.monotonic()
      text = run("status")
      assert "does not answer" in text and text.startswith("✗"), text
      run("status", "--check", status=2)
      assert f"process {agent.pid} does not answer; the recorded" in run("status", "--why", "now")
      run("backup-now", status=6)
      assert time.monotonic() - begin < 60
      agent.send_signal(signal.SIGCONT)
      until(lambda: state()["tone"] == "good", "an answer")
      print("done")
      """)
    #expect(output == "done\n")
  }

  @Test("An agent that was killed is missed, and a change after it is critical in time")
  func killed() throws {
    let output = try besideAgent(
      """
      agent.kill()
      agent.wait()
      run("status", "--check", status=1)
      assert "the agent that watched it has ended" in run("status")
      time.sleep(0.05)
      write()
      time.sleep(1.2)
      run("status", "--check", "--max-age", "1s", status=2)
      assert run("status").startswith("! Saved up to ")
      run("pause", status=8)
      why = run("status", "--why", "now")
      assert "the database was written at" in why.splitlines()[0] and "the last one has ended" in why, why
      print("done")
      """)
    #expect(output == "done\n")
  }

  @Test("An agent is found, reports and obeys while the folder of its backups is away")
  func away() throws {
    let output = try besideAgent(
      """
      import os
      backups = os.path.join(folder, state()["backup_dir"])
      os.rename(backups, backups + ".away")
      text = run("status")
      assert text.startswith("✗ Not protected since ") and f"process {agent.pid}, since" in text, text
      assert "are not there" in text and "→ mount the disk" in text and "remain" not in text, text
      run("status", "--check", status=1)
      write()
      until(lambda: any(alarm["kind"] == "failing" for alarm in state()["alarms"]), "the agent's alarm")
      time.sleep(1.2)
      run("status", "--check", "--max-age", "1s", status=2)
      why = run("status", "--why", "now")
      assert "are not there" in why.splitlines()[0] and "the backup failed (refused): the backups that" in why, why
      assert "paused until" in run("pause")
      run("resume")
      os.rename(backups + ".away", backups)
      assert "stored" in run("backup-now", "--wait")
      until(lambda: state()["tone"] == "good", "a saved state")
      agent.terminate()
      agent.wait()
      os.rename(backups, backups + ".away")
      run("status", "--check", status=2)
      assert "which names other agents, is away" in run("status")
      print("done")
      """)
    #expect(output == "done\n")
  }

  @Test("follow prints backups as they happen, and ends with the agent")
  func follow() throws {
    let output = try besideAgent(
      """
      follower = subprocess.Popen([program, "follow"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
      assert follower.stdout.readline().strip().endswith("following")
      write()
      lines = []
      while not lines or "stored backup_" not in lines[-1]:
          lines.append(follower.stdout.readline())
          assert lines[-1], (lines, follower.stderr.read())
      assert any("start change" in line for line in lines), lines
      agent.terminate()
      agent.wait()
      rest, errors = follower.communicate(timeout=20)
      assert follower.returncode == 1 and "has ended" in errors, (follower.returncode, errors)
      print("done")
      """)
    #expect(output == "done\n")
  }

  @Test("Mistakes have the documented exit codes")
  func mistakes() throws {
    let bed = try CommandBed(rows: 20)
    for arguments in [
      ["status", "--max-age", "1h"], ["status", "--why", "soon"], ["pause", "--for", "8d"], ["pause", "--for", "0s"],
      ["status", "--check", "--why", "14:03"],
    ] {
      let result = try Shell.run(CommandBed.program, arguments, environment: bed.environment(), in: bed.folder.path)
      #expect(result.status == 64 && result.stderr.contains("hint: "), "\(arguments): \(result)")
    }
    let unknown = try bed.run("status", "--check", "--max-age", "soon")
    #expect(unknown.status == 3 && unknown.stdout.hasPrefix("HOLDFAST UNKNOWN - --max-age"), "\(unknown)")
    let absent = try bed.run("backup-now")
    #expect(absent.status == 8 && absent.stderr.contains("no agent guards "), "\(absent)")
  }
}
