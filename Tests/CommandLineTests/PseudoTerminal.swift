import TestSupport

/// The program on a terminal of its own.
struct PseudoTerminal: Decodable {
  /// All that the terminal showed.
  var text: String
  /// The exit code, or minus the signal that ended it.
  var status: Int
  /// `/proc/PID/cmdline` and `environ`, as they were while the program waited for an answer.
  var cmdline: String
  var environ: String

  /// Runs the program, and types `answer` at its question.
  static func run(
    _ bed: CommandBed, _ arguments: [String], answer: String, environment: [String: String] = [:]
  ) throws -> PseudoTerminal {
    let result = try Python.run(
      script: script, arguments: [bed.folder.path, answer, CommandBed.program] + arguments,
      environment: bed.environment(environment).merging(["TERM": "xterm"]) { $1 })
    return try decode(PseudoTerminal.self, result.stdout)
  }

  private static let script = """
    import json, os, pty, signal, sys

    folder, answer, *command = sys.argv[1:]
    process, terminal = pty.fork()
    if process == 0:
        # The threads that run tests block signals, and a child inherits that.
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.chdir(folder)
        os.execv(command[0], command)

    def proc(name):
        try:
            with open(f"/proc/{process}/{name}", "rb") as file:
                return file.read().decode(errors="replace")
        except PermissionError:
            return "(not for us)"

    text, cmdline, environ, asked = b"", "", "", False
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:
            break
        if not part:
            break
        text += part
        if not asked and b"[y/N] " in text:
            asked, cmdline, environ = True, proc("cmdline"), proc("environ")
            os.write(terminal, answer.encode())
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    json.dump({"text": text.decode(), "status": status, "cmdline": cmdline, "environ": environ}, sys.stdout)
    """
}
