import ArgumentParser
import BackupPolicy

/// Which points stay.
struct RetentionOptions: ParsableArguments {
  // Numbers, not text like other settings' flags: it is the policy that refuses to keep none, and says why.
  @Option(help: ArgumentHelp("Keep the newest N (BACKUP_KEEP_LAST).", valueName: "n"))
  var keep: Int?

  @Option(help: ArgumentHelp("Keep what is younger than N days (BACKUP_RETENTION_DAYS).", valueName: "n"))
  var retentionDays: Int?

  @Option(help: ArgumentHelp("Keep at most N (BACKUP_MAX_BACKUPS).", valueName: "n"))
  var maxBackups: Int?

  /// The rules, or nil where there are none. Flags replace what is configured as a whole: `--keep 5` means five, whatever
  /// `retention_days` would keep besides.
  func policy(_ settings: Settings) throws -> RetentionPolicy? {
    if keep != nil || retentionDays != nil || maxBackups != nil {
      return RetentionPolicy(keepLast: keep, retentionDays: retentionDays, maxBackups: maxBackups)
    }
    let last = try settings.integer(.keepLast)
    let days = try settings.integer(.retentionDays)
    let most = try settings.integer(.maxBackups)
    guard last != nil || days != nil || most != nil else { return nil }
    return RetentionPolicy(keepLast: last, retentionDays: days, maxBackups: most)
  }
}
