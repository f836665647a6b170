extension SettingKey {
  /// The table of settings. A new setting is a case and a row here; the compiler and the tests ask for the rest.
  var definition: SettingDefinition {
    switch self {
    case .database, .backupDir: places
    case .encryptionEnabled, .cipher, .keyFile, .passwordFile, .password: protection
    case .compressionEnabled, .compressionLevel, .verifyAfterCreate: content
    case .keepLast, .retentionDays, .maxBackups, .thin: retention
    case .keepHourly, .keepDaily, .keepWeekly, .keepMonthly, .keepYearly: calendarCounts
    case .keepWithin, .keepWithinHourly, .keepWithinDaily, .keepWithinWeekly, .keepWithinMonthly, .keepWithinYearly:
      calendarSpans
    case .keepTag: tags
    case .anomalyHold, .minFreeSpace: guards
    case .drillSchedule, .drillMaxAge: drills
    case .schedule, .timezone, .quietHours, .skipUnchanged, .catchUp: calendar
    case .enabled, .mode, .debounce, .maxDelay, .minInterval, .pollInterval: changes
    case .stopGrace, .logLevel: process
    }
  }

  private var places: SettingDefinition {
    if self == .database {
      return SettingDefinition(
        summary: "The database: a path, sqlite:///relative.db or sqlite:////absolute.db", kind: .database,
        standard: .words("none"), reason: "guarding the wrong one helps nobody", example: "/srv/app/app.db",
        variable: "DATABASE_URL", scope: .process)
    }
    return SettingDefinition(
      summary: "The folder of backups", kind: .folder,
      standard: .words("`backups` beside the database; `backups/NAME` for one of several"),
      reason: "where the Python service put it; better on another disk, which fails on another day",
      example: "/var/backups/app")
  }

  private var protection: SettingDefinition {
    switch self {
    case .encryptionEnabled:
      SettingDefinition(
        summary: "Encrypt backups", kind: .boolean, standard: .value("true"),
        reason: "a backup is easier to lose than a database", flag: .named("encrypt"))
    case .cipher:
      SettingDefinition(
        summary: "The cipher: aes-256-gcm, or aes-256-cbc, which cannot tell tampering",
        kind: .choice(["aes-256-gcm", "aes-256-cbc"]), standard: .value("aes-256-gcm"),
        reason: "it finds every change to an archive; the other one is what the Python service wrote")
    case .keyFile:
      SettingDefinition(
        summary: "A file with a 256-bit key", kind: .path,
        standard: .words("`~/.config/holdfast/key`, where it exists and no password is set"),
        reason: "where `holdfast init` puts it; `$XDG_CONFIG_HOME` is respected", example: "/etc/holdfast/key",
        variable: "BACKUP_ENCRYPTION_KEY_FILE")
    case .passwordFile:
      SettingDefinition(
        summary: "A file whose first line is the password", kind: .path, standard: .words("none"),
        reason: "a key file needs no derivation; a password is for those who must remember it",
        example: "/etc/holdfast/password", variable: "BACKUP_ENCRYPTION_PASSWORD_FILE")
    default:
      SettingDefinition(
        summary: "The password, in the environment or `.env` only", kind: .text, standard: .words("none"),
        reason: "better in a file of its own: an environment is easily printed",
        variable: "BACKUP_ENCRYPTION_PASSWORD", flag: .none, scope: .secret)
    }
  }

  private var content: SettingDefinition {
    switch self {
    case .compressionEnabled:
      SettingDefinition(
        summary: "Compress backups", kind: .boolean, standard: .value("true"),
        reason: "it is faster than the disk it saves", flag: .named("compress"))
    case .compressionLevel:
      SettingDefinition(
        summary: "How hard to compress, 1 (fast) to 9 (small)", kind: .level, standard: .value("2"),
        reason: "smaller than `gzip -1` in a small part of its time")
    default:
      SettingDefinition(
        summary: "Read each new backup back in full", kind: .boolean, standard: .value("false"),
        reason: "it doubles the work of a backup; scheduled ones are read back all the same", flag: .named("verify"))
    }
  }

  private var guards: SettingDefinition {
    if self == .anomalyHold {
      return SettingDefinition(
        summary: "How long a backup that lost most of its content holds the older ones; 0: not at all",
        kind: .time(atLeast: 0), standard: .value("30d"),
        reason: "an accident is noticed within a month, and must not push out what was good by then")
    }
    return SettingDefinition(
      summary: "How much of the disk stays free, such as 2GiB or 5%; below it, older backups go",
      kind: .freeSpace, standard: .words("off"), reason: "nothing is removed before you say what to keep",
      example: "5%")
  }

  private var retention: SettingDefinition {
    switch self {
    case .keepLast:
      SettingDefinition(
        summary: "Keep the newest N", kind: .quota, standard: .words("all"),
        reason: "nothing is removed before you say what to keep", example: "30", flag: .named("keep"))
    case .retentionDays:
      SettingDefinition(
        summary: "Keep what is younger than N days", kind: .count, standard: .words("all"),
        reason: "nothing is removed before you say what to keep", example: "30")
    case .thin:
      SettingDefinition(
        summary:
          "Merge incrementals as they grow old: one a minute after an hour, one an hour after a day, then none but what a rule names",
        kind: .boolean, standard: .value("true"),
        reason: "a chain of every change would take longer to restore each day")
    default:
      SettingDefinition(
        summary: "Keep at most N", kind: .count, standard: .words("all"),
        reason: "nothing is removed before you say what to keep", example: "30")
    }
  }

  private var calendar: SettingDefinition {
    switch self {
    case .schedule:
      SettingDefinition(
        summary: "When to back up by the clock, as a cron expression; several: an array, or `;` between them",
        kind: .schedules, standard: .words("none"), reason: "changes are backed up as they happen",
        example: "0 2 * * *")
    case .timezone:
      SettingDefinition(
        summary: "The zone of schedules and quiet hours, such as Europe/Berlin", kind: .zone,
        standard: .words("the host's"), reason: "2 o'clock means 2 o'clock here", example: "Europe/Berlin")
    case .quietHours:
      SettingDefinition(
        summary: "When changes wait for their backup, such as 22:00-06:00", kind: .quietHours,
        standard: .words("none"), reason: "a backup of a change is cheap at any hour", example: "22:00-06:00")
    case .skipUnchanged:
      SettingDefinition(
        summary: "Leave out a scheduled backup where nothing changed", kind: .boolean, standard: .value("false"),
        reason: "whoever asks for one a day looks for one a day")
    default:
      SettingDefinition(
        summary: "Make up a scheduled backup that was missed, once", kind: .boolean, standard: .value("true"),
        reason: "a laptop sleeps at 2 o'clock")
    }
  }

  private var drills: SettingDefinition {
    if self == .drillSchedule {
      return SettingDefinition(
        summary: "When the agent drills: restores the newest backup to scratch space and checks it",
        kind: .schedules, standard: .words("none"),
        reason: "a drill takes the room of the database and minutes of a core: choose the hour; weekly is a good start",
        example: "0 4 * * 0")
    }
    return SettingDefinition(
      summary: "When the last drill that passed is too old, which is an alarm; 0: never", kind: .time(atLeast: 0),
      standard: .words("twice the longest pause of `drill.schedule`; never without one"),
      reason: "one drill may be missed before anybody is woken", example: "14d")
  }

  private var changes: SettingDefinition {
    switch self {
    case .enabled:
      SettingDefinition(
        summary: "Whether the agent guards", kind: .boolean, standard: .value("true"),
        reason: "whoever starts an agent wants backups; false leaves a database out", flag: .none)
    case .mode:
      SettingDefinition(
        summary: "What starts a backup: change, schedule or hybrid (both)",
        kind: .choice(["change", "schedule", "hybrid"]),
        standard: .words("`hybrid` where a schedule is set, else `change`"),
        reason: "a change is lost only in the seconds before its backup", example: "hybrid")
    case .debounce:
      SettingDefinition(
        summary: "The quiet time after a change before its backup", kind: .time(atLeast: 0), standard: .value("500ms"),
        reason: "a burst of writes becomes one backup, and a person does not notice the wait")
    case .maxDelay:
      SettingDefinition(
        summary: "The longest time from a change to its backup", kind: .time(atLeast: 0), standard: .value("5s"),
        reason: "a program that never pauses is backed up all the same")
    case .minInterval:
      SettingDefinition(
        summary: "The shortest time between two backups", kind: .time(atLeast: 0), standard: .value("1s"),
        reason: "a point for every second is more than anybody looks through")
    default:
      SettingDefinition(
        summary: "How often to look for changes that raise no event", kind: .time(atLeast: 100),
        standard: .value("30s"), reason: "finds writes that raise no event, such as those of another machine")
    }
  }

  private var process: SettingDefinition {
    if self == .stopGrace {
      return SettingDefinition(
        summary: "How long backups may go on after a request to stop: a running one, and one of a pending change",
        kind: .time(atLeast: 0),
        standard: .value("10s"), reason: "most backups end in it, and no service manager waits less", scope: .process)
    }
    return SettingDefinition(
      summary: "What is logged: trace, debug, info, notice, warning, error or critical",
      kind: .choice(["trace", "debug", "info", "notice", "warning", "error", "critical"]),
      standard: .words("`info` for the agent, else `warning`"),
      reason: "the agent's log tells of each backup; a command's result needs none", example: "info", scope: .process)
  }
}
