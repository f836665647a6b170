import BackupAgent
import BackupPolicy

/// The settings, by their names in `holdfast.toml`. A new setting needs a case here, a row in the
/// table below, and a property if it has a flag. Files, environment, help, `config show`, the
/// example files and the documentation follow from the row.
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
  case target
  case drillSchedule = "drill.schedule"
  case drillMaxAge = "drill.max_age"
  case heartbeatURL = "heartbeat_url"
  case stopGrace = "stop_grace"
  case logLevel = "log_level"
  case logFormat = "log_format"
  case metricsFile = "metrics_file"
}

/// The table of settings: one row for each key, in the order of the keys.
enum SettingTable {
  static let rows: [SettingDefinition] = [
    .init(
      .database, .database, .words("none"), "The database: a path, sqlite:///relative.db or sqlite:////absolute.db",
      because: "only you know which one it is", example: "/srv/app/app.db", variable: "DATABASE_URL",
      scope: .process),
    .init(
      .backupDir, .folder, .words("`backups` beside the database; `backups/NAME` for one of several"),
      "The repository: the folder of backups",
      because: "the place that the Python service used; another disk is safer",
      example: "/var/backups/app"),

    // Encryption and compression.
    .init(
      .encryptionEnabled, .boolean, .value("true"), "Encrypt backups",
      because: "a backup is more easily lost or copied than the database", flag: .named("encrypt")),
    .init(
      .cipher, .choice(["aes-256-gcm", "aes-256-cbc"]), .value("aes-256-gcm"),
      "The cipher: aes-256-gcm, or aes-256-cbc, which cannot detect tampering",
      because: "it detects every change to an archive; the Python service wrote the other one"),
    .init(
      .keyFile, .path, .words("`~/.config/holdfast/key`, if it exists and no password is set"),
      "A file with a 256-bit key", because: "`holdfast init` makes it there; `$XDG_CONFIG_HOME` is respected",
      example: "/etc/holdfast/key", variable: "BACKUP_ENCRYPTION_KEY_FILE"),
    .init(
      .passwordFile, .path, .words("none"), "A file whose first line is the password",
      because: "a key file needs no derivation; a password can be remembered",
      example: "/etc/holdfast/password", variable: "BACKUP_ENCRYPTION_PASSWORD_FILE"),
    .init(
      .password, .text, .words("none"), "The password, in the environment or `.env` only",
      because: "a file of its own is better: an environment is easily printed", variable: "BACKUP_ENCRYPTION_PASSWORD",
      flag: .none, scope: .secret),
    .init(
      .compressionEnabled, .boolean, .value("true"), "Compress backups",
      because: "compression is faster than most disks, and saves space", flag: .named("compress")),
    .init(
      .compressionLevel, .level, .value("2"), "The compression level, 1 (fast) to 9 (small)",
      because: "smaller output than `gzip -1` in a fraction of the time"),

    // When the agent backs up.
    .init(
      .enabled, .boolean, .value("true"), "Whether the agent backs up the database",
      because: "an agent is there for backups; false excludes a database", flag: .none),
    .init(
      .mode, .choice(["change", "schedule", "hybrid"]), .words("`hybrid` if a schedule is set, else `change`"),
      "What starts a backup: change, schedule or hybrid (both)",
      because: "only the changes of the last seconds can be lost", example: "hybrid",
      use: .agent(.mode(\.triggers.mode))),
    .init(
      .debounce, .time(atLeast: 0), .value("500ms"), "The quiet time after a change before its backup",
      because: "a burst of writes becomes one backup, and the wait is short",
      use: .agent(.milliseconds(\.triggers.debounce))),
    .init(
      .maxDelay, .time(atLeast: 0), .value("5s"), "The longest time from a change to its backup",
      because: "a program that never pauses is backed up as well",
      use: .agent(.milliseconds(\.triggers.maxDelay))),
    .init(
      .minInterval, .time(atLeast: 0), .value("1s"), "The shortest time between two backups",
      because: "more than one backup a second is hard to look through",
      use: .agent(.milliseconds(\.triggers.minInterval))),
    .init(
      .pollInterval, .time(atLeast: 100), .value("30s"), "How often the agent polls for changes that raise no event",
      because: "detects writes that raise no event, such as writes of another machine",
      use: .agent(.milliseconds(\.pollInterval))),
    .init(
      .schedule, .schedules, .words("none"),
      "When to back up by the clock, as a cron expression; several: an array, or `;` between them",
      because: "changes are backed up when they happen; no schedule is needed", example: "0 2 * * *",
      use: .agent(.schedules(\.triggers.schedules))),
    .init(
      .timezone, .zone, .words("the host's"), "The zone of schedules and quiet hours, such as Europe/Berlin",
      because: "times are those of the clocks here", example: "Europe/Berlin", use: .agent(.zone(\.triggers.zone))),
    .init(
      .quietHours, .quietHours, .words("none"), "Hours in which changes wait for their backup, such as 22:00-06:00",
      because: "the backup of a change costs little at any time of day", example: "22:00-06:00",
      use: .agent(.quietHours(\.triggers.quietHours))),
    .init(
      .skipUnchanged, .boolean, .value("false"), "Leave out a scheduled backup if nothing changed",
      because: "a daily schedule then makes a backup each day", use: .agent(.boolean(\.triggers.skipUnchanged))),
    .init(
      .catchUp, .boolean, .value("true"), "Make up a scheduled backup that was missed, once",
      because: "a machine may be off at the scheduled time", use: .agent(.boolean(\.triggers.catchUp))),
    .init(
      .verifyAfterCreate, .boolean, .value("false"), "Read each new backup back in full",
      because: "it doubles the work of a backup; scheduled ones are always read back", flag: .named("verify"),
      use: .agent(.boolean(\.verifyAfterCreate))),

    // Retention.
    rule(.keepLast, .last, "Keep the newest N backups", example: "30", standard: .words("all"), flag: .named("keep")),
    rule(.keepHourly, .each(.hour), eachSummary("hours"), example: "24"),
    rule(.keepDaily, .each(.day), eachSummary("days"), example: "7"),
    rule(.keepWeekly, .each(.week), eachSummary("weeks"), example: "5"),
    rule(.keepMonthly, .each(.month), eachSummary("months"), example: "12"),
    rule(.keepYearly, .each(.year), eachSummary("years"), example: "10"),
    rule(.keepWithin, .within(nil), withinSummary("all backups"), example: "2d"),
    rule(.keepWithinHourly, .within(.hour), withinSummary("the last backup of each hour"), example: "2d"),
    rule(.keepWithinDaily, .within(.day), withinSummary("the last backup of each day"), example: "7d"),
    rule(.keepWithinWeekly, .within(.week), withinSummary("the last backup of each week"), example: "2m"),
    rule(.keepWithinMonthly, .within(.month), withinSummary("the last backup of each month"), example: "1y6m"),
    rule(.keepWithinYearly, .within(.year), withinSummary("the last backup of each year"), example: "10y"),
    rule(
      .keepTag, .tag,
      "Keep the backups with this tag, or with all of several tags with commas between them; more: an array, or `;` between them",
      example: "release"),
    rule(
      .retentionDays, .days, "Keep the backups that are younger than N days", example: "30", standard: .words("all")),
    rule(.maxBackups, .ceiling, "Keep at most N backups", example: "30", standard: .words("all")),
    .init(
      .thin, .boolean, .value("true"),
      "Merge incrementals as they grow old: one a minute after an hour, one an hour after a day, after a week only what a rule keeps",
      because: "a chain of every change would take longer to restore each day"),
    .init(
      .anomalyHold, .time(atLeast: 0), .value("30d"),
      "How long a backup that lost most of its content holds the older ones; 0: not at all",
      because: "an accident is noticed within a month, and good backups must stay until then"),
    .init(
      .minFreeSpace, .freeSpace, .words("off"),
      "How much of the disk stays free, such as 2GiB or 5%; if less is free, older backups are removed",
      because: undecided, example: "5%"),

    // Off-site copies.
    .init(
      .target, .storeAddress, .words("none"),
      "Where the agent copies the backups to: s3://bucket/prefix, or the path of a folder; a [[targets]] table has more settings",
      because: "only you know a place that outlives this machine", example: "s3://shop-backups/{name}"),

    // Drills.
    .init(
      .drillSchedule, .schedules, .words("none"),
      "When the agent drills: restores the newest backup to scratch space and checks it",
      because: "a drill needs the space of the database and minutes of a core; once a week is a good start",
      example: "0 4 * * 0"),
    .init(
      .drillMaxAge, .time(atLeast: 0), .words("twice the longest pause of `drill.schedule`; never without a schedule"),
      "The age of the last passed drill that raises an alarm; 0: never",
      because: "one drill may be missed before there is an alarm", example: "14d"),

    // Messages. The rest of it is in [[notify]] tables.
    .init(
      .heartbeatURL, .webAddress, .words("none"),
      "A URL that gets a request each 5 minutes if all is well, and at the same URL with /fail the reasons if not",
      because: "an agent that has ended cannot report it; a service that misses the requests can",
      example: "https://hc-ping.com/your-uuid", flag: .none, scope: .process),

    // The process.
    .init(
      .stopGrace, .time(atLeast: 0), .value("10s"),
      "How long the agent may go on after a request to stop: with a running backup, and with one of a pending change",
      because: "most backups end in it, and no service manager waits less", scope: .process),
    .init(
      .logLevel, .choice(["trace", "debug", "info", "notice", "warning", "error", "critical"]),
      .words("`info` for the agent, else `warning`"),
      "The lowest level that is logged: trace, debug, info, notice, warning, error or critical",
      because: "the agent logs each backup; a command prints its result", example: "info", scope: .process),
    .init(
      .logFormat, .choice(LogFormat.allCases.map(\.rawValue)), .value("auto"),
      "The form of log lines: text, json (one object on each line), journald, or auto",
      because: "auto writes to systemd's journal if the service manager connected it, and text otherwise",
      flag: .none, scope: .process),
    .init(
      .metricsFile, .path, .words("none"), "The file of metrics that the agent writes for node_exporter",
      because: "`holdfast metrics` prints them at any time; the file is for a collector that reads files",
      example: "/var/lib/node_exporter/holdfast.prom", flag: .none, scope: .process),
  ]

  private static let byKey = Dictionary(rows.map { ($0.key, $0) }) { first, _ in first }

  static func row(_ key: SettingKey) -> SettingDefinition {
    guard let row = byKey[key] else { preconditionFailure("the setting \(key.name) has no row in the table") }
    return row
  }
}

// The rows of the retention rules.
extension SettingTable {
  private static let undecided = "no backup is removed unless a rule is set"

  private static func rule(
    _ key: SettingKey, _ kind: KeepRule.Kind, _ summary: String, example: String,
    standard: SettingDefinition.Standard = .words("none"), flag: SettingDefinition.Flag = .sameName
  ) -> SettingDefinition {
    SettingDefinition(
      key, ValueKind(kind.form), standard, summary, because: undecided, example: example, flag: flag, use: .rule(kind))
  }

  private static func eachSummary(_ units: String) -> String {
    "Keep the last backup of each of the newest N \(units) with a backup"
  }

  private static func withinSummary(_ kept: String) -> String {
    "Keep \(kept) in this time before the newest backup (1y5m7d2h; m is months)"
  }
}
