import ArgumentParser
import BackupPolicy
import CShims
import Glibc

/// The process: reads its settings, parses, runs one command, and turns whatever happens into an exit code.
@main
@MainActor
enum Main {
  static func main() async {
    // Keys and passwords must not end up in a core dump.
    _ = cshims_forbid_core_dumps()
    // Read before any other thread runs: taking the password out of the environment is not safe beside getenv.
    _ = ProcessEnvironment.current
    let arguments = Array(CommandLine.arguments.dropFirst())
    do {
      try await run(arguments)
    } catch {
      exit(ErrorReport(error, asJSON: asksForJSON(arguments)).print())
    }
  }

  /// One-shot commands run here, on the main thread, for the engine blocks; only the agent is asynchronous.
  private static func run(_ arguments: [String]) async throws {
    let arguments = arguments == ["-V"] ? ["--version"] : arguments
    try CommandNames.check(arguments)
    var command = try HoldfastCommand.parseAsRoot(arguments)
    switch command {
    case let agent as Agent where agent.once: try agent.runOnce()
    case let agent as Agent: try await agent.run()
    default: try command.run()
    }
  }

  /// Whether errors are wanted as JSON; asked before anything is parsed, since parsing itself may fail.
  private static func asksForJSON(_ arguments: [String]) -> Bool {
    arguments.prefix { $0 != "--" }.contains("--json")
  }
}
