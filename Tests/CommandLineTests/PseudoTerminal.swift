import TestSupport
import Testing

/// The program on a terminal of its own.
struct PseudoTerminal: Decodable {
  /// Everything that the terminal showed.
  var text: String
  /// The exit code, or minus the signal that ended it.
  var status: Int
  /// Whether the terminal still echoes.
  var echoes: Bool
  /// `/proc/PID/cmdline` and `environ`, read while the program waited for the first answer.
  var cmdline: String
  var environ: String

  /// Runs the program, and types `answer` at its question.
  static func run(
    _ bed: CommandBed, _ arguments: [String], answer: String, environment: [String: String] = [:]
  ) throws -> PseudoTerminal {
    try run(bed, arguments, [("[y/N] ", answer)], environment: environment)
  }

  /// Runs the program, and types each answer when the text before it has appeared.
  static func run(
    _ bed: CommandBed, _ arguments: [String], _ dialogue: [(String, String)], environment: [String: String] = [:]
  ) throws -> PseudoTerminal {
    let result = try Python.run(
      script: script,
      arguments: [bed.folder.path, "\(dialogue.count)"] + dialogue.flatMap { [$0.0, $0.1] } + [CommandBed.program]
        + arguments,
      environment: bed.environment(["NO_COLOR": "1"].merging(environment) { $1 }).merging(["TERM": "xterm"]) { $1 })
    #expect(result.stderr == "")
    return try decode(PseudoTerminal.self, result.stdout)
  }

  private static let script = """
    import json, os, pty, signal, sys, termios

    folder, count, *rest = sys.argv[1:]
    dialogue = [(rest[2 * n].encode(), rest[2 * n + 1].encode()) for n in range(int(count))]
    command = rest[2 * int(count):]
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

    text, seen, echoes, cmdline, environ = b"", 0, True, "", ""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:
            break
        if not part:
            break
        text += part
        try:
            echoes = bool(termios.tcgetattr(terminal)[3] & termios.ECHO)
        except termios.error:
            pass
        while dialogue and dialogue[0][0] in text[seen:]:
            if not seen:
                cmdline, environ = proc("cmdline"), proc("environ")
            seen = text.index(dialogue[0][0], seen) + len(dialogue[0][0])
            os.write(terminal, dialogue.pop(0)[1])
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    json.dump({"text": text.decode(), "status": status, "echoes": echoes, "cmdline": cmdline, "environ": environ},
              sys.stdout)
    """
}
