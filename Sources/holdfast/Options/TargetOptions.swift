import ArgumentParser

/// A target beside the configured ones.
struct TargetOptions: ParsableArguments {
  @Option(.target) var target: String?

  /// The settings among the flags.
  var flags: Layer { settingFlags }

  /// If no target is configured.
  static let advice = "write a [[targets]] table into holdfast.toml, or use --target URL"
}
