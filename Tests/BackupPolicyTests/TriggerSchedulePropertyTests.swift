import TestSupport
import Testing

@testable import BackupPolicy

/// Random lives of a machine with schedules: changes, requests, failures, yields, sleep, clocks
/// that are set, zones whose clocks change. The test keeps its own account of the calendar.
@Suite struct TriggerSchedulePropertyTests {
  @Test(arguments: [1, 2, 3, 5, 8, 13] as [UInt64])
  func randomLives(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    for life in 0..<20 {
      var world = try TriggerLife(&random)
      world.live(&random)
      let problems = world.problems()
      #expect(
        problems.isEmpty, "seed \(seed), life \(life), \(world.settings.mode) \(world.settings.schedules.map(\.text))")
      if !problems.isEmpty { return }
    }
  }
}
