import ArgumentParser
import BackupEngine

/// `holdfast`, the root of all subcommands.
struct HoldfastCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "holdfast",
    abstract: "Guards SQLite databases: watches them, backs them up, and brings any stored point back.",
    discussion: """
      Settings come from flags, then from the environment (DATABASE_URL, BACKUP_DIR, BACKUP_ENCRYPTION_PASSWORD, \
      BACKUP_ENCRYPTION_PASSWORD_FILE, BACKUP_ENCRYPTION_KEY_FILE, BACKUP_ENCRYPTION_ENABLED, \
      BACKUP_COMPRESSION_ENABLED, BACKUP_VERIFY_AFTER_CREATE, BACKUP_RETENTION_DAYS, BACKUP_MAX_BACKUPS, \
      BACKUP_ENABLED), then from defaults. Passwords are never taken from the command line.

      What this host remembers of each repository is kept in $STATE_DIRECTORY, else $XDG_STATE_HOME/holdfast, else \
      ~/.local/state/holdfast.

      Exit codes: 0 done, 1 failed, 3 verification failed, 4 no such point, 5 wrong password or key, 6 busy or locked, \
      7 no space, 8 refused by policy, 64 usage, 130 interrupted.
      """,
    version: holdfastVersion,
    subcommands: [
      Create.self, List.self, Show.self, Verify.self, Restore.self, Delete.self, Cleanup.self, Stats.self, Agent.self,
      Init.self, Schedule.self, Doctor.self,
    ])
}
