import TestSupport
import Testing

@testable import BackupPolicy

/// The changes that are pending at a shutdown are in one last backup. Timelines of 100 ms a
/// character, as in ``TriggerMachineTests``.
@Suite struct TriggerShutdownTests {
  private func check(
    _ events: String, _ expected: String, settings: TriggerSettings = TriggerSettings(), duration: Int64 = 200,
    outcomes: [Outcome] = [], location: SourceLocation = #_sourceLocation
  ) {
    var diagram = TriggerDiagram(settings, duration: duration, outcomes: outcomes)
    #expect(diagram.run(events, startup: false) == expected, sourceLocation: location)
    #expect(diagram.violations.isEmpty, sourceLocation: location)
  }

  @Test func withNothingPendingItStopsAtOnce() {
    check(
      "---x------",
      "---X------")
  }

  @Test func aChangeInItsQuietPeriodIsBackedUpAtOnce() {
    check(
      "c---x-----",
      "----S-X---")
  }

  @Test func aChangeWaitsForNeitherTheFloorNorThePauseAfterAFailure() {
    check(
      "c--------c-x--------",
      "-----S-----S-X------", settings: TriggerSettings(minInterval: 5000))
    check(
      "c--------x--------",
      "-----S---S-X------", outcomes: [.failed(.busy)])
  }

  @Test func quietHoursDoNotHoldTheLastBackup() throws {
    check(
      "c---------x-----",
      "----------S-X---", settings: TriggerSettings(quietHours: try QuietHours("00:00-23:59")))
  }

  @Test func aRunningBackupIsFollowedByOneForALaterChange() {
    check(
      "c------x----------------",
      "-----S-------------X----", duration: 1400)
    check(
      "c------c-x--------------------------",
      "-----S-------------S-------------X--", duration: 1400)
    // If a change comes after the request to end, the agent does not wait for it without limit.
    check(
      "c--x---c---------",
      "---S----X--------", duration: 500)
  }

  @Test func aRequestBehindARunningBackupIsStillMade() {
    check(
      "c------r-x--------------------------",
      "-----S-------------M-------------X--", duration: 1400)
  }

  @Test func inModeScheduleAChangeIsLeftToTheNextRun() throws {
    check(
      "c---x-----",
      "----X-----",
      settings: TriggerSettings(mode: .schedule, schedules: try TriggerTimes.schedules(["0 2 * * *"])))
  }

  @Test func aLastBackupThatFailsIsNotTriedAgain() {
    for outcome in [Outcome.failed(.busy), .failed(.interrupted), .absent] {
      check(
        "c---x------------------",
        "----S-X----------------", outcomes: [outcome])
    }
    // If a backup was running, it gets its second attempt, unless the grace period ended it.
    check(
      "c-----x----------------",
      "-----S-S-X-------------", outcomes: [.failed(.busy)])
    check(
      "c-----x----------------",
      "-----S-X---------------", outcomes: [.failed(.interrupted)])
  }

  @Test func aLastBackupThatMakesWayGoesOn() {
    check(
      "c---x------------------",
      "----S-S-X--------------", outcomes: [.yielded])
  }

  @Test func aChangeThatIsFoundAfterTheStopIsBackedUpOnce() {
    var machine = TriggerMachine()
    let moment = Moment(wall: Timestamp(milliseconds: 0), monotonic: 0)
    #expect(machine.receive(.shutdown, at: moment) == .stop)
    guard case .start(.change, _) = machine.receive(.change, at: moment) else {
      Issue.record("the change is lost")
      return
    }
    _ = machine.receive(.change, at: moment)
    #expect(machine.receive(.finished(.stored), at: moment) == .stop)
    #expect(machine.status.pending.map(\.trigger) == [.change])
  }

  @Test("Only a failed last backup is tried again, when the agent asks for it")
  func lastBackupAgain() {
    for outcome in [Outcome.stored, .failed(.failed)] {
      var machine = TriggerMachine()
      let moment = Moment(wall: Timestamp(milliseconds: 0), monotonic: 0)
      _ = machine.receive(.change, at: moment)
      guard case .start(.change, _) = machine.receive(.shutdown, at: moment) else {
        Issue.record("the change is lost")
        return
      }
      // It comes too late for the last backup, and is not a reason for another one.
      _ = machine.receive(.change, at: moment)
      #expect(!machine.hasLastBackupFailed)
      #expect(machine.receive(.finished(outcome), at: moment) == .stop)
      #expect(machine.hasLastBackupFailed == (outcome != .stored))
    }
  }

  @Test("The last backup that is tried again ends the machine, whatever its outcome", arguments: [true, false])
  func endAfterRetry(succeeds: Bool) {
    var machine = TriggerMachine()
    let moment = Moment(wall: Timestamp(milliseconds: 0), monotonic: 0)
    _ = machine.receive(.change, at: moment)
    _ = machine.receive(.shutdown, at: moment)
    #expect(machine.receive(.finished(.failed(.failed)), at: moment) == .stop)
    guard case .start(.change, _) = machine.receive(.lastBackupAgain, at: moment) else {
      Issue.record("the change is lost")
      return
    }
    #expect(machine.receive(.finished(succeeds ? .stored : .failed(.failed)), at: moment) == .stop)
    #expect(machine.hasLastBackupFailed == !succeeds && (machine.pendingSince == nil) == succeeds)
  }

  /// At whatever moment the end comes, each change before it is in a backup that began after it.
  @Test(arguments: [1, 2, 3, 5] as [UInt64])
  func noChangeBeforeTheEndIsLost(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    for _ in 0..<500 {
      let settings = TriggerSettings(
        debounce: random.pick([0, 100, 500]), maxDelay: 5000, minInterval: random.pick([0, 1000, 30000]))
      var diagram = TriggerDiagram(settings, duration: random.pick([0, 50, 900, 7000]))
      diagram.send(.startup(changedWhileDown: random.chance(2), lastScheduled: nil))
      var last = Int64.min
      for _ in 0..<Int.random(in: 1..<20, using: &random) {
        diagram.advance(by: random.pick([0, 1, 30, 499, 500, 6000]))
        last = diagram.now
        diagram.send(.change)
      }
      diagram.advance(by: random.pick([0, 1, 30, 499, 500]))
      let end = diagram.now
      diagram.send(.shutdown)
      diagram.advance(by: 20000)
      #expect(diagram.stopped != nil && diagram.violations.isEmpty)
      #expect(diagram.starts.contains { $0.time >= last }, "a change at \(last) is lost")
      #expect(diagram.starts.count { $0.time > end } <= 1)
    }
  }
}
