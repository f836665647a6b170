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

  @Option(.anomalyHold) var anomalyHold: String?
  @Option(.minFreeSpace) var minFreeSpace: String?

  /// What the flags that are text say.
  var flags: Layer { .flags([.anomalyHold: anomalyHold, .minFreeSpace: minFreeSpace]) }

  /// The rules, or nil where there are none. Flags replace what is configured as a whole: `--keep 5` means five, whatever
  /// `retention_days` would keep besides.
  func policy(_ settings: Settings) throws -> RetentionPolicy? {
    if keep != nil || retentionDays != nil || maxBackups != nil {
      var policy = try Self.guards(settings)
      (policy.keepLast, policy.retentionDays, policy.maxBackups) = (keep, retentionDays, maxBackups)
      return policy
    }
    return try Self.configured(settings)
  }

  /// The rules without flags, or nil where there are none.
  static func configured(_ settings: Settings) throws -> RetentionPolicy? {
    var policy = try guards(settings)
    policy.keepLast = try settings.integer(.keepLast)
    policy.retentionDays = try settings.integer(.retentionDays)
    policy.maxBackups = try settings.integer(.maxBackups)
    let hasRule = policy.keepLast != nil || policy.retentionDays != nil || policy.maxBackups != nil
    return hasRule || policy.minFreeSpace != nil ? policy : nil
  }

  private static func guards(_ settings: Settings) throws -> RetentionPolicy {
    // Rounded up: only 0 means never.
    let hold = (try settings.milliseconds(.anomalyHold) + 999) / 1000
    return RetentionPolicy(anomalyHold: hold, minFreeSpace: try settings.freeSpace(.minFreeSpace))
  }
}
