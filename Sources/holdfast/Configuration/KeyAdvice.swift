import BackupPolicy

/// Hints for names that are not settings.
enum KeyAdvice {
  /// The hint for an unknown key of `holdfast.toml`.
  static func forFile(_ name: String) -> String {
    if let key = meant(by: name) { return "write \(key.name) here" + (key.isSecret ? "" : spelling(name, key)) }
    if let word = elsewhere[folded(name)] { return word }
    return nearest(name).map { "did you mean \($0.name)?" } ?? "config/holdfast.example.toml lists every setting"
  }

  /// The hint for an unknown `BACKUP_…` variable.
  static func forVariable(_ name: String) -> String {
    if let key = nearVariable(name) { return "did you mean \(key.variable)?" }
    return "holdfast config show lists every setting; config/holdfast.env.example has their variables"
  }

  /// The variable that was probably intended.
  static func nearVariable(_ name: String) -> SettingKey? {
    if let key = meant(by: name) { return key }
    return NearestName.of(name, in: SettingKey.allCases.map(\.variable)).flatMap(SettingKey.of(variable:))
  }

  /// The setting that has this name as a variable, as a flag, or in another tool's configuration.
  private static func meant(by name: String) -> SettingKey? {
    let plain = folded(name)
    if let key = SettingKey.allCases.first(where: { folded($0.variable) == plain || $0.flag.map(folded) == plain }) {
      return key
    }
    let short = Self.plain(name)
    return SettingKey.named(short) ?? SettingKey.named(plain) ?? aliases[plain] ?? aliases[short]
  }

  private static func nearest(_ name: String) -> SettingKey? {
    NearestName.of(name, in: SettingKey.inFiles.map(\.name)).flatMap(SettingKey.named)
  }

  private static func spelling(_ name: String, _ key: SettingKey) -> String {
    if name == key.variable { return "; \(name) is its name in the environment" }
    if folded(name) == key.flag.map(folded), folded(name) != key.name { return "; --\(key.flag ?? "") is its flag" }
    return ""
  }

  /// The name without the prefix of variables.
  static func plain(_ name: String) -> String {
    let plain = folded(name)
    return plain.hasPrefix("backup_") ? String(plain.dropFirst(7)) : plain
  }

  /// Whether the value is a secret, by any of the usual names.
  static func isSecret(_ name: String) -> Bool {
    ["password", "encryption_password", "passphrase", "secret", "encryption_key"].contains(plain(name))
  }

  private static func folded(_ name: String) -> String {
    let plain = name.lowercased().replacing("-", with: "_").replacing(" ", with: "_")
    return String(plain.drop { $0 == "_" })
  }

  /// Names of other tools (the Python service, Litestream, restic, borgmatic, cron) and plain
  /// synonyms.
  private static let aliases: [String: SettingKey] = [
    "db": .database, "database_path": .database, "database_file": .database, "path": .database, "source": .database,
    "backup_path": .backupDir, "backups": .backupDir, "directory": .backupDir, "destination": .backupDir,
    "repository": .backupDir, "repo": .backupDir, "output": .backupDir, "folder": .backupDir, "dir": .backupDir,
    "encryption": .encryptionEnabled, "encrypted": .encryptionEnabled, "compression": .compressionEnabled,
    "compressed": .compressionEnabled, "gzip": .compressionEnabled, "encryption_key_file": .keyFile,
    "key": .keyFile, "keyfile": .keyFile, "passphrase_file": .passwordFile, "passfile": .passwordFile,
    "cron": .schedule, "schedules": .schedule, "crontab": .schedule, "snapshot_interval": .schedule,
    "tz": .timezone, "time_zone": .timezone, "zone": .timezone, "delay": .debounce, "sync_interval": .debounce,
    "trigger": .mode, "interval": .minInterval, "poll": .pollInterval, "monitor_interval": .pollInterval,
    "max_wait": .maxDelay, "retention": .retentionDays, "keep_days": .retentionDays, "keep_hours": .keepHourly,
    "keep_weeks": .keepWeekly, "keep_months": .keepMonthly, "keep_years": .keepYearly, "keep_tags": .keepTag,
    "keep_count": .keepLast, "max_count": .maxBackups,
    "loglevel": .logLevel, "logging": .logLevel,
    "log": .logLevel, "verbosity": .logLevel, "verify_after_backup": .verifyAfterCreate, "disabled": .enabled,
    "hold": .anomalyHold, "free_space": .minFreeSpace, "min_free": .minFreeSpace, "minimum_free_space": .minFreeSpace,
    "grace": .stopGrace, "stop_timeout": .stopGrace, "catchup": .catchUp, "misfire_grace_time": .catchUp,
    "drill_schedule": .drillSchedule, "drill_max_age": .drillMaxAge, "drills": .drillSchedule,
    "thinning": .thin, "compact": .thin, "compaction": .thin,
  ]

  private static let elsewhere: [String: String] = [
    "dbs": "write one [[databases]] table for each database", "replicas": "write one [[targets]] table for each",
    "replica": "write target here, or a [[targets]] table", "offsite": "write target here, or a [[targets]] table",
    "url": "a url belongs in a [[targets]] table",
    "keep_secondly": "keep_hourly is the finest rule of the calendar; thin keeps one a minute for a day",
    "keep_minutely": "keep_hourly is the finest rule of the calendar; thin keeps one a minute for a day",
    "name": "a name belongs in a [[databases]] table",
    "config": "name the configuration file with --config or HOLDFAST_CONFIG",
    "env_file": "name the environment file with --env-file",
  ]
}

/// The name that was probably intended.
enum NearestName {
  /// The nearest of `names`; nil if no name is near. Near is one slip in a short word, two or three
  /// in a longer one. Case and dashes do not count.
  static func of(_ text: String, in names: some Sequence<String>) -> String? {
    let wanted = folded(text)
    let distances = names.map { (name: $0, distance: Spelling.distance(wanted, folded($0))) }
    guard let best = distances.min(by: { $0.distance < $1.distance }) else { return nil }
    let allowed = wanted.count <= 4 ? 1 : wanted.count <= 8 ? 2 : 3
    return best.distance <= allowed ? best.name : nil
  }

  private static func folded(_ text: String) -> [Character] {
    text.prefix(64).lowercased().map { $0 == "-" || $0 == " " ? "_" : $0 }
  }
}
