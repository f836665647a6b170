import ArgumentParser
import BackupEngine
import BackupPolicy

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
    guard first == "help" else { return try require(first) }
    if let topic = arguments.dropFirst().first, !topic.hasPrefix("-"), topic != "help" { try require(topic) }
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
