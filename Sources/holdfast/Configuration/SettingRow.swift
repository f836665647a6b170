/// The facts about a setting that example files, help and documentation show.
protocol SettingRow: Sendable {
  /// Its name in `holdfast.toml`.
  var name: String { get }
  var kind: ValueKind { get }
  var standard: SettingDefinition.Standard { get }
  /// Its meaning.
  var summary: String { get }
  /// The reason for the default.
  var reason: String { get }
  /// A value for the example files, if there is no default value.
  var example: String? { get }
}

extension SettingRow {
  /// The default as text; nil if there is no value.
  var standardText: String? {
    guard case .value(let text) = standard else { return nil }
    return text
  }

  /// The default in words, if there is no value.
  var standardWords: String {
    guard case .words(let words) = standard else { return "" }
    return words
  }

  /// The meaning, the default and the reason, as comments of an example file.
  var comments: [String] {
    ["# \(summary).", "# Default: \(standardText ?? standardWords).", "# Why: \(reason)."]
  }
}
