import Testing

@testable import BackupPolicy

/// Quiet hours, backups that yield, settings that are read again, and the text of the status.
@Suite struct TriggerRuleTests {
  private func diagram(
    at start: String = "2026-11-23 00:00:00", cell: Int64 = 100, outcomes: [Outcome] = [],
    _ change: (inout TriggerSettings) throws -> Void = { _ in }
  ) throws -> TriggerDiagram {
    var settings = TriggerSettings()
    try change(&settings)
    var diagram = TriggerDiagram(settings, outcomes: outcomes)
    diagram.cell = cell
    diagram.origin = TriggerTimes.utc(start)
    return diagram
  }

  /// After a comparison of 400 ms the next change waits for 3.6 s, although it is quiet long
  /// before; a request does not.
  @Test func changesWaitAfterAComparison() {
    func moment(_ time: Int64) -> Moment { Moment(wall: Timestamp(milliseconds: time), monotonic: time) }
    var machine = TriggerMachine(settings: TriggerSettings(debounce: 100, minInterval: 0))
    _ = machine.receive(.startup(changedWhileDown: false, lastScheduled: nil), at: moment(0))
    _ = machine.receive(.change, at: moment(0))
    #expect(machine.deadline?.until.monotonic == 100)
    _ = machine.receive(.tick, at: moment(100))
    _ = machine.receive(.compared(milliseconds: 400), at: moment(500))
    _ = machine.receive(.finished(.stored), at: moment(500))
    _ = machine.receive(.change, at: moment(600))
    #expect(machine.deadline?.until.monotonic == 4100)
    #expect(machine.deadline?.reason == "a comparison of all pages, which is to take a tenth of the time")
    var asked = machine
    #expect(asked.receive(.requested, at: moment(700)) == .start(.manual, reason: "asked for"))
    guard case .start(.change, _) = machine.receive(.tick, at: moment(4100)) else {
      Issue.record("the change does not start")
      return
    }
  }

  // MARK: Quiet hours, half an hour a character from 20:00

  private func night(outcomes: [Outcome] = []) throws -> TriggerDiagram {
    try diagram(at: "2026-11-23 20:00:00", cell: TriggerTimes.hour / 2, outcomes: outcomes) {
      $0.quietHours = try QuietHours("22:00-06:00")
      $0.schedules = try TriggerTimes.schedules(["0 2 * * *"])
    }
  }

  @Test func changesWaitForTheEndOfQuietHours() throws {
    var diagram = try night()
    diagram.machine = TriggerMachine(settings: TriggerSettings(quietHours: try QuietHours("22:00-06:00")))
    #expect(diagram.run("c---c---c-------c-----") == "S-------------------S-")
    #expect(diagram.starts.last?.reason == "held back by the quiet hours (22:00-06:00)")
    #expect(diagram.starts.last?.wall == TriggerTimes.utc("2026-11-24 06:00:00"))
    #expect(diagram.wakes == 2 && diagram.violations.isEmpty)
  }

  @Test func aWaitForTheirEndHasOneTextUntilItEnds() throws {
    var diagram = try night()
    diagram.machine = TriggerMachine(settings: TriggerSettings(quietHours: try QuietHours("22:00-06:00")))
    diagram.send(.startup(changedWhileDown: false, lastScheduled: nil))
    diagram.send(.tick)
    #expect(diagram.machine.quietWait == nil && diagram.machine.waitText == "waiting for an event")
    var texts: [String?] = []
    for hour in [2.0, 3, 5, 9.5, 10.1, 26.5] {
      diagram.advance(to: Int64(hour * Double(TriggerTimes.hour)))
      if hour != 10.1 { diagram.send(.change) }
      texts.append(diagram.machine.quietWait?.text)
    }
    let (first, second) = (Self.wait("2026-11-24 06:00"), Self.wait("2026-11-25 06:00"))
    #expect(texts == [first, first, first, first, nil, second])
    #expect(diagram.machine.waitText == "waiting until 2026-11-25 06:00: the end of the quiet hours (22:00-06:00)")
  }

  private static func wait(_ end: String) -> String {
    "waiting for the end of the quiet hours at \(end): a change is pending, and quiet_hours is 22:00-06:00"
  }

  @Test(arguments: [(Int64(59_000), false), (600_000, true)])
  func aWaitOfAMinuteOrLongerIsLong(interval: Int64, isLong: Bool) {
    func moment(_ time: Int64) -> Moment { Moment(wall: Timestamp(milliseconds: time), monotonic: time) }
    var machine = TriggerMachine(settings: TriggerSettings(debounce: 0, minInterval: interval))
    _ = machine.receive(.startup(changedWhileDown: true, lastScheduled: nil), at: moment(1000))
    _ = machine.receive(.finished(.stored), at: moment(1100))
    #expect(machine.longWait == nil)
    _ = machine.receive(.change, at: moment(1200))
    #expect(machine.longWait?.reason == (isLong ? "the interval between two backups" : nil))
  }

