import Testing

@testable import BackupPolicy

/// The wall clock is set; a character is half an hour, the first is 00:00 UTC.
@Suite struct TriggerClockTests {
  private static let hour = TriggerTimes.hour

  private func diagram(
    _ schedules: [String], at start: String = "2026-11-23 00:00:00", zone: ZoneRules = .utc, last: String? = nil,
    outcomes: [Outcome] = []
  ) throws -> TriggerDiagram {
    let settings = TriggerSettings(schedules: try TriggerTimes.schedules(schedules), zone: zone)
    var diagram = TriggerDiagram(settings, outcomes: outcomes)
    diagram.cell = Self.hour / 2
    diagram.origin = TriggerTimes.utc(start)
    diagram.send(.startup(changedWhileDown: false, lastScheduled: last.map(TriggerTimes.utc)))
    return diagram
  }

  @Test func setBackRepeatsNothing() throws {
    var daily = try diagram(["0 2 * * *"])
    #expect(daily.run("-----<------") == "----C-------")
    var hourly = try diagram(["0 * * * *"])
    #expect(hourly.run("-----<--------") == "--C-C---C-C-C-")
    #expect(
      hourly.machine.status.decisions.filter { $0.kind == .notice }.map(\.reason) == [
        "the clock is 1 h behind the latest time seen; runs up to 02:30 are not repeated"
      ])
    #expect(daily.violations.isEmpty && hourly.violations.isEmpty)
  }

  @Test(arguments: [(3 * hour - 1, 1), (3 * hour, 2)])
  func setBackByThreeHoursStartsOver(by: Int64, runs: Int) throws {
    var diagram = try diagram(["0 4 * * *"])
    diagram.advance(to: 5 * Self.hour)
    diagram.setClock(by: -by)
    diagram.advance(to: 10 * Self.hour)
    #expect(diagram.starts.count == runs && diagram.violations.isEmpty)
  }

  @Test func smallStepsBackAddUp() throws {
    var diagram = try diagram(["0 2 * * *"])
    // 02:30, set back six times by an hour, half an hour apart: three hours behind at the fifth.
    #expect(diagram.run("-----<<<<<<--------") == "----C-----------C--")
  }

  @Test func setForwardMissesWhatWasJumpedOver() throws {
    var over = try diagram(["0 2 * * *"])
    over.advance(to: Self.hour)
    over.setClock(by: 3 * Self.hour)
    #expect(over.starts.map(\.reason) == ["made up for the run of 02:00"])
    var before = try diagram(["0 2 * * *"])
    #expect(before.run("->----") == "--C---")
    #expect(before.starts.map(\.reason) == ["scheduled for 02:00"])
  }

  @Test func aClockThatWasWrongForAWhile() throws {
    var diagram = try diagram(["0 2 * * *"])
    diagram.advance(to: Self.hour)
    diagram.setClock(by: 3650 * TriggerTimes.day)
    diagram.advance(by: Self.hour / 4)
    diagram.setClock(by: -3650 * TriggerTimes.day)
    diagram.advance(to: 30 * Self.hour)
    #expect(
      diagram.starts.map(\.reason) == [
        "made up for the run of 2036-11-19 02:00; more than 100 runs were missed",
        "scheduled for 02:00", "scheduled for 02:00",
      ])
    #expect(diagram.violations.isEmpty)
  }

  @Test func theNewestScheduledPointIsOfTheFuture() throws {
    var near = try diagram(["0 * * * *"], last: "2026-11-23 02:00:01")
    #expect(near.run("----------") == "------C-C-")
    var far = try diagram(["0 * * * *"], last: "2027-11-23 02:00:01")
    #expect(far.run("----------") == "--C-C-C-C-")
  }

  @Test func aFailedRunThatIsStillToComeIsLeftToTheClock() throws {
    var diagram = try diagram(["0 2 * * *"], outcomes: [.failed(.busy)])
    diagram.duration = 0
    diagram.advance(to: 2 * Self.hour)
    #expect(diagram.machine.status.pending.map(\.trigger) == [.scheduled])
    diagram.setClock(by: -4 * Self.hour)
    #expect(diagram.machine.status.pending.isEmpty)
    diagram.advance(to: 8 * Self.hour)
    #expect(diagram.starts.map(\.time) == [2 * Self.hour, 6 * Self.hour])
    #expect(diagram.violations.isEmpty)
  }

  @Test func aRunThatCameDueBesideABackupAndIsStillToComeIsLeftToTheClock() throws {
    var diagram = try diagram(["0 2 * * *"])
    diagram.duration = 2 * Self.hour
    diagram.advance(to: Self.hour)
    diagram.send(.requested)
    diagram.advance(to: 2 * Self.hour + 60000)
    diagram.tick()
    diagram.setClock(by: -4 * Self.hour)
    diagram.advance(to: 8 * Self.hour)
    #expect(diagram.starts.map(\.time) == [Self.hour, 6 * Self.hour])
    #expect(diagram.starts.last?.reason == "scheduled for 02:00")
    #expect(diagram.violations.isEmpty)
  }

  /// The computer wakes at 03:30, and the clock would otherwise show 03:50: the run of 03:45 is
  /// still to come.
  @Test func aClockSetBackInSleepLosesNothing() throws {
    var diagram = try diagram(["0,45 * * * *"])
    diagram.origin = Timestamp(milliseconds: diagram.origin.milliseconds - 20 * 60000)
    diagram.advance(to: 230 * 60000, asleepBefore: true)
    diagram.advance(by: 40 * 60000)
    #expect(
      diagram.starts.map(\.reason) == [
        "made up for the run of 03:00; 6 runs were missed", "scheduled for 03:45", "scheduled for 04:00",
      ])
  }

  @Test func pausesGoByTheOtherClock() throws {
    var diagram = try diagram([], outcomes: [.failed(.busy)])
    diagram.duration = 0
    diagram.send(.change)
    diagram.advance(to: 100)
    diagram.setClock(by: -100 * TriggerTimes.day)
    diagram.advance(to: 700)
    diagram.setClock(by: 200 * TriggerTimes.day)
    diagram.advance(to: 5000)
    #expect(diagram.starts.map(\.time) == [500, 1500])
  }

  @Test func pausesGoOnInSleep() throws {
    var diagram = try diagram([])
    diagram.cell = 100
    #expect(diagram.run("c-zzzzzzzzzz-----") == "------------S----")
  }

  /// In spring 02:30 does not exist, in autumn it comes twice.
  @Test(arguments: [
    ("2026-03-28 12:00:00", ["2026-03-29 01:00:00", "2026-03-30 00:30:00"]),
    ("2026-10-24 12:00:00", ["2026-10-25 00:30:00", "2026-10-26 01:30:00"]),
  ])
  func summerTime(start: String, expected: [String]) throws {
    var diagram = try diagram(["30 2 * * *"], at: start, zone: TriggerTimes.berlin)
    diagram.advance(to: 40 * Self.hour)
    #expect(diagram.starts.map(\.wall) == expected.map(TriggerTimes.utc))
    #expect(diagram.skips.isEmpty && diagram.violations.isEmpty)
  }
}
