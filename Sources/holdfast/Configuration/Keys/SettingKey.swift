/// The settings, by their names in `holdfast.toml`. What each one is stands in the table, ``definition``; files, environment,
/// flags' help, `config show`, the example files and the README follow from there.
enum SettingKey: String, CaseIterable, Hashable, Sendable {
  case database
  case backupDir = "backup_dir"
  case encryptionEnabled = "encryption_enabled"
  case cipher
  case keyFile = "key_file"
  case passwordFile = "password_file"
  case password
  case compressionEnabled = "compression_enabled"
  case compressionLevel = "compression_level"
  case enabled
  case mode
  case debounce
  case maxDelay = "max_delay"
  case minInterval = "min_interval"
  case pollInterval = "poll_interval"
  case schedule
  case timezone
  case quietHours = "quiet_hours"
  case skipUnchanged = "skip_unchanged"
  case catchUp = "catch_up"
  case verifyAfterCreate = "verify_after_create"
  case keepLast = "keep_last"
  case keepHourly = "keep_hourly"
  case keepDaily = "keep_daily"
  case keepWeekly = "keep_weekly"
  case keepMonthly = "keep_monthly"
  case keepYearly = "keep_yearly"
  case keepWithin = "keep_within"
  case keepWithinHourly = "keep_within_hourly"
  case keepWithinDaily = "keep_within_daily"
  case keepWithinWeekly = "keep_within_weekly"
  case keepWithinMonthly = "keep_within_monthly"
  case keepWithinYearly = "keep_within_yearly"
  case keepTag = "keep_tag"
  case retentionDays = "retention_days"
  case maxBackups = "max_backups"
  case thin
  case anomalyHold = "anomaly_hold"
  case minFreeSpace = "min_free_space"
  case drillSchedule = "drill.schedule"
  case drillMaxAge = "drill.max_age"
  case stopGrace = "stop_grace"
  case logLevel = "log_level"

  /// The name in `holdfast.toml`; with a dot, that of a table and of a key in it.
  var name: String { rawValue }

  /// The environment variable, in `.env` too.
  var variable: String {
    let name = rawValue.uppercased().replacing(".", with: "_")
    return definition.variable ?? (name.hasPrefix("BACKUP_") ? name : "BACKUP_\(name)")
  }

  /// The flag, without its dashes; nil where there is none.
  var flag: String? {
    switch definition.flag {
    case .named(let name): name
    case .sameName: rawValue.replacing("_", with: "-").replacing(".", with: "-")
    case .none: nil
    }
  }

  /// The flag as it is typed: `--max-delay`.
  var flagText: String? { flag.map { "--\($0)" } }

  /// Whether it must not stand in `holdfast.toml`, nor be shown.
  var isSecret: Bool { definition.scope == .secret }

  /// Whether a `[[databases]]` table may override it.
  var isPerDatabase: Bool { definition.scope == .database }

  static func named(_ name: String) -> SettingKey? { SettingKey(rawValue: name) }
  static func of(variable: String) -> SettingKey? { allCases.first { $0.variable == variable } }
  /// Those that `holdfast.toml` may hold.
  static var inFiles: [SettingKey] { allCases.filter { !$0.isSecret } }
}
