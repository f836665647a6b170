import BackupAgent
import BackupPolicy
import Logging
import TestSupport
import Testing

@testable import holdfast

/// The forms of log lines, as values and as the program writes them.
@Suite("Log lines in text, JSON and the journal", .ownThread) struct LogFormatTests {
  private func event(_ message: Logger.Message, _ facts: Logger.Metadata) -> LogEvent {
    LogEvent(level: .error, message: message, metadata: facts, source: "test", file: "", function: "", line: 1)
  }

  private var alarm: LogLine {
    let error = HoldfastError(.noSpace, "the disk of /backups is full\n", hint: "free some space")
    return LogLine(
      event("shop: \(error)", .about(.alarm, target: "nas", alarm: "disk_full", error)), ["database": "shop"])
  }

  @Test("A line in JSON has its facts as fields, and no field twice")
  func json() throws {
    let time = try #require(Timestamp(iso8601: "2026-11-22T14:03:05.250Z"))
    let text = String(decoding: JSONLog.object(alarm, at: time).encodedLine(), as: UTF8.self)
    #expect(
      text == """
        {"alarm" : "disk_full","code" : "no_space","database" : "shop","event" : "alarm",\
        "hint" : "free some space","level" : "error","message" : "the disk of /backups is full\\\\n",\
        "target" : "nas","time" : "2026-11-22T14:03:05.250Z"}

        """, "\(text)")
    let forged = LogLine(event("true", ["message": "forged", "level": "info", "time": "never"]), [:])
    let line = String(decoding: JSONLog.object(forged, at: time).encodedLine(), as: UTF8.self)
    #expect(line.contains(#""message" : "true""#) && !line.contains("forged") && !line.contains("never"), "\(line)")
  }

  @Test("An entry of the journal has a field for each fact, and no field more")
  func journal() {
    let fields = String(decoding: JournalLog.entry(alarm), as: UTF8.self).split(separator: "\n")
    #expect(
      fields.map(String.init) == [
        "MESSAGE=the disk of /backups is full\\n (hint: free some space)", "PRIORITY=3", "SYSLOG_IDENTIFIER=holdfast",
        "MESSAGE_ID=\(LoggedEvent.alarm.messageID)", "HOLDFAST_ALARM=disk_full", "HOLDFAST_CODE=no_space",
        "HOLDFAST_DATABASE=shop", "HOLDFAST_EVENT=alarm", "HOLDFAST_HINT=free some space", "HOLDFAST_TARGET=nas",
      ], "\(fields)")
    let odd = LogLine(event("line\nPRIORITY=0", ["a b=c\nX": "1\nMESSAGE=2"]), [:])
    let lines = String(decoding: JournalLog.entry(odd), as: UTF8.self).split(separator: "\n")
    #expect(lines.count == 4 && lines.last == "HOLDFAST_A_B_C_X=1\\nMESSAGE=2", "\(lines)")
  }

  @Test("Each event has an identifier of its own")
  func identifiers() {
    let all = LoggedEvent.allCases.map(\.messageID)
    #expect(Set(all).count == all.count)
    #expect(all.allSatisfy { $0.count == 32 && $0.allSatisfy { $0.isHexDigit && !$0.isUppercase } })
  }

  @Test("The agent's log in JSON tells the story of a backup")
  func agentInJSON() throws {
    let bed = try CommandBed(rows: 20)
    let output = try bed.python(
      """
      import json, signal, subprocess, sys, time
      program, folder = sys.argv[1:3]
      signal.pthread_sigmask(signal.SIG_SETMASK, [])
      agent = subprocess.Popen([program, "agent"], cwd=folder, stderr=subprocess.PIPE, text=True)
      lines = []
      for line in agent.stderr:
          lines.append(json.loads(line))
          if lines[-1].get("event") == "stored": agent.terminate()
      assert agent.wait() == 0
      events = [line.get("event") for line in lines]
      assert events[0] == "started" and events[-1] == "stopped", lines
      stored = lines[events.index("stored")]
      assert stored["database"] == "app" and stored["level"] == "info", stored
      assert stored["message"].startswith("stored " + stored["backup_id"]), stored
      print("good")
      """, CommandBed.program, bed.folder.path, environment: bed.environment(["BACKUP_LOG_FORMAT": "json"]))
    #expect(output.hasPrefix("good"))
  }

  /// systemd's own program, in a mount namespace with a /run of its own.
  @Test("A real journal finds the lines by their fields")
  func realJournal() throws {
    let bed = try CommandBed(rows: 20)
    let output = try bed.python(
      """
      import json, os, shutil, signal, subprocess, sys, time
      program, folder = sys.argv[1:3]
      signal.pthread_sigmask(signal.SIG_SETMASK, [])
      journald = "/lib/systemd/systemd-journald"
      if not os.path.exists(journald) or subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL).returncode:
          raise SystemExit(print("not possible here"))
      if os.environ.get("INSIDE") != "yes":
          os.environ["INSIDE"] = "yes"
          os.execvp("unshare", ["unshare", "-m", sys.executable, "-c", sys.orig_argv[2], program, folder])
      subprocess.run(["mount", "--make-rprivate", "/"], check=True)
      subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
      os.makedirs("/run/systemd/journal")
      journal = subprocess.Popen([journald], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
      agent = None
      try:
          while not os.path.exists("/run/systemd/journal/socket"): time.sleep(0.02)
          agent = subprocess.Popen([program, "agent"], cwd=folder, stderr=subprocess.PIPE)
          def find(*fields):
              found = subprocess.run(["journalctl", "--directory=/run/log/journal", "--output=json", *fields],
                  capture_output=True, text=True).stdout
              return [json.loads(line) for line in found.splitlines()]
          deadline = time.time() + 60
          while not (found := find("HOLDFAST_DATABASE=app", "HOLDFAST_EVENT=stored")):
              assert time.time() < deadline and agent.poll() is None
              time.sleep(0.1)
          assert found[0]["MESSAGE"].startswith("stored " + found[0]["HOLDFAST_BACKUP_ID"]), found
          assert found[0]["PRIORITY"] == "6" and found[0]["SYSLOG_IDENTIFIER"] == "holdfast", found
          assert find("MESSAGE_ID=" + found[0]["MESSAGE_ID"]) == found
          journal.kill()
          journal.wait()
          agent.terminate()
          # Without its journal, the agent does not lose a line.
          assert b"stopped" in agent.communicate()[1]
          print("good")
      finally:
          for process in (journal, agent):
              if process and process.poll() is None: process.kill()
      """, CommandBed.program, bed.folder.path, environment: bed.environment(["BACKUP_LOG_FORMAT": "journald"]))
    #expect(output.hasPrefix("good") || output.hasPrefix("not possible here"))
    if !output.hasPrefix("good") { print("the journal was not tried: \(output)") }
  }
}
