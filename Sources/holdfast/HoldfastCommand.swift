import ArgumentParser
import BackupEngine
import BackupPolicy
import CShims
import Glibc

/// `holdfast`, the root of all subcommands.
struct HoldfastCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "holdfast",
    abstract: "Back up live SQLite databases, encrypted and verified, and restore any backup.",
    usage: "holdfast <command> [<options>]",
    version: Version.text,
    groupedSubcommands: [
      CommandGroup(
        name: "Every day",
        subcommands: [
          Create.self, BackUpNow.self, Agent.self, Sync.self, Status.self, List.self, Show.self, Stats.self,
          Cleanup.self, Compact.self, Delete.self, Pin.self, Unpin.self, Guard.self, Pause.self, Resume.self,
          Reload.self, Follow.self,
        ]),
      CommandGroup(
        name: "After an accident", subcommands: [Query.self, Diff.self, Restore.self, Undo.self, Accept.self]),
      CommandGroup(
        name: "Checks",
        subcommands: [Verify.self, Drill.self, Doctor.self, Targets.self, Notify.self, Metrics.self]),
      CommandGroup(
        name: "Set-up",
        subcommands: [Init.self, Config.self, Schedule.self, Completion.self, Version.self, GenerateManual.self]),
    ])
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
    } catch  where arguments.first == "---completion" && HoldfastCommand.exitCode(for: error) != .success {
      // A shell asks while somebody types: there is no place for a message.
      exit(1)
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
  static var all: [String] {
    HoldfastCommand.configuration.subcommands.filter { $0.configuration.shouldDisplay }.map { $0._commandName }
  }

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
    if let part = words.dropFirst().first, part != "help" { try requirePart(part, of: name) }
  }

  /// The commands below one of ours, such as `check` and `show` of `config`.
  static func parts(of name: String) -> [String] {
    let command = HoldfastCommand.configuration.subcommands.first { $0._commandName == name }
    return command?.configuration.subcommands.map { $0._commandName } ?? []
  }

  /// - Throws: `usage` if a command has commands below it, and this is none of them.
  private static func requirePart(_ part: String, of name: String) throws {
    let parts = parts(of: name)
    guard !parts.isEmpty, !parts.contains(part) else { return }
    let near = NearestName.of(part, in: parts).map { "did you mean '\(name) \($0)'?" }
    throw HoldfastError(
      .usage,
      "unknown command '\(name) \(part.shortened)'; "
        + (near ?? "there are \(parts.map { "'\(name) \($0)'" }.joined(separator: " and "))"),
      hint: "holdfast help \(name) lists its commands")
  }

  private static func require(_ name: String) throws {
    guard !all.contains(name), name != GenerateManual._commandName else { return }
    let near = habits[name.lowercased()] ?? NearestName.of(name, in: all)
    throw HoldfastError(
      .usage, "unknown command '\(name.shortened)'" + (near.map { "; did you mean '\($0)'?" } ?? ""),
      hint: (near.map { "holdfast \($0) --help shows how it is used; " } ?? "") + "holdfast help lists the commands")
  }

  /// The words of a command line that name its command, such as `config check`; empty without a command.
  static func named(by arguments: some Sequence<String>) -> String {
    let words = Array(arguments.prefix { $0 != "--" })
    guard let place = words.firstIndex(where: { all.contains($0) }) else { return "" }
    let name = words[place]
    guard let part = words[(place + 1)...].first(where: { !$0.hasPrefix("-") }), parts(of: name).contains(part) else {
      return name
    }
    return "\(name) \(part)"
  }

  /// The command that shows how the command of these arguments is used, and the options that it takes.
  static func helpHint(for arguments: some Sequence<String>) -> String {
    let name = named(by: arguments)
    return name.isEmpty ? "holdfast help lists the commands" : "holdfast \(name) --help lists its options"
  }

  /// What the same thing is called by restic, borg, git, apt and others.
  private static let habits = [
    "backup": "create", "snapshot": "create", "save": "create", "new": "create", "add": "create",
    "ls": "list", "snapshots": "list", "backups": "list", "log": "list", "history": "list", "archives": "list",
    "info": "show", "inspect": "show", "cat": "show", "check": "verify", "fsck": "verify", "test": "drill",
    "recover": "restore", "extract": "restore", "rollback": "undo", "revert": "undo",
    "rm": "delete", "remove": "delete", "forget": "cleanup", "prune": "cleanup", "expire": "cleanup", "gc": "cleanup",
    "merge": "compact", "tag": "pin", "keep": "pin", "sql": "query", "select": "query", "compare": "diff",
    "state": "status", "alive": "status", "trigger": "backup-now", "stop": "pause", "continue": "resume",
    "tail": "follow", "events": "follow", "health": "doctor", "diagnose": "doctor", "du": "stats",
    "statistics": "stats",
    "daemon": "agent", "watch": "agent", "run": "agent", "start": "agent", "serve": "agent", "service": "agent",
    "setup": "init", "settings": "config", "configuration": "config", "cron": "schedule",
    "completions": "completion", "exec": "guard", "protect": "guard", "push": "sync", "upload": "sync",
    "alert": "notify", "alerts": "notify", "notifications": "notify", "mail": "notify",
    "replicate": "sync", "copy": "sync", "target": "targets", "replicas": "targets", "remotes": "targets",
  ]
}
