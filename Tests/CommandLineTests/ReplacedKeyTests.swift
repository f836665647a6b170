import TestSupport
import Testing

@testable import holdfast

/// The agent compares the key in its memory with the user's files while it runs, and with the backups.
@Suite("A key or password that is replaced while the agent runs", .ownThread)
struct ReplacedKeyTests {
  private func run(_ bed: CommandBed, _ script: String, environment: [String: String]) throws {
    _ = try bed.python(
      """
      import os, signal, subprocess, sys, time

      program, folder = sys.argv[1:3]
      os.chdir(folder)
      signal.pthread_sigmask(signal.SIG_SETMASK, [])
      agent = subprocess.Popen(
          [program, "agent", "--debounce", "50ms", "--poll-interval", "100ms"], stderr=open("agent.log", "wb"))

      def wait_for(words, count=1):
          for _ in range(3000):
              text = open("agent.log", errors="replace").read()
              if text.count(words) >= count:
                  return text
              assert agent.poll() is None, text
              time.sleep(0.01)
          sys.exit(text)

      def write(path, text):
          open(path + ".new", "w").write(text)
          os.rename(path + ".new", path)

      try:
          wait_for("stored")
      \(script.split(separator: "\n").map { "    " + $0 }.joined(separator: "\n"))
          agent.send_signal(signal.SIGTERM)
          agent.wait()
      finally:
          agent.kill()
      """, CommandBed.program, bed.folder.path,
      environment: bed.environment(environment.merging(["PATH": "/usr/local/bin:/usr/bin:/bin"]) { $1 }))
  }

  @Test("A password that is replaced in .env is an alarm until it is back")
  func environmentFile() throws {
    let bed = try CommandBed(rows: 1)
    let old = "BACKUP_ENCRYPTION_PASSWORD=correct horse battery"
    try bed.folder.write(".env", Array("\(old)\n".utf8))
    try run(
      bed,
      """
      write(".env", "BACKUP_ENCRYPTION_PASSWORD=another one, longer\\n")
      wait_for("error: the key in .env has changed")
      os.rename(".env", "gone")
      time.sleep(0.5)
      write(".env", "\(old)\\n")
      wait_for("notice: the key file holds the key of the backups again")
      """, environment: ["BACKUP_ENCRYPTION_KEY_FILE": ""])
  }

  @Test("After a reload with a replaced key file, the alarm lasts although the file and the memory agree")
  func reload() throws {
    let bed = try CommandBed(rows: 1)
    try run(
      bed,
      """
      write("key", "\(String(repeating: "ab", count: 32))\\n")
      wait_for("error: the key in ")
      agent.send_signal(signal.SIGHUP)
      wait_for("the configuration was reloaded")
      time.sleep(0.5)
      write("key", "\(String(repeating: "ab", count: 32))\\n")
      time.sleep(1)
      text = wait_for("error")
      assert "holds the key of the backups again" not in text, text
      """, environment: ["BACKUP_ENCRYPTION_KEY_FILE": bed.folder.path("key")])
  }
}
