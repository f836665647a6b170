import BackupEngine
import BackupPolicy

/// The settings of one database, or outside of databases: layers, of which the first one with a
/// value wins, then the defaults.
///
/// A value is checked when it is read, so that a wrong one matters only to the commands that use
/// it: a mistyped `debounce` must not prevent a restore.
struct Settings: Sendable {
  /// Flags, environment, `.env`, the database's own table, the top of `holdfast.toml`.
  let layers: [Layer]
  let folders: StandardFolders
  /// The assertions of drills, for this database or for all.
  var assertions: [ConfiguredAssertion] = []
  /// The tables of targets, for all databases or for this one, in the order of the file.
  var targetTables: [TargetTable] = []

  /// The value that counts, with its origin; nil if it is not set.
  func given(_ key: SettingKey) -> Given? {
    for layer in layers {
      if let given = layer[key] { return given }
    }
    return nil
  }

  func origin(_ key: SettingKey) -> Origin { given(key)?.origin ?? .standard }

  /// The value; nil if it is not set and the table has no default.
  ///
  /// - Throws: `usage` with the place of a value that does not fit.
  func value(_ key: SettingKey) throws -> SettingValue? {
    if let given = given(key) {
      let value = try given.value(of: key.definition.kind)
      return value == .none ? nil : value
    }
    return try key.definition.standardText.map { try key.definition.kind.read(.untyped($0)) }
  }

  func boolean(_ key: SettingKey) throws -> Bool {
    guard case .boolean(let value) = try value(key) else { throw Self.mismatch(key) }
    return value
  }

  /// Nil if there is no value.
  func integer(_ key: SettingKey) throws -> Int? {
    switch try value(key) {
    case .integer(let value): value
    case nil: nil
    default: throw Self.mismatch(key)
    }
  }

  func milliseconds(_ key: SettingKey) throws -> Int64 {
    guard case .milliseconds(let value) = try value(key) else { throw Self.mismatch(key) }
    return value
  }

  /// Nil if there is no value.
  func freeSpace(_ key: SettingKey) throws -> FreeSpace? {
    switch try value(key) {
    case .freeSpace(let value): value
    case nil: nil
    default: throw Self.mismatch(key)
    }
  }

  /// One of the choices; nil if there is no value.
  func choice<Choice: RawRepresentable<String>>(_ key: SettingKey, of _: Choice.Type = Choice.self) throws -> Choice? {
    switch try value(key) {
    case .text(let text):
      guard let choice = Choice(rawValue: text) else { throw Self.mismatch(key) }
      return choice
    case nil: return nil
    default: throw Self.mismatch(key)
    }
  }

  /// A path that this process can use; nil if there is no value.
  func path(_ key: SettingKey) throws -> String? {
    guard let given = given(key), case .text(let text) = try value(key) else { return nil }
    return try PathResolution(folders: folders).path(text, given.origin)
  }

  /// A bug: the row in the table has another kind than its reader expects. The tests read every
  /// setting.
  static func mismatch(_ key: SettingKey) -> HoldfastError {
    HoldfastError(.failed, "internal error: the setting \(key.name) does not have the kind that its reader expects")
  }
}

// Values with readers of their own.
extension Settings {
  func schedules(_ key: SettingKey = .schedule) throws -> [CronSchedule] {
    guard case .schedules(let schedules) = try value(key) else { return [] }
    return schedules
  }

  func quietHours() throws -> QuietHours? {
    guard case .quietHours(let hours) = try value(.quietHours) else { return nil }
    return hours
  }

  func zone() throws -> ZoneRules {
    guard case .zone(let zone) = try value(.timezone) else {
      return try TimeZones.local(TZ: folders.variable("TZ"))
    }
    return zone
  }

  /// - Throws: `usage` if only schedules start backups and there is no schedule.
  func mode() throws -> TriggerMode {
    let hasSchedule = try !schedules().isEmpty
    let mode: TriggerMode = try choice(.mode) ?? (hasSchedule ? .hybrid : .change)
    guard mode != .schedule || hasSchedule else {
      throw ConfigurationProblem(
        at: origin(.mode), "is schedule, but there is no schedule",
        hint: "set a schedule, such as schedule = \"0 2 * * *\", or mode = \"change\""
      ).error
    }
    return mode
  }
}

