import TestSupport
import Testing

/// `sync` and `targets` beside a running agent.
@Suite("Targets beside a running agent", .ownThread)
struct TargetDialogueTests {
  /// Starts an agent in `folder`, and has `run` and `wait` for the script.
  private static let start = """
    import glob, json, os, signal, subprocess, sys, time
    program, folder = sys.argv[1:]
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    agent = subprocess.Popen([program, "agent"], cwd=folder, stderr=open(folder + "/agent.log", "wb"))

    def run(*arguments):
        return subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True)

    def shows(command, *texts):
        # During a try no next one is shown.
        for _ in range(600):
            shown = run(command).stdout
            if all(text in shown for text in texts):
                return
            time.sleep(0.1)
        sys.exit(shown)

    def wait(condition, command="targets"):
        for _ in range(600):
            document = json.loads(run(command, "--json").stdout)
            state = document[0] if command == "targets" else document["databases"][0]["targets"][0]
            if condition(state):
                return state
            time.sleep(0.1)
        sys.exit(f"{state}: {open(folder + '/agent.log').read()[-3000:]}")

    """

  private func run(_ bed: CommandBed, _ body: String) throws {
    let indented = body.split(separator: "\n", omittingEmptySubsequences: false).map { "    \($0)" }
    let script =
      Self.start + "try:\n" + indented.joined(separator: "\n")
      + "\nfinally:\n    agent.terminate()\n    agent.wait()\nprint('done', end='')"
    #expect(try bed.python(script, CommandBed.program, bed.folder.path, environment: bed.environment()) == "done")
  }

  @Test("sync lets the agent do it: it lists the target, and sends what is missing there")
  func sync() throws {
    let bed = try CommandBed.withFolderTarget()
    _ = try bed.makeChain(incrementals: 1)
    try run(
      bed,
      """
      wait(lambda state: state["state"] == "current")
      archive = sorted(glob.glob(folder + "/nas/app/*/points/*/*"))[-1]
      os.unlink(archive)
      done = run("sync", "nas", "--json")
      assert done.returncode == 0, done
      report = json.loads(done.stdout)[0]
      assert len(report["uploaded"]) == 1 and report["executed"] and report["requests"]["puts"] > 0, report
      assert os.path.exists(archive)
      again = run("sync")
      assert again.returncode == 0 and again.stdout.startswith("nas: nothing to upload; "), again
      repair = run("sync", "--repair")
      assert repair.returncode == 6 and f"kill {agent.pid}" in repair.stderr, repair
      """)
  }

  @Test("After a failure targets and status show the next try, and sync begins one at once")
  func nextTry() throws {
    let bed = try CommandBed.withFolderTarget("[[targets]]\nname = \"usb\"\nurl = \"usb\"\n")
    _ = try bed.create()
    try run(
      bed,
      """
      failed = wait(lambda state: state["next_try"])
      assert failed["next_try"] > failed["last_failure"], failed
      shows("targets", "  Next try     at ", "; at once: holdfast sync usb")
      shows("status", "; next try at ")
      status = wait(lambda state: state["next_try"], "status")
      assert status["last_error"], status
      begun = run("sync", "usb")
      assert begun.returncode == 4 and begun.stderr.startswith("holdfast: error: target usb: "), begun
      os.mkdir(folder + "/usb")
      done = run("sync", "usb")
      assert done.returncode == 0, done
      over = json.loads(run("targets", "--json").stdout)[0]
      assert over["next_try"] is None and over["state"] == "current", over
      """)
  }
}
