import ArgumentParser
import BackupEngine

/// `holdfast`, the root of all subcommands.
struct HoldfastCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "holdfast",
    abstract: "Guards SQLite databases: watches them, backs them up, and brings any stored point back.",
    discussion: """
      Settings come from flags, then from the environment, then from .env, then from holdfast.toml, then from defaults; \
      holdfast config show lists them all with their values and where those come from. Passwords are never taken from the \
      command line.

      What this host remembers of each repository is kept in $STATE_DIRECTORY, else $XDG_STATE_HOME/holdfast, else \
      ~/.local/state/holdfast.

      Exit codes: 0 done, 1 failed, 3 verification failed, 4 no such point, 5 wrong password or key, 6 busy or locked, \
      7 no space, 8 refused by policy, 64 usage, 130 interrupted.
      """,
    version: holdfastVersion,
    subcommands: [
      Create.self, List.self, Show.self, Verify.self, Restore.self, Undo.self, Guard.self, Delete.self, Cleanup.self,
      Compact.self, Accept.self, Pin.self, Unpin.self, Drill.self, Query.self, Diff.self,
      Stats.self, Agent.self, Init.self, Config.self, Schedule.self, Doctor.self,
    ])
}
