import TestSupport
import Testing

@testable import BackupPolicy

/// A pause that a person asks for. Timelines of 100 ms a character, as in ``TriggerMachineTests``;
/// `p` is a pause of a second.
@Suite struct TriggerPauseTests {
  private func check(
    _ events: String, _ expected: String, settings: TriggerSettings = TriggerSettings(),
    outcomes: [Outcome] = [], location: SourceLocation = #_sourceLocation
  ) {
    var diagram = TriggerDiagram(settings, outcomes: outcomes)
    #expect(diagram.run(events, startup: false) == expected, sourceLocation: location)
    #expect(diagram.violations.isEmpty, "\(diagram.violations)", sourceLocation: location)
  }

  @Test func aChangeWaitsForTheEndOfThePause() {
    check(
      "-p-c---------------",
      "-----------S-------")
  }

  @Test func aPauseWithoutAChangeEndsByItself() {
    check(
      "-p-------------c--------",
      "--------------------S---")
  }

  @Test func resumeEndsIt() {
    check(
      "-p-c------e-",
      "----------S-")
    check(
      "-e-c--------",
      "--------S---")
  }

  @Test func aSecondPauseReplacesTheFirst() {
    check(
      "-p-c---p---------------",
      "-----------------S-----")
  }

  @Test func aRequestDoesNotWait() {
    check(
      "-p-c-r--------------",
      "-----M--------------")
  }

  @Test func aRunningBackupGoesOn() {
    check(
      "c----p---------c--------",
      "-----S--------------S---")
  }

  @Test func aFailureIsRetriedAfterThePause() {
    check(
      "c-----p--------------",
      "-----S----------S----", settings: TriggerSettings(firstBackoff: 100), outcomes: [.failed(.busy)])
  }

  @Test func theLastBackupIsMadeInAPause() {
    check(
      "-p-c-x---",
      "-----S-X-")
  }

  @Test func aScheduledRunIsMadeUp() throws {
    let settings = TriggerSettings(mode: .schedule, schedules: try TriggerTimes.schedules(["* * * * *"]))
    var diagram = TriggerDiagram(settings)
    _ = diagram.run("-", startup: false)
    diagram.send(.pause(milliseconds: 150_000))
    diagram.advance(by: 149_000)
    #expect(diagram.starts.isEmpty)
    diagram.advance(by: 2_000)
    #expect(diagram.starts.map(\.trigger) == [.scheduled])
    #expect(diagram.violations.isEmpty, "\(diagram.violations)")
  }

  @Test func theStatusTellsItsEnd() {
    var diagram = TriggerDiagram()
    _ = diagram.run("-p-c", startup: false)
    let status = diagram.machine.status
    #expect(status.pausedUntil == Timestamp(milliseconds: 1_700_000_001_100))
    #expect(status.unprotectedSince == Timestamp(milliseconds: 1_700_000_000_300))
    #expect(status.waitingFor == "the end of the pause at 22:13 (holdfast pause)")
    #expect(status.decisions.first?.reason == "paused until 22:13")
    diagram.send(.resume)
    #expect(diagram.machine.status.pausedUntil == nil)
  }
}
