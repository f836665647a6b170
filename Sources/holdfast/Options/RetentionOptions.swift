import ArgumentParser
import BackupPolicy

/// The rules for keeping backups.
struct RetentionOptions: ParsableArguments {
  @Option(quota: .keepLast, alias: "keep-last") var keepLast: String?
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
  // Numbers, not text like the flags of other settings: if nothing would be kept, the policy
  // refuses and gives the reason.
  @Option(.retentionDays) var retentionDays: Int?
  @Option(.maxBackups) var maxBackups: Int?
  @Option(.anomalyHold) var anomalyHold: String?
  @Option(.minFreeSpace) var minFreeSpace: String?

  /// The settings among the flags without the rules, because rules replace each other as a whole.
  var flags: Layer { settingFlags.filter { !$0.definition.isRule } }

  private var rules: Layer { settingFlags.filter(\.definition.isRule) }

  /// Whether flags replace the configured rules.
  var replaceRules: Bool { !rules.values.isEmpty || retentionDays != nil || maxBackups != nil }

  /// The rules; nil if there are none. Flags replace all configured rules: `--keep 5` means five,
  /// even if `retention_days` would keep more.
  ///
  /// - Throws: `refused` if flags are given and keep nothing, `usage` for a value that is not
  ///   valid.
  func policy(_ settings: Settings) throws -> RetentionPolicy? {
    guard replaceRules else { return try settings.retention() }
    for (key, value) in [(SettingKey.retentionDays, retentionDays), (.maxBackups, maxBackups)] {
      guard let value, value < 0 else { continue }
      throw HoldfastError(
        .usage, "--\(key.flag ?? key.name) must not be negative, and is \(value)",
        hint: "use a whole number of at least 1")
    }
    var chosen = try Settings(layers: [rules], folders: settings.folders).retentionRules()
    (chosen.retentionDays, chosen.maxBackups) = (retentionDays, maxBackups)
    guard !chosen.isEmpty else {
      throw HoldfastError(
        .refused, "nothing was removed: these rules keep no backup, so all would be removed",
        hint: "give one of the rules at least 1; holdfast delete removes single backups")
    }
    return try settings.retention(by: chosen)
  }
}
