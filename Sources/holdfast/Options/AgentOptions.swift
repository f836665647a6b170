import ArgumentParser

/// The flags of the agent's activities.
struct AgentOptions: ParsableArguments {
  @OptionGroup(title: "When to back up") var triggers: TriggerOptions
  @Flag(.thin) var thin: Bool?
  @Option(.target) var target: String?
  @OptionGroup(title: "Drills") var drills: DrillOptions
  @Option(.stopGrace) var stopGrace: String?

  /// The settings among the flags.
  var flags: Layer { settingFlags.merging(triggers.settingFlags).merging(drills.settingFlags) }
}

/// When the agent backs up.
struct TriggerOptions: ParsableArguments {
  @Option(.mode) var mode: String?
  @Option(.debounce) var debounce: String?
  @Option(.maxDelay) var maxDelay: String?
  @Option(.minInterval) var minInterval: String?
  @Option(.pollInterval) var pollInterval: String?
  @Option(.schedule) var schedule: [String] = []
  @Option(.timezone) var timezone: String?
  @Option(.quietHours) var quietHours: String?
  @Flag(.skipUnchanged) var skipUnchanged: Bool?
  @Flag(.catchUp) var catchUp: Bool?
}

/// When the agent drills.
struct DrillOptions: ParsableArguments {
  @Option(.drillSchedule) var drillSchedule: [String] = []
  @Option(.drillMaxAge) var drillMaxAge: String?
}

/// Whether a new backup is verified.
struct VerificationOptions: ParsableArguments {
  @Flag(.verifyAfterCreate) var verifyAfterCreate: Bool?

  /// The settings among the flags.
  var flags: Layer { settingFlags }
}

/// The form of a new backup.
struct CreationOptions: ParsableArguments {
  @Flag(.encryptionEnabled) var encryptionEnabled: Bool?
  @Flag(.compressionEnabled) var compressionEnabled: Bool?
  @Option(.compressionLevel) var compressionLevel: String?
  @Option(.cipher) var cipher: String?

  /// The settings among the flags.
  var flags: Layer { settingFlags }
}
