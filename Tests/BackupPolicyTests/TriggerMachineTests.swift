import Testing

@testable import BackupPolicy

/// Timelines of 100 ms a character; debounce 500 ms, max_delay 5 s and min_interval 1 s unless a test says otherwise.
@Suite struct TriggerMachineTests {
  private func check(
    _ events: String, _ expected: String, settings: TriggerSettings = TriggerSettings(), duration: Int64 = 200,
    outcomes: [Outcome] = [], startup: Bool? = nil, location: SourceLocation = #_sourceLocation
  ) {
    var diagram = TriggerDiagram(settings, duration: duration, outcomes: outcomes)
    #expect(diagram.run(events, startup: startup) == expected, sourceLocation: location)
    #expect(diagram.violations.isEmpty, sourceLocation: location)
  }

  @Test func oneChangeIsOneBackup() {
    check(
      "--c-----------------------------",
      "-------S------------------------")
  }

  @Test func aBurstIsOneBackup() {
    check(
      "c--c---c---cccc-----------------",
      "-------------------S------------")
  }

  @Test func twoBursts() {
    check(
      "c-c-----------c-c--------",
      "-------S-------------S---")
  }

  @Test func noDebounceStartsAtOnce() {
    check(
      "c---------------c---",
      "S---------------S---", settings: TriggerSettings(debounce: 0))
  }

  @Test func aConstantWriterIsBackedUpEveryMaxDelay() {
    check(
      String(repeating: "c", count: 40),
      "----------S---------S---------S---------",
      settings: TriggerSettings(debounce: 500, maxDelay: 1000, minInterval: 500), duration: 0)
  }

  @Test func maxDelayCountsFromTheFirstChange() {
    check(
      "c--c--c--c--c--c--c--c--c-------------",
      "----------S--------------S------------",
      settings: TriggerSettings(debounce: 400, maxDelay: 1000, minInterval: 0), duration: 1500)
  }

  @Test func maxDelayBelowDebounceWins() {
    check(
      "c-------------",
      "---S----------", settings: TriggerSettings(debounce: 1000, maxDelay: 300))
  }

  @Test func minIntervalIsAFloorBetweenStarts() {
    check(
      "c--c------------------",
      "S---------S-----------", settings: TriggerSettings(debounce: 0, minInterval: 1000), duration: 100)
  }

  @Test func changesDuringABackupAreExactlyOneMore() {
    check(
      "c------c-cc-c-----------------------",
      "-----S---------------S--------------", duration: 1600)
  }

  @Test func aChangeJustBeforeTheEndStillWaitsForQuiet() {
    check(
      "c-----------c-----------------------",
      "-----S-----------S------------------", duration: 800)
  }

  /// The effect of a backup on the files is not a change (the watcher's filter), so its end leaves
  /// no pending work.
  @Test(arguments: [Outcome.stored, .unchanged])
  func aBackupNeverTriggersAnother(outcome: Outcome) {
    var diagram = TriggerDiagram(outcomes: [outcome])
    diagram.send(.change)
    diagram.advance(to: 3_600_000)
    #expect(diagram.starts.map(\.time) == [500])
    #expect(diagram.deadline == nil && diagram.machine.deadline == nil)
    for _ in 0..<10 { diagram.send(.tick) }
    #expect(diagram.starts.count == 1 && diagram.violations.isEmpty)
  }

  @Test func idleIsAsleep() {
    var diagram = TriggerDiagram()
    diagram.send(.startup(changedWhileDown: false, lastScheduled: nil))
    diagram.advance(to: 86_400_000)
    #expect(diagram.wakes == 0 && diagram.starts.isEmpty && diagram.deadline == nil)
  }

  @Test func aChangeWhileDownStartsAtOnce() {
    check(
      "----------",
      "S---------", startup: true)
    check(
      "----------",
      "----------", startup: false)
    var diagram = TriggerDiagram()
    diagram.send(.startup(changedWhileDown: true, lastScheduled: nil))
    #expect(diagram.starts.first?.reason == "changed since the newest backup")
  }

  @Test func aRequestWaitsForNothingButARunningBackup() {
    check(
      "r-c-r------------",
      "M---M------------")
    check(
      "c-----r-r-r---------------",
      "-----S---------M----------", duration: 1000)
  }

  @Test func aRequestCoversTheChangesBeforeIt() {
    check(
      "c-r-----------------",
      "--M-----------------")
  }

  @Test func aSecondRequestIsSkipped() {
    var diagram = TriggerDiagram(duration: 1000)
    diagram.send(.requested)
    diagram.send(.requested)
    let moment = Moment(wall: Timestamp(milliseconds: 0), monotonic: 0)
    guard case .skip(let reason) = diagram.machine.receive(.requested, at: moment) else {
      Issue.record("the third request was not skipped")
      return
    }
    #expect(!reason.isEmpty)
  }

