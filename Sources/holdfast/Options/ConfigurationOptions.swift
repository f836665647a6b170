import ArgumentParser

/// Which files are read.
struct ConfigurationOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      The configuration file (HOLDFAST_CONFIG; default: the first of holdfast.toml, ~/.config/holdfast/holdfast.toml and \
      /etc/holdfast/holdfast.toml).
      """, valueName: "path"))
  var config: String?

  @Option(help: ArgumentHelp("The file of environment variables (default: .env, where it exists).", valueName: "path"))
  var envFile: String?

  /// Reads them.
  func configuration(_ flags: Layer) throws -> Configuration {
    try Configuration(flags: flags, file: config, envFile: envFile, environment: .current)
  }
}
