import TestSupport
import Testing

/// `guard` on a terminal of its own, and with signals.
@Suite("guard, its terminal and its signals", .ownThread)
struct GuardTerminalTests {
  @Test("A command that reads the terminal gets the typed input in its foreground")
  func reads() throws {
    let bed = try CommandBed(rows: 10)
    let script = """
      import os, sys
      assert os.isatty(0) and os.isatty(1) and os.isatty(2)
      assert os.tcgetpgrp(0) == os.getpgrp()
      print("answer: " + input("Migrate? "), flush=True)
      """
    let session = try PseudoTerminal.run(bed, ["guard", "--", "python3", "-c", script], [("Migrate? ", "yes\n")])
    #expect(session.status == 0 && session.text.hasSuffix("answer: yes\r\n"), "\(session.text)")
    // The progress bar has disappeared.
    #expect(session.text.contains("\u{1b}[2KStored ") || session.text.hasPrefix("Stored "))
  }

  /// The command takes its signals one by one and checks their sender: if one arrives twice at
  /// once, it would be seen once.
  @Test("Ctrl-C reaches the command only from the terminal, its exit status counts, and the rollback follows")
  func controlC() throws {
    let bed = try CommandBed()
    let before = try bed.dump()
    let script = """
      import signal, sqlite3, sys
      signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
      connection = sqlite3.connect("app.db")
      connection.execute("DELETE FROM entries")
      connection.commit()
      codes = []
      print("seen 0", flush=True)
      while info := signal.sigtimedwait([signal.SIGINT], 10 if len(codes) < 5 else 0.3):
          codes.append(info.si_code)
          print(f"seen {len(codes)}", flush=True)
      # SI_KERNEL
      print("all from the terminal:", codes == [0x80] * 5, codes)
      sys.exit(40 + len(codes))
      """
    let session = try PseudoTerminal.run(
      bed, ["guard", "--rollback", "--", "python3", "-c", script], (0..<5).map { ("seen \($0)", "\u{3}") })
    #expect(session.status == 45 && session.text.contains("all from the terminal: True"), "\(session.text)")
    #expect(session.text.contains("✓ restored"))
    #expect(try bed.dump() == before)
  }

  @Test(
    "A command that Ctrl-C ends, also at a password prompt, is rolled back on a terminal that echoes")
  func dies() throws {
    let bed = try CommandBed()
    let before = try bed.dump()
    let session = try PseudoTerminal.run(
      bed,
      [
        "guard", "--rollback", "--", "sh", "-c",
        "sqlite3 app.db 'DELETE FROM entries'; stty -echo; echo ready; exec sleep 60",
      ],
      [("ready", "\u{3}")])
    #expect(session.status == 130 && session.text.contains("sh was killed by SIGINT"), "\(session.text)")
    #expect(session.echoes)
    #expect(try bed.dump() == before)
  }

  private struct Ending: Decodable {
    var status: Int
    var stdout: String
    var stderr: String
  }

  /// Starts the program with a command that prints `ready`, then sends the program a signal, and
  /// returns how it ended.
  private func signalled(_ bed: CommandBed, _ name: String, ignored: Bool = false, _ arguments: [String]) throws
    -> Ending
  {
    let script = """
      import json, os, signal, subprocess, sys
      folder, name, ignored, *command = sys.argv[1:]
      number = getattr(signal, name)
      signal.pthread_sigmask(signal.SIG_SETMASK, [])
      if ignored == "true":
          signal.signal(number, signal.SIG_IGN)
      # Unbuffered: what is read beyond the line would be lost.
      process = subprocess.Popen(
          command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0, start_new_session=True)
      line = process.stdout.readline()
      process.send_signal(number)
      stdout, stderr = process.communicate()
      json.dump(
          {"status": process.returncode, "stdout": (line + stdout).decode(), "stderr": stderr.decode()}, sys.stdout)
      """
    return try decode(
      Ending.self,
      Python.run(
        script: script, arguments: [bed.folder.path, name, "\(ignored)", CommandBed.program] + arguments,
        environment: bed.environment()
      ).stdout)
  }

  private static let counter = """
    import signal, sys, time
    name, count = sys.argv[1], []
    signal.signal(getattr(signal, name), lambda *_: count.append(1))
    print("ready", flush=True)
    end = time.monotonic() + 10
    while not count and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.1)
    sys.exit(40 + len(count))
    """

  @Test(
    "A signal to holdfast alone is passed on once", arguments: ["SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1"])
  func passedOn(name: String) throws {
    let bed = try CommandBed(rows: 10)
    let ending = try signalled(bed, name, ["guard", "--", "python3", "-c", Self.counter, name])
    #expect(ending.status == 41, "\(ending.stderr)")
  }

  @Test("A command that SIGTERM ends is rolled back before holdfast ends")
  func terminated() throws {
    let bed = try CommandBed()
    let before = try bed.dump()
    let ending = try signalled(
      bed, "SIGTERM",
      ["guard", "--rollback", "--", "sh", "-c", "sqlite3 app.db 'DELETE FROM entries'; echo ready; exec sleep 60"])
    #expect(ending.status == 143 && ending.stderr.contains("sh was killed by SIGTERM"), "\(ending.stderr)")
    #expect(try bed.dump() == before)
  }

  @Test("The command starts as without guard: the same signals blocked and ignored, and no extra open file")
  func inheritance() throws {
    let bed = try CommandBed(rows: 10)
    let shell = "grep -E 'SigBlk|SigIgn' /proc/self/status; ls /proc/self/fd | tr '\\n' ' '"
    let ending = try signalled(bed, "SIGHUP", ignored: true, ["guard", "--", "sh", "-c", "echo ready; \(shell)"])
    #expect(ending.status == 0)
    let lines = ending.stdout.split(separator: "\n").map { $0.split(whereSeparator: \.isWhitespace).map { String($0) } }
    try #require(lines.count == 4, "\(ending.stdout), \(ending.stderr)")
    #expect(lines[1] == ["SigBlk:", "0000000000000000"])
    // The C library's own two signals, 32 and 33, are ignored in every process that `posix_spawn`
    // starts.
    #expect(lines[2] == ["SigIgn:", "0000000180000001"])
    // And the descriptor through which `ls` reads the folder.
    #expect(lines[3] == ["0", "1", "2", "3"])
  }

  @Test("A signal during the backup stops it, and the command is not started")
  func stoppedBefore() throws {
    let bed = try CommandBed(rows: 20)
    _ = try bed.value(
      """
      WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 24000)
      INSERT INTO entries (text) SELECT hex(randomblob(1000)) FROM c
      """)
    let script = """
      import json, os, signal, subprocess, sys, time
      signal.pthread_sigmask(signal.SIG_SETMASK, [])
      folder, program = sys.argv[1:]
      process = subprocess.Popen(
          [program, "guard", "--compression-level", "9", "--", "touch", "started"], cwd=folder, stderr=subprocess.PIPE,
          text=True)
      backups = folder + "/backups"
      while process.poll() is None and not (
          os.path.isdir(backups) and any(name.startswith(".tmp-") for name in os.listdir(backups))):
          time.sleep(0.001)
      process.send_signal(signal.SIGTERM)
      stderr = process.communicate()[1]
      json.dump({"status": process.returncode, "stdout": "", "stderr": stderr}, sys.stdout)
      """
    let ending = try decode(
      Ending.self, bed.python(script, bed.folder.path, CommandBed.program, environment: bed.environment()))
    #expect(ending.status == 130 && ending.stderr == "holdfast: error: interrupted\n")
    #expect(try bed.folder.read("started") == nil)
  }
}
