import ArgumentParser
import BackupPolicy

/// Which points stay.
struct RetentionOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Keep the newest N.", valueName: "n"))
  var keep: Int?

  @Option(help: ArgumentHelp("Keep what is younger than N days (BACKUP_RETENTION_DAYS).", valueName: "n"))
  var retentionDays: Int?

  @Option(help: ArgumentHelp("Keep at most N (BACKUP_MAX_BACKUPS).", valueName: "n"))
  var maxBackups: Int?

  /// The rules, or nil where there are none. Flags replace the environment's rules as a whole: `--keep 5` means five, whatever
  /// BACKUP_RETENTION_DAYS would keep besides.
  func policy(_ environment: ProcessEnvironment) throws -> RetentionPolicy? {
    if keep != nil || retentionDays != nil || maxBackups != nil {
      return RetentionPolicy(keepLast: keep, retentionDays: retentionDays, maxBackups: maxBackups)
    }
    let days = try environment.count(.retentionDays)
    let most = try environment.count(.maxBackups)
    return days == nil && most == nil ? nil : RetentionPolicy(retentionDays: days, maxBackups: most)
  }
}
