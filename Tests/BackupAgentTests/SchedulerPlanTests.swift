import BackupEngine
import BackupPolicy
import Testing

@testable import BackupAgent

/// How the library's configuration becomes the agent's.
@Suite struct SchedulerPlanTests {
  private func retention(_ change: (inout BackupSchedulerConfiguration) -> Void) throws -> RetentionPolicy? {
    var configuration = BackupSchedulerConfiguration()
    configuration.timeZone = "Europe/Berlin"
    change(&configuration)
    let engine = try AgentHarness().engine
    return try SchedulerPlan(configuration).agentConfiguration(engine).databases[0].settings.retention
  }

  @Test func rulesGoByTheZoneOfTheConfiguration() throws {
    let policy = try #require(
      try retention {
        $0.retention.keepDaily = 30
        $0.retention.anomalyHold = .seconds(60)
        $0.retentionDays = 7
      })
    var expected = RetentionPolicy(retentionDays: 7, anomalyHold: .seconds(60))
    expected.rules.keepDaily = 30
    expected.zone = try TimeZones.named("Europe/Berlin")
    #expect(policy == expected)
  }

  @Test func withoutARuleNothingIsRemoved() throws {
    #expect(try retention { _ in } == nil)
    #expect(try retention { $0.retention.keepDaily = 0 } == nil)
    #expect(try retention { $0.retention.minFreeSpace = .percent(5) }?.minFreeSpace == .percent(5))
  }
}
