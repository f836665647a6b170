import BackupPolicy

/// One row of the table of settings.
struct SettingDefinition: SettingRow {
  enum Flag: Sendable {
    /// The setting's name with dashes.
    case sameName
    case named(String)
    case none
  }

  enum Scope: Sendable {
    /// One value for all databases.
    case process
    /// A `[[databases]]` table may override it.
    case database
    /// Like ``process``, but never in `holdfast.toml` and never shown.
    case secret
  }

  /// The default.
  enum Standard: Sendable {
    /// A value, as the environment would have it.
    case value(String)
    /// No value; the words describe the behaviour.
    case words(String)
  }

  /// The reader of the value.
  enum Use: Sendable {
    /// A part of the program that reads it by its key.
    case byKey
    /// The agent: the property of its settings that gets the value.
    case agent(AgentProperty)
    /// A rule of retention.
    case rule(KeepRule.Kind)
  }

  let key: SettingKey
  let kind: ValueKind
  let standard: Standard
  /// Its meaning; also the help of its flag.
  let summary: String
  /// The reason for the default.
  let reason: String
  /// A value for the example files, if there is no default value.
  let example: String?
  /// Its variable, if that is not `BACKUP_` and the name in capitals.
  let variable: String?
  let flag: Flag
  let scope: Scope
  let use: Use
  var name: String { key.name }

  init(
    _ key: SettingKey, _ kind: ValueKind, _ standard: Standard, _ summary: String, because reason: String,
    example: String? = nil, variable: String? = nil, flag: Flag = .sameName, scope: Scope = .database, use: Use = .byKey
  ) {
    (self.key, self.kind, self.standard, self.summary, self.reason) = (key, kind, standard, summary, reason)
    (self.example, self.variable, self.flag, self.scope, self.use) = (example, variable, flag, scope, use)
  }

  var isRule: Bool {
    if case .rule = use { true } else { false }
  }
}

// A key and its row.
extension SettingKey {
  var definition: SettingDefinition { SettingTable.row(self) }

  /// The name in `holdfast.toml`; with a dot, that of a table and of a key in it.
  var name: String { rawValue }

  /// The environment variable, also in `.env`.
  var variable: String {
    let name = rawValue.uppercased().replacing(".", with: "_")
    return definition.variable ?? (name.hasPrefix("BACKUP_") ? name : "BACKUP_\(name)")
  }

  /// The flag, without its dashes; nil if there is none.
  var flag: String? {
    switch definition.flag {
    case .named(let name): name
    case .sameName: rawValue.replacing("_", with: "-").replacing(".", with: "-")
    case .none: nil
    }
  }

  /// The flag as it is typed: `--max-delay`.
  var flagText: String? { flag.map { "--\($0)" } }

  /// Whether it must not be in `holdfast.toml` and is never shown.
  var isSecret: Bool { definition.scope == .secret }

  /// Whether a `[[databases]]` table may override it.
  var isPerDatabase: Bool { definition.scope == .database }

  static func named(_ name: String) -> SettingKey? { SettingKey(rawValue: name) }
  static func of(variable: String) -> SettingKey? { allCases.first { $0.variable == variable } }
  /// The settings that `holdfast.toml` may contain.
  static var inFiles: [SettingKey] { allCases.filter { !$0.isSecret } }
}