// Drills.
extension Settings {
  /// The assertions of drills for a database.
  ///
  /// - Parameter name: the database's; nil if no database is named.
  func assertions(of name: String?) -> [DrillAssertion] {
    assertions.filter { $0.database == nil || $0.database?.raw.text == name }.map(\.assertion)
  }

  /// The schedule of drills, and the age at which the last drill no longer counts.
  func drillSettings() throws -> DrillSettings {
    DrillSettings(
      schedules: try schedules(.drillSchedule), zone: try zone(), catchUp: try boolean(.catchUp),
      maxAge: try drillAge())
  }

  /// Seconds; nil if it is not set, so that the schedule decides.
  private func drillAge() throws -> Int64? {
    guard case .milliseconds(let age) = try value(.drillMaxAge) else { return nil }
    return age / 1000
  }
}

// Retention.
extension Settings {
  /// The policy of the configured rules; nil if no rule is set.
  func retention() throws -> RetentionPolicy? {
    let policy = try retention(by: retentionRules())
    return policy.rules.isEmpty && policy.minFreeSpace == nil ? nil : policy
  }

  /// The policy of other rules than the configured ones.
  func retention(by rules: RetentionRules) throws -> RetentionPolicy {
    // Rounded up: only 0 means never.
    let hold = (try milliseconds(.anomalyHold) + 999) / 1000
    var policy = RetentionPolicy(rules, anomalyHold: .seconds(hold), minFreeSpace: try freeSpace(.minFreeSpace))
    if !rules.isEmpty { policy.zone = try zone() }
    return policy
  }

  /// The configured rules.
  func retentionRules() throws -> RetentionRules {
    var rules = RetentionRules()
    for row in SettingTable.rows {
      guard case .rule(let kind) = row.use else { continue }
      rules[kind] = try amount(row.key)
    }
    return rules
  }

  private func amount(_ key: SettingKey) throws -> KeepRule.Amount? {
    try value(key).map { value in
      guard let amount = KeepRule.Amount(value) else { throw Self.mismatch(key) }
      return amount
    }
  }
}

extension KeepRule.Amount {
  /// Nil for a value that is no amount of a rule.
  init?(_ value: SettingValue) {
    switch value {
    case .integer(let count): self = .count(count)
    case .span(let span): self = .span(span)
    case .tagLists(let lists): self = .tags(lists)
    default: return nil
    }
  }
}

extension ArchiveOptions {
  /// As it is configured.
  ///
  /// - Throws: `usage` for a value that does not fit.
  init(_ settings: Settings) throws {
    self.init()
    encrypt = try settings.boolean(.encryptionEnabled)
    compress = try settings.boolean(.compressionEnabled)
    level = try settings.integer(.compressionLevel).flatMap(CompressionLevel.init) ?? level
    cipher = try settings.choice(.cipher) ?? cipher
  }
}

/// Resolves the paths in settings.
///
/// In a file, paths are relative to the file's folder and `~/` is the home folder; on the command
/// line and in the environment they are relative to the working directory, and the shell replaces
/// `~`. If it did not, that is an error, because a folder of that name is not intended.
struct PathResolution {
  let folders: StandardFolders

  /// - Throws: `usage` for a `~` that cannot be followed.
  func path(_ text: String, _ origin: Origin) throws -> String {
    if text == "~" || text.hasPrefix("~/") { return try inHome(text, origin) }
    if text.hasPrefix("~"), origin.file != nil {
      throw problem(text, origin, "only ~/ is replaced here", hint: "write the full path")
    }
    guard let file = origin.file, !text.hasPrefix("/"), file.parentPath != "." else { return text }
    return file.parentPath == "/" ? "/\(text)" : "\(file.parentPath)/\(text)"
  }

  private func inHome(_ text: String, _ origin: Origin) throws -> String {
    guard origin.file != nil else {
      throw problem(
        text, origin, "the shell did not replace the ~",
        hint: origin.isFlag
          ? "put a space before it instead of =, or write ./\(text) if that is its name" : "write the full path")
    }
    guard let home = folders.home else {
      throw problem(text, origin, "there is no home folder", hint: "set HOME, or write the full path")
    }
    return home + text.dropFirst()
  }

  private func problem(_ text: String, _ origin: Origin, _ why: String, hint: String) -> HoldfastError {
    ConfigurationProblem(at: origin, "is \"\(text.shortened)\", but \(why)", hint: hint).error
  }
}