  @Test func aChangeInQuietHoursIsHeldUntilTheirEnd() throws {
    var machine = TriggerMachine(settings: try quiet())
    let (evening, morning) = (TriggerTimes.utc("2026-11-22 23:00:00"), TriggerTimes.utc("2026-11-23 06:00:00"))
    _ = machine.receive(
      .startup(changedWhileDown: false, lastScheduled: nil), at: Moment(wall: evening, monotonic: 0))
    #expect(machine.status.heldUntil == nil && machine.status.waitsUntil == nil)
    _ = machine.receive(.change, at: Moment(wall: evening, monotonic: 1000))
    #expect(machine.status.heldUntil == morning && machine.status.waitsUntil == morning)
    // The running backup has the change, which was not late.
    _ = machine.receive(.tick, at: Moment(wall: morning, monotonic: 25_200_000))
    #expect(machine.status.running != nil && machine.status.heldUntil == morning)
  }

  private func quiet() throws -> TriggerSettings {
    var settings = TriggerSettings()
    settings.quietHours = try QuietHours("22:00-06:00")
    settings.zone = .utc
    return settings
  }

  @Test func aFailureIsRecordedWithItsCauseWithinBounds() {
    func moment(_ time: Int64) -> Moment { Moment(wall: Timestamp(milliseconds: time), monotonic: time) }
    var machine = TriggerMachine()
    _ = machine.receive(
      .startup(changedWhileDown: true, lastScheduled: nil, reason: "there is no backup yet"), at: moment(0))
    #expect(machine.status.decisions.last?.reason == "there is no backup yet")
    let cause = "cannot write /backups/\n" + String(repeating: "long ", count: 200)
    _ = machine.receive(.finished(.failed(.noSpace, cause: cause)), at: moment(10))
    let reason = machine.status.decisions.first { $0.kind == .failure }?.reason ?? ""
    #expect(reason.hasPrefix("the backup failed (no_space): cannot write /backups/\\nlong long"))
    #expect(reason.utf8.count < 450 && reason.hasSuffix("long…"))
  }

  @Test func theTextOfAWaitNamesTheRestOfIt() {
    func moment(_ time: Int64) -> Moment { Moment(wall: Timestamp(milliseconds: time), monotonic: time) }
    var machine = TriggerMachine(settings: TriggerSettings(debounce: 500))
    _ = machine.receive(.startup(changedWhileDown: false, lastScheduled: nil), at: moment(0))
    _ = machine.receive(.change, at: moment(100))
    _ = machine.receive(.tick, at: moment(400))
    #expect(machine.waitText == "waiting for 200 ms: quiet after a change")
  }

  @Test func anAdvisedFullNamesTheTimeThatTheModeGivesIt() throws {
    let advice = FullAdvice(.whenQuiet, chain: PointID(at: Timestamp(milliseconds: 0)), reason: "large")
    var settings = TriggerSettings()
    settings.mode = .change
    #expect(TriggerMachine(settings: settings).time(of: advice) == " at the next quiet time")
    settings.mode = .schedule
    #expect(TriggerMachine(settings: settings).time(of: advice) == " at the next scheduled run")
  }

  @Test func aRunDoesNotWaitForThemAndCoversTheChange() throws {
    var diagram = try night()
    #expect(diagram.run("----c-----------------", startup: false) == "------------C---------")
    var after = try night()
    #expect(after.run("-------------c--------", startup: false) == "------------C-------S-")
  }

  @Test func aRequestDoesNotWaitForThem() throws {
    var diagram = try night()
    #expect(diagram.run("----c-r---", startup: false) == "------M---")
  }

  @Test func aFailureAndTheStartOfTheAgentWaitForThem() throws {
    var failing = try night(outcomes: [.failed(.busy)])
    failing.send(.startup(changedWhileDown: false, lastScheduled: nil))
    failing.advance(to: 2 * TriggerTimes.hour - 600)
    failing.send(.change)
    #expect(failing.run(String(repeating: "-", count: 11)) == "---S-------")
    #expect(failing.machine.status.waitingFor == "the end of the quiet hours (22:00-06:00)")
    var late = try night()
    late.origin = TriggerTimes.utc("2026-11-23 23:00:00")
    #expect(late.run("--------", startup: true) == "------C-")
  }

  @Test func aSetClockEndsThem() throws {
    var diagram = try night()
    diagram.origin = TriggerTimes.utc("2026-11-24 03:00:00")
    diagram.send(.change)
    diagram.setClock(by: 3 * TriggerTimes.hour)
    diagram.advance(by: 500)
    #expect(diagram.starts.map(\.trigger) == [.change])
  }