  @Test func aFailureIsTriedAgainAfterADoublingPause() {
    var diagram = TriggerDiagram(duration: 0, outcomes: Array(repeating: .failed(.busy), count: 9))
    diagram.send(.change)
    diagram.advance(to: 600_000)
    let times = diagram.starts.map(\.time)
    #expect(zip(times.dropFirst(), times).map { ($0 - $1) / 1000 } == [1, 2, 4, 8, 16, 32, 60, 60, 60])
    #expect(diagram.starts.last?.reason == "trying again after 9 failures")
    #expect(diagram.deadline == nil && diagram.violations.isEmpty)
  }

  @Test func successEndsTheBackoff() {
    var diagram = TriggerDiagram(
      duration: 0, outcomes: [.failed(.ioError), .failed(.ioError), .stored, .failed(.ioError)])
    diagram.send(.change)
    diagram.advance(to: 10_000)
    diagram.send(.change)
    diagram.advance(to: 20_000)
    #expect(diagram.starts.map(\.time) == [500, 1500, 3500, 10_500, 11_500])
    #expect(diagram.starts.last?.reason == "trying again after a failure")
    #expect(diagram.violations.isEmpty)
  }

  @Test func aChangeDoesNotShortenTheBackoff() {
    check(
      "c------c-c-c-------------",
      "-----S---------S---------", duration: 0, outcomes: [.failed(.noSpace)])
  }

  @Test func manyFailuresDoNotOverflow() {
    var diagram = TriggerDiagram(duration: 0, outcomes: Array(repeating: .failed(.failed), count: 200))
    diagram.send(.change)
    diagram.advance(to: 60_000 * 250)
    #expect(diagram.starts.count == 201 && diagram.violations.isEmpty)
  }

  @Test func aFailedRequestIsNotTriedAgain() {
    check(
      "r-------------------------",
      "M-------------------------", outcomes: [.failed(.wrongKey)])
  }

  @Test func aFailedRequestOwesTheChangesItShouldHaveCovered() {
    check(
      "c-r-----------------------",
      "--M---------S-------------", duration: 0, outcomes: [.failed(.busy)])
  }

  @Test func whatItWaitsFor() {
    var diagram = TriggerDiagram(duration: 100, outcomes: [.stored, .failed(.busy)])
    diagram.send(.change)
    #expect(diagram.machine.deadline?.reason == "quiet after a change")
    diagram.advance(to: 600)
    #expect(diagram.starts.last?.reason == "changed, then quiet for 500 ms")
    diagram.send(.change)
    #expect(diagram.machine.deadline?.reason == "the interval between two backups")
    diagram.advance(to: 1600)
    #expect(diagram.machine.deadline?.reason == "the pause after a failure")
    var busy = TriggerDiagram()
    _ = busy.run(String(repeating: "c", count: 49))
    #expect(busy.machine.deadline?.reason == "the longest delay after a change")
    busy.advance(to: 5000)
    #expect(busy.starts.last?.reason == "changing for 5 s without a pause")
  }

  @Test func extremeSettingsAndTimes() {
    let endless = TriggerSettings(
      debounce: .max, maxDelay: .max, minInterval: .max, firstBackoff: .max, maxBackoff: .max)
    for time in [Int64.min, -1, 0, .max] {
      let moment = Moment(wall: Timestamp(milliseconds: time), monotonic: time)
      var machine = TriggerMachine(settings: endless)
      _ = machine.receive(.startup(changedWhileDown: true, lastScheduled: nil), at: moment)
      _ = machine.receive(.finished(.failed(.failed)), at: moment)
      _ = machine.receive(.change, at: moment)
      _ = machine.receive(.shutdown, at: moment)
      // The running one, and the last one for the change after its beginning.
      if machine.status.running != nil { _ = machine.receive(.finished(.stored), at: moment) }
      #expect(machine.receive(.finished(.stored), at: moment) == .stop)
    }
    let negative = TriggerSettings(debounce: -5, maxDelay: .min, minInterval: -1, firstBackoff: -1, maxBackoff: -1)
    check("c----c----", "S----S----", settings: negative)
  }

  @Test func aClockThatGoesBackDoesNotHoldABackupUp() {
    var machine = TriggerMachine()
    let wall = Timestamp(milliseconds: 0)
    #expect(
      machine.receive(.change, at: Moment(wall: wall, monotonic: 10_000)) == .wait(until: Deadline(monotonic: 10_500)))
    #expect(machine.receive(.tick, at: Moment(wall: wall, monotonic: 400)) == .wait(until: Deadline(monotonic: 10_500)))
    guard case .start(.change, _) = machine.receive(.tick, at: Moment(wall: wall, monotonic: 10_500)) else {
      Issue.record("the backup did not start")
      return
    }
  }

  @Test func theWallClockDoesNotMatter() {
    var machine = TriggerMachine()
    let past = Timestamp(milliseconds: .min)
    let future = Timestamp(milliseconds: .max)
    #expect(machine.receive(.change, at: Moment(wall: future, monotonic: 0)) == .wait(until: Deadline(monotonic: 500)))
    #expect(machine.receive(.tick, at: Moment(wall: past, monotonic: 499)) == .wait(until: Deadline(monotonic: 500)))
  }
}
