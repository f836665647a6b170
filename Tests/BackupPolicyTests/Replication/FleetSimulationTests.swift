import Testing

@testable import BackupPolicy

@Suite("A fleet on one bucket")
struct FleetSimulationTests {
  private static func fleet(_ change: (inout FleetSimulation.Settings) -> Void = { _ in }) -> FleetSimulation {
    var settings = FleetSimulation.Settings(devices: 200)
    change(&settings)
    return FleetSimulation(settings)
  }

  @Test("Every change is a put without an interval")
  func everyChange() {
    #expect(Self.fleet().putsOfDay == 200 * 480)
  }

  @Test("An interval divides the puts", arguments: [(600, 48...49), (3600, 8...9)] as [(Int64, ClosedRange<Int>)])
  func interval(seconds: Int64, each: ClosedRange<Int>) {
    let fleet = Self.fleet { $0.interval = seconds }
    #expect((200 * each.lowerBound...200 * each.upperBound).contains(fleet.putsOfDay))
    #expect(fleet.requestsOfMonth.puts > Int64(fleet.putsOfDay) * 30)
    #expect(fleet.objects == Int64(fleet.putsOfDay) * 30 + 1000)
  }

  @Test("After an outage each device sends one archive, spread over the time that is set for it")
  func outage() throws {
    let fleet = Self.fleet {
      $0.outage = 3600..<7200
      $0.spread = 900
    }
    #expect(fleet.peak(3600..<7200) == 0)
    let recovery = try #require(fleet.recovery)
    #expect(recovery == 7200..<8100)
    // 200 devices in 900 seconds, and their ordinary 200 a minute as they come back.
    #expect(fleet.peak(recovery) < 25)
    let atOnce = Self.fleet {
      $0.outage = 3600..<7200
      $0.spread = 1
    }
    #expect(atOnce.peak(7200..<7201) >= 200)
    #expect(fleet.putsOfDay < Self.fleet().putsOfDay)
  }

  @Test("The same settings give the same day")
  func pure() {
    #expect(Self.fleet { $0.interval = 600 } == Self.fleet { $0.interval = 600 })
    #expect(Self.fleet { $0.devices = 0 }.putsOfDay == 0)
  }
}