  // MARK: Yielding to the application

  @Test func aBackupThatMadeWayStartsAgainAtOnce() throws {
    var diagram = try diagram(outcomes: [.yielded])
    #expect(diagram.run("c-----------") == "-----S-S----")
    #expect(diagram.starts.last?.reason == "again, after it yielded to the application")
    #expect(diagram.machine.status.failures == 0 && diagram.violations.isEmpty)
  }

  @Test func twiceInARowThenItIsLetRun() throws {
    var diagram = try diagram(outcomes: [.yielded, .yielded, .stored, .yielded])
    var allowed: [Bool] = []
    diagram.send(.change)
    for _ in 0..<6 {
      diagram.advance(by: diagram.ends == nil ? 500 : 200)
      if diagram.ends != nil { allowed.append(diagram.machine.status.mayYield) }
    }
    #expect(allowed == [true, true, false])
    #expect(diagram.starts.map(\.time) == [500, 700, 900])
    #expect(!diagram.machine.status.mayYield)
    diagram.send(.requested)
    #expect(diagram.machine.status.mayYield)
    #expect(diagram.violations.isEmpty)
  }

  @Test func oneMoreIsAFailure() throws {
    var diagram = try diagram(outcomes: [.yielded, .yielded, .yielded])
    #expect(diagram.run("c---------------------") == "-----S-S-S-----------S")
  }

  @Test func whatMadeWayKeepsItsTrigger() throws {
    var asked = try diagram(outcomes: [.yielded])
    #expect(asked.run("r-----") == "M-M---")
    var run = try diagram(at: "2026-11-23 01:59:59", outcomes: [.yielded]) {
      $0.schedules = try TriggerTimes.schedules(["0 2 * * *"])
    }
    #expect(run.run("---------------", startup: false) == "----------C-C--")
    #expect(run.starts.last?.reason == "again, after it yielded to the application: scheduled for 02:00")
  }

  // MARK: Shutdown

  @Test func anInterruptionByShutdownIsNoFailure() throws {
    var stopping = try diagram(outcomes: [.failed(.interrupted)])
    #expect(stopping.run("c-----x-----") == "-----S-X----")
    #expect(stopping.machine.status.failures == 0)
    #expect(stopping.machine.status.pending.map(\.trigger) == [.change])
    #expect(stopping.machine.status.state == .stopping)
    var running = try diagram(outcomes: [.failed(.interrupted)])
    _ = running.run("c--------")
    #expect(running.machine.status.failures == 1)
  }

  // MARK: Settings that are read again

  @Test func newDeadlinesAtOnce() throws {
    var diagram = try diagram { $0.debounce = 5000 }
    diagram.send(.change)
    #expect(diagram.deadline == Deadline(monotonic: 5000))
    diagram.send(.reload(TriggerSettings(debounce: 700)))
    #expect(diagram.deadline == Deadline(monotonic: 700))
    diagram.send(.reload(TriggerSettings(debounce: 0)))
    #expect(diagram.starts.map(\.time) == [0])
    let kinds = diagram.machine.status.decisions.map(\.kind)
    #expect(kinds == [.wait, .notice, .notice, .start(.change)])
  }

  @Test func aReloadKeepsWhatIsPendingAndTheBackoff() throws {
    var diagram = try diagram(outcomes: [.failed(.busy), .failed(.busy)])
    diagram.duration = 0
    diagram.send(.change)
    diagram.advance(to: 1600)
    diagram.send(.reload(TriggerSettings(debounce: 100)))
    #expect(diagram.machine.status.failures == 2 && diagram.deadline == Deadline(monotonic: 3500))
    diagram.advance(to: 3500)
    #expect(diagram.starts.last?.reason == "trying again after 2 failures")
  }

  @Test func aNewScheduleCountsFromNow() throws {
    var diagram = try diagram(at: "2026-11-23 03:00:00", cell: TriggerTimes.hour / 2)
    diagram.send(.startup(changedWhileDown: false, lastScheduled: nil))
    var settings = TriggerSettings(schedules: try TriggerTimes.schedules(["0 2 * * *", "0 5 * * *"]))
    diagram.send(.reload(settings))
    #expect(diagram.run("------") == "----C-")
    settings.mode = .change
    diagram.send(.reload(settings))
    #expect(diagram.deadline == nil && diagram.machine.status.nextRun == nil)
  }

