import ArgumentParser

/// When the agent backs up, and what it does beside that.
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
  @Flag(.thin) var thin: Bool?
  @Option(.drillSchedule) var drillSchedule: [String] = []
  @Option(.drillMaxAge) var drillMaxAge: String?
  @Option(.stopGrace) var stopGrace: String?

  /// What the flags of this group say.
  var flags: Layer {
    .flags([
      .mode: mode, .debounce: debounce, .maxDelay: maxDelay, .minInterval: minInterval, .pollInterval: pollInterval,
      .schedule: schedule.isEmpty ? nil : schedule.joined(separator: ";"), .timezone: timezone,
      .quietHours: quietHours, .skipUnchanged: skipUnchanged.map { "\($0)" }, .catchUp: catchUp.map { "\($0)" },
      .drillSchedule: drillSchedule.isEmpty ? nil : drillSchedule.joined(separator: ";"), .drillMaxAge: drillMaxAge,
      .thin: thin.map { "\($0)" }, .stopGrace: stopGrace,
    ])
  }
}
