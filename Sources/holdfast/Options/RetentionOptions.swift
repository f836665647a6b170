import ArgumentParser
import BackupPolicy

/// Which points stay.
struct RetentionOptions: ParsableArguments {
  @Option(quota: .keepLast, alias: "keep-last") var keep: String?
  @Option(quota: .keepHourly) var keepHourly: String?
  @Option(quota: .keepDaily) var keepDaily: String?
  @Option(quota: .keepWeekly) var keepWeekly: String?
  @Option(quota: .keepMonthly) var keepMonthly: String?
  @Option(quota: .keepYearly) var keepYearly: String?
  @Option(.keepWithin) var keepWithin: String?
  @Option(.keepWithinHourly) var keepWithinHourly: String?
  @Option(.keepWithinDaily) var keepWithinDaily: String?
  @Option(.keepWithinWeekly) var keepWithinWeekly: String?
  @Option(.keepWithinMonthly) var keepWithinMonthly: String?
  @Option(.keepWithinYearly) var keepWithinYearly: String?
  @Option(.keepTag) var keepTag: [String] = []

  // Numbers, not text like other settings' flags: it is the policy that refuses to keep none, and says why.
  @Option(help: ArgumentHelp("Keep what is younger than N days (BACKUP_RETENTION_DAYS).", valueName: "n"))
  var retentionDays: Int?

  @Option(help: ArgumentHelp("Keep at most N (BACKUP_MAX_BACKUPS).", valueName: "n"))
  var maxBackups: Int?

  @Option(.anomalyHold) var anomalyHold: String?
  @Option(.minFreeSpace) var minFreeSpace: String?

  /// What the flags say that are settings of their own; rules are not, for they replace each other as a whole.
  var flags: Layer { .flags([.anomalyHold: anomalyHold, .minFreeSpace: minFreeSpace]) }
}

extension RetentionOptions {
  /// The rules that flags give.
  private var rules: Layer {
    .flags([
      .keepLast: keep, .keepHourly: keepHourly, .keepDaily: keepDaily, .keepWeekly: keepWeekly,
      .keepMonthly: keepMonthly, .keepYearly: keepYearly, .keepWithin: keepWithin,
      .keepWithinHourly: keepWithinHourly, .keepWithinDaily: keepWithinDaily, .keepWithinWeekly: keepWithinWeekly,
      .keepWithinMonthly: keepWithinMonthly, .keepWithinYearly: keepWithinYearly,
      .keepTag: keepTag.isEmpty ? nil : keepTag.joined(separator: ";"),
    ])
  }

  /// Whether flags replace the rules that are configured.
  var replaceRules: Bool { !rules.values.isEmpty || retentionDays != nil || maxBackups != nil }

  /// The rules, or nil where there are none. Flags replace what is configured as a whole: `--keep 5` means five, whatever
  /// `retention_days` would keep besides.
  ///
  /// - Throws: `refused` where flags are given and keep nothing, `usage` for a value that does not fit.
  func policy(_ settings: Settings) throws -> RetentionPolicy? {
    guard replaceRules else { return try Self.configured(settings) }
    var chosen = try Self.rules(Settings(layers: [rules], folders: settings.folders))
    (chosen.retentionDays, chosen.maxBackups) = (retentionDays, maxBackups)
    guard !chosen.isEmpty else {
      throw HoldfastError(
        .refused, "nothing was removed: what to keep must be something, and by these rules all backups would go",
        hint: "give one of the rules at least 1; holdfast delete removes single backups")
    }
    return try Self.policy(chosen, settings)
  }

  /// The rules without flags, or nil where there are none.
  static func configured(_ settings: Settings) throws -> RetentionPolicy? {
    let policy = try policy(rules(settings), settings)
    return policy.rules.isEmpty && policy.minFreeSpace == nil ? nil : policy
  }

  private static func policy(_ rules: RetentionRules, _ settings: Settings) throws -> RetentionPolicy {
    // Rounded up: only 0 means never.
    let hold = (try settings.milliseconds(.anomalyHold) + 999) / 1000
    var policy = RetentionPolicy(rules, anomalyHold: hold, minFreeSpace: try settings.freeSpace(.minFreeSpace))
    if !rules.isEmpty { policy.zone = try settings.zone() }
    return policy
  }

  static func rules(_ settings: Settings) throws -> RetentionRules {
    var rules = RetentionRules()
    rules.keepLast = try settings.integer(.keepLast)
    rules.keepHourly = try settings.integer(.keepHourly)
    rules.keepDaily = try settings.integer(.keepDaily)
    rules.keepWeekly = try settings.integer(.keepWeekly)
    rules.keepMonthly = try settings.integer(.keepMonthly)
    rules.keepYearly = try settings.integer(.keepYearly)
    rules.keepWithin = try settings.span(.keepWithin)
    rules.keepWithinHourly = try settings.span(.keepWithinHourly)
    rules.keepWithinDaily = try settings.span(.keepWithinDaily)
    rules.keepWithinWeekly = try settings.span(.keepWithinWeekly)
    rules.keepWithinMonthly = try settings.span(.keepWithinMonthly)
    rules.keepWithinYearly = try settings.span(.keepWithinYearly)
    rules.keepTags = try settings.tagLists(.keepTag)
    rules.retentionDays = try settings.integer(.retentionDays)
    rules.maxBackups = try settings.integer(.maxBackups)
    return rules
  }
}