  @Test func aRunThatCameDueBesideABackupOutlivesAReload() throws {
    var diagram = try diagram(at: "2026-11-23 01:59:59") { $0.schedules = try TriggerTimes.schedules(["0 2 * * *"]) }
    diagram.duration = 2000
    diagram.send(.startup(changedWhileDown: false, lastScheduled: nil))
    diagram.send(.requested)
    diagram.advance(to: 1500)
    diagram.send(.reload(TriggerSettings(schedules: try TriggerTimes.schedules(["0 5 * * *"]))))
    diagram.advance(to: 4000)
    #expect(diagram.starts.map(\.reason) == ["asked for", "scheduled for 02:00"])
  }

  @Test func withoutSchedulesAPendingRunIsDropped() throws {
    var diagram = try diagram(at: "2026-11-23 02:00:00", outcomes: [.failed(.busy)]) {
      $0.schedules = try TriggerTimes.schedules(["0 2 * * *"])
    }
    diagram.send(.startup(changedWhileDown: false, lastScheduled: TriggerTimes.utc("2026-11-22 02:00:00")))
    diagram.advance(to: 300)
    diagram.send(.reload(TriggerSettings(mode: .change)))
    diagram.advance(to: TriggerTimes.day)
    #expect(diagram.starts.count == 1 && diagram.machine.status.pending.isEmpty)
    #expect(
      diagram.machine.status.decisions.last?.reason == "the run of 02:00 was dropped: there is no schedule now")
  }

  // MARK: Status

  @Test func eachTriggerHasItsRules() {
    #expect(BackupType.triggers.filter { !$0.isAlwaysFull } == [.change])
    #expect(BackupType.triggers.filter(\.isVerified) == [.scheduled])
    #expect(BackupType.triggers.filter { !$0.isFollowedByCleanup } == [.manual])
    let skipping = TriggerSettings(skipUnchanged: true)
    #expect(BackupType.triggers.filter { $0.skipsUnchanged(skipping) } == [.scheduled])
    #expect(!BackupType.scheduled.skipsUnchanged(TriggerSettings()))
  }

  @Test func theStatusSaysWhatIsPendingAndWhy() throws {
    var diagram = try diagram(at: "2026-11-23 01:00:00", outcomes: [.failed(.noSpace)]) {
      $0.schedules = try TriggerTimes.schedules(["0 2 * * *"])
    }
    diagram.send(.startup(changedWhileDown: false, lastScheduled: nil))
    var status = diagram.machine.status
    #expect(status.state == .idle && status.pending.isEmpty)
    #expect(status.nextRun == TriggerTimes.utc("2026-11-23 02:00:00"))
    #expect(status.deadline == Deadline(wall: status.nextRun) && status.waitingFor == "the run of 02:00")
    diagram.send(.change)
    diagram.advance(to: 600)
    status = diagram.machine.status
    let began = Timestamp(milliseconds: diagram.origin.milliseconds + 500)
    #expect(status.state == .running && status.deadline == nil && status.mayYield)
    #expect(status.running == .init(trigger: .change, since: began, reason: "changed, then quiet for 500 ms"))
    diagram.advance(to: 700)
    status = diagram.machine.status
    #expect(status.state == .waiting && status.failures == 1 && status.running == nil)
    #expect(status.pending == [.init(trigger: .change, since: diagram.origin, reason: "trying again after a failure")])
    #expect(status.deadline == Deadline(monotonic: 1700, wall: status.nextRun))
    #expect(status.waitingFor == "the pause after a failure")
    #expect(
      status.decisions.map(\.reason) == [
        "quiet after a change", "changed, then quiet for 500 ms",
        "the backup failed (no_space): changed, then quiet for 500 ms", "the pause after a failure",
      ])
    #expect(status.decisions.map(\.kind) == [.wait, .start(.change), .failure, .wait])
    #expect(status.decisions.first?.time == diagram.origin)
  }

  @Test func theLastTwentyDecisionsAreKept() throws {
    var diagram = try diagram { $0.minInterval = 0 }
    diagram.duration = 0
    for _ in 0..<50 {
      diagram.send(.requested)
      diagram.advance(by: 1000)
    }
    let decisions = diagram.machine.status.decisions
    #expect(decisions.count == 20 && decisions.map(\.time) == decisions.map(\.time).sorted())
    #expect(decisions.last?.time == diagram.starts.last?.wall)
  }

  @Test func timeInWhichTheProcessWasStoppedIsNoComparison() {
    #expect(ComparisonCost.counted(300, bytes: 4096) == 300)
    #expect(ComparisonCost.counted(15_000, bytes: 4096) == 1001)
    #expect(ComparisonCost.counted(400_000, bytes: 4 << 30) == 400_000)
    #expect(ComparisonCost.counted(8 * 3_600_000, bytes: 4 << 30) < 1_100_000)
    #expect(ComparisonCost.counted(5000, bytes: -1) == 1000)
  }
}
