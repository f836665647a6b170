import ArgumentParser
import BackupEngine
import BackupPolicy
import CShims
import Glibc

/// `holdfast`, the root of all subcommands.
struct HoldfastCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "holdfast",
    abstract: "Backs up live SQLite databases, encrypted and verified, and restores any stored backup.",
    usage: "holdfast <command> [<options>]",
    discussion: """
      Examples:
        holdfast create app.db                       back up a database now
        holdfast agent --database app.db             back it up after each change
        holdfast restore --at '10 minutes ago'       bring back what it held then
      """,
    version: Version.text,
    groupedSubcommands: [
      CommandGroup(
        name: "Every day",
        subcommands: [Create.self, List.self, Show.self, Verify.self, Drill.self, Stats.self, Agent.self]),
      CommandGroup(
        name: "After an accident", subcommands: [Restore.self, Undo.self, Query.self, Diff.self, Accept.self]),
      CommandGroup(
        name: "Housekeeping",
        subcommands: [Guard.self, Cleanup.self, Compact.self, Delete.self, Pin.self, Unpin.self]),
      CommandGroup(
        name: "Setting up",
        subcommands: [
          Init.self, Doctor.self, Config.self, Schedule.self, Completion.self, Version.self,
        ]),
    ])

  /// What follows the list of commands in the help of `holdfast`.
  static let footnotes = """
    SETTINGS:
      Flags count before the environment, .env, holdfast.toml and the defaults, in this order; holdfast config show lists
      all settings with their values and origins. Passwords are never taken from the command line. What this host
      remembers of each repository is in $STATE_DIRECTORY, $XDG_STATE_HOME/holdfast or ~/.local/state/holdfast.

    EXIT CODES:
      0 done, 1 failed, 3 verification failed, 4 no such backup, 5 wrong password or key, 6 busy or locked, 7 no space,
      8 refused by policy, 64 usage, 130 interrupted.
    """
}

/// The process: reads its settings, parses, runs one command, and turns whatever happens into an exit code.
@main
@MainActor
enum Main {
  static func main() async {
    // Keys and passwords must not end up in a core dump.
    _ = cshims_forbid_core_dumps()
    GuardedCommand.ignoreFileSizeSignal()
    // Read before any other thread runs: taking the password out of the environment is not safe beside getenv.
    _ = ProcessEnvironment.current
    let arguments = Array(ProcessEnvironment.arguments.dropFirst())
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

/// The names of the commands, and what people type instead.
enum CommandNames {
  static var all: [String] { HoldfastCommand.configuration.subcommands.map { $0._commandName } }

  /// Those that are about a database and its backups.
  static var takingServiceOptions: [String] {
    all.filter { !["schedule", "completion", "version"].contains($0) }
  }

  /// - Parameter arguments: of the command line, without the program.
  /// - Throws: `usage` if the first word is no command.
  static func check(_ arguments: [String]) throws {
    guard let first = arguments.first, !first.hasPrefix("-") else { return }
    let words = arguments.dropFirst(first == "help" ? 1 : 0).prefix { !$0.hasPrefix("-") }
    guard let name = words.first, name != "help" else { return }
    try require(name)
    if name == "config", let part = words.dropFirst().first, part != "help" { try requirePart(part) }
  }

  /// - Throws: `usage` if it is no command of `config`.
  private static func requirePart(_ name: String) throws {
    let parts = Config.configuration.subcommands.map { $0._commandName }
    guard !parts.contains(name) else { return }
    let near = NearestName.of(name, in: parts).map { "; did you mean 'config \($0)'?" } ?? ""
    throw HoldfastError(
      .usage, "unknown command 'config \(name.shortened)'\(near)", hint: "holdfast help config lists its commands")
  }

  private static func require(_ name: String) throws {
    guard !all.contains(name) else { return }
    let near = habits[name.lowercased()] ?? NearestName.of(name, in: all)
    throw HoldfastError(
      .usage, "unknown command '\(name.shortened)'" + (near.map { "; did you mean '\($0)'?" } ?? ""),
      hint: (near.map { "holdfast \($0) --help shows how it is used; " } ?? "") + "holdfast help lists the commands")
  }

  /// What the same thing is called by restic, borg, git, apt and others.
  private static let habits = [
    "backup": "create", "snapshot": "create", "save": "create", "new": "create", "add": "create",
    "ls": "list", "snapshots": "list", "backups": "list", "log": "list", "history": "list", "archives": "list",
    "info": "show", "inspect": "show", "cat": "show", "check": "verify", "fsck": "verify", "test": "drill",
    "recover": "restore", "extract": "restore", "rollback": "undo", "revert": "undo",
    "rm": "delete", "remove": "delete", "forget": "cleanup", "prune": "cleanup", "expire": "cleanup", "gc": "cleanup",
    "merge": "compact", "tag": "pin", "keep": "pin", "sql": "query", "select": "query", "compare": "diff",
    "status": "doctor", "health": "doctor", "diagnose": "doctor", "du": "stats", "statistics": "stats",
    "daemon": "agent", "watch": "agent", "run": "agent", "start": "agent", "serve": "agent", "service": "agent",
    "setup": "init", "settings": "config", "configuration": "config", "cron": "schedule",
    "completions": "completion", "exec": "guard", "protect": "guard",
  ]
}
