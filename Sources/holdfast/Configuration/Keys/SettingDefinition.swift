/// One row of the table of settings.
struct SettingDefinition: Sendable {
  enum Flag: Sendable {
    /// The setting's name with dashes.
    case sameName
    case named(String)
    case none
  }

  enum Scope: Sendable {
    /// For all databases alike.
    case process
    /// A `[[databases]]` table may override it.
    case database
    /// Like ``process``, and never in `holdfast.toml`, nor shown.
    case secret
  }

  /// What is unset: nothing is said, or what happens then.
  enum Standard: Sendable {
    /// A value, as it would stand in the environment.
    case value(String)
    /// No value; in words, what is done without one.
    case words(String)
  }

  /// What it means; the help of its flag.
  var summary: String
  var kind: ValueKind
  var standard: Standard
  /// Why this default.
  var reason: String
  /// A value for the example, where the default is none.
  var example: String?
  /// Where it is not `BACKUP_` and the name in capitals.
  var variable: String?
  var flag = Flag.sameName
  var scope = Scope.database

  /// The default as text; nil where there is no value.
  var standardText: String? {
    guard case .value(let text) = standard else { return nil }
    return text
  }

  /// The default in words, where there is no value.
  var standardWords: String {
    guard case .words(let words) = standard else { return "" }
    return words
  }
}
