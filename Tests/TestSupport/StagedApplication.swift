import Glibc

/// An application in a process of its own that runs its steps when a test continues it.
package final class StagedApplication {
  /// The next step.
  package enum Step: Sendable {
    /// Opens a connection in autocommit, without a busy timeout, and reads the schema (SQLite opens
    /// no log before).
    case open
    /// Runs a statement to its end.
    case run(String)
    case close
    /// Opens and closes the database file once more, as a program that copies it does: all its
    /// POSIX locks on it are gone.
    case dropLocks
    /// The same, also with `-shm`.
    case dropAllLocks
    /// Keeps another file open for writing.
    case keepOpen(String)
    /// The first step of all: the others run in a second thread, after the first thread has ended.
    case endFirstThread
    /// The first step of all: the others run in a second thread that has a table of open files of its own.
    case ownTable
    /// Waits for ``reach(_:)``, with the number of the wait from 1 on.
    case wait
  }

  private let process: ProcessInBackground
  package var id: Int32 { process.id }
  private let gate: String
  private var reached = 0

  /// Starts it, and returns when it waits for the first time or has finished.
  ///
  /// - Parameter wrapper: a program and its arguments that run Python, for example `strace`.
  package init(_ database: String, folder: TemporaryFolder, wrapper: [String] = [], _ steps: [Step]) throws {
    gate = folder.path("gate-\(UInt64.random(in: 0 ... .max))")
    let arguments = steps.flatMap { step in
      switch step {
      case .open: ["open", ""]
      case .run(let sql): ["run", sql]
      case .close: ["close", ""]
      case .dropLocks: ["drop", ""]
      case .dropAllLocks: ["drop", "-shm"]
      case .keepOpen(let path): ["keep", path]
      case .endFirstThread: ["end", ""]
      case .ownTable: ["own", ""]
      case .wait: ["wait", ""]
      }
    }
    let command =
      wrapper + ["python3", "-c", Self.script, database, gate, wrapper.isEmpty ? "" : "wrapped"] + arguments
    process = try ProcessInBackground(command[0], Array(command.dropFirst()))
    try process.waitForLine("waiting 1")
  }

  /// Lets it continue without waiting for it.
  package func letGo() {
    reached += 1
    close(open("\(gate)-\(reached)", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600))
  }

  /// Lets it continue, and returns when it waits again or has finished.
  package func goOn() throws {
    letGo()
    try settle()
  }

  /// Returns when it waits again or has finished, after ``letGo()``.
  package func settle() throws { try process.waitForLine("waiting \(reached + 1)") }

  /// Kills the process at its present step, by SIGKILL.
  package func kill() { process.stop() }

  private static let script = """
    import ctypes, os, platform, sqlite3, sys, threading, time
    path, gate, wrapped, *steps = sys.argv[1:]
    # PR_SET_PDEATHSIG, SIGKILL: what ends the wrapper ends this too.
    if wrapped == "wrapped": ctypes.CDLL(None).prctl(1, 9)
    db, count, kept = None, 0, []
    def wait():
        global count
        count += 1
        print("waiting", count, flush=True)
        while not os.path.exists(f"{gate}-{count}"):
            time.sleep(0.001)
        os.unlink(f"{gate}-{count}")
    def go():
        global db
        for name, text in zip(steps[::2], steps[1::2]):
            if name == "open":
                db = sqlite3.connect(path, isolation_level=None, timeout=0)
                db.execute("SELECT count(*) FROM sqlite_schema").fetchall()
            if name == "run": db.execute(text).fetchall()
            if name == "close": db.close()
            if name == "drop": [open(path + suffix, "rb").close() for suffix in {"", text}]
            if name == "keep": kept.append(open(text, "r+b"))
            # CLONE_FILES
            if name == "own": assert ctypes.CDLL(None).unshare(0x400) == 0
            if name == "wait": wait()
        wait()
    if steps[0] in ("end", "own"):
        second = threading.Thread(target=go)
        second.start()
        # exit(2) ends the calling thread only.
        if steps[0] == "end": ctypes.CDLL(None).syscall({"x86_64": 60}.get(platform.machine(), 93), 0)
        second.join()
    else:
        go()
    """
}
