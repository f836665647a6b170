import ArgumentParser
import BackupEngine

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
