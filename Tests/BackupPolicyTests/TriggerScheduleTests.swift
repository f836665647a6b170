import Testing

@testable import BackupPolicy

/// Scheduled runs: the machine starts at 00:00 (UTC) of a Monday, and a character is half an hour unless a test says otherwise.
@Suite struct TriggerScheduleTests {
  private static let half = TriggerTimes.hour / 2

  private func diagram(
    _ mode: TriggerMode = .hybrid, _ schedules: [String] = ["0 2 * * *"], at start: String = "2026-11-23 00:00:00",
    cell: Int64 = half, outcomes: [Outcome] = [], change: (inout TriggerSettings) -> Void = { _ in }
  ) throws -> TriggerDiagram {
    var settings = TriggerSettings(mode: mode, schedules: try TriggerTimes.schedules(schedules))
    change(&settings)
    var diagram = TriggerDiagram(settings, outcomes: outcomes)
    diagram.cell = cell
    diagram.origin = TriggerTimes.utc(start)
    return diagram
  }

  private func check(
    _ diagram: TriggerDiagram, _ events: String, _ expected: String, reasons: [String]? = nil, skips: [String] = [],
    last: String? = nil, location: SourceLocation = #_sourceLocation
  ) {
    var diagram = diagram
    #expect(
      diagram.run(events, startup: false, lastScheduled: last.map(TriggerTimes.utc)) == expected,
      sourceLocation: location)
    if let reasons { #expect(diagram.starts.map(\.reason) == reasons, sourceLocation: location) }
    #expect(diagram.skips == skips, sourceLocation: location)
    #expect(diagram.violations.isEmpty, sourceLocation: location)
  }

  // MARK: Modes

  @Test func aRunStartsAtItsTime() throws {
    check(
      try diagram(),
      "--------",
      "----C---", reasons: ["scheduled for 02:00"])
  }

  @Test func eachModeListensToItsOwn() throws {
    check(
      try diagram(.change),
      "c----c--",
      "S----S--")
    check(
      try diagram(.schedule),
      "c----c--",
      "----C---", skips: ["in mode schedule a change does not start a backup; the next scheduled run will include it"])
    check(
      try diagram(.hybrid),
      "c----c--",
      "S---CS--")
  }

  @Test func aRequestCountsInEveryMode() throws {
    for mode in TriggerMode.allCases {
      var diagram = try diagram(mode)
      #expect(diagram.run("-r--") == "-M--")
    }
  }

  @Test func schedulesThatCoincideAreOneRun() throws {
    check(
      try diagram(.hybrid, ["0 2 * * *", "0 */2 * * *", "0,30 2 * * mon"]),
      "-----------",
      "----CC--C--")
  }

  // MARK: A run and a change

  @Test func aRunCoversTheChangesBeforeIt() throws {
    check(
      try diagram(at: "2026-11-23 01:59:59", cell: 100),
      "------c---------------------",
      "----------C-----------------")
  }

  @Test func aChangeDuringARunIsOneMore() throws {
    check(
      try diagram(at: "2026-11-23 01:59:59", cell: 100),
      "----------cc----------------",
      "----------C---------S-------")
  }

  /// Both would start within `min_interval`.
  @Test func aChangeWaitsForARunThatIsNear() throws {
    var near = try diagram(at: "2026-11-23 01:59:59", cell: 100)
    check(
      near,
      "c---------------------------",
      "----------C-----------------")
    near.send(.startup(changedWhileDown: false, lastScheduled: nil))
    near.send(.change)
    near.advance(to: 500)
    #expect(near.machine.deadline?.reason == "the run of 02:00, which will include the change")
    check(
      try diagram(at: "2026-11-23 01:59:58", cell: 100),
      "c---------------------------",
      "-----S--------------C-------")
    check(
      try diagram(at: "2026-11-23 01:59:59", cell: 100) { $0.maxDelay = 900 },
      "c---------------------------",
      "-----S----C-----------------")
  }

  @Test func aRunDoesNotWaitForTheFloor() throws {
    check(
      try diagram(at: "2026-11-23 01:59:59", cell: 100) { $0.minInterval = 60000 },
      "r--------------",
      "M---------C----")
  }

  // MARK: Missed runs

  @Test func aRunMissedInSleepIsMadeUpOnce() throws {
    check(
      try diagram(),
      "--zzzzzzzz----",
      "----------C---", reasons: ["made up for the run of 02:00"])
    check(
      try diagram(.hybrid, ["0 * * * *"]),
      "-zzzzzz--",
      "-------CC", reasons: ["made up for the run of 03:00; 3 runs were missed", "scheduled for 04:00"])
  }

  @Test func runsBeforeAPunctualOneAreNamed() throws {
    check(
      try diagram(.hybrid, ["0 * * * *"]),
      "-zzz--",
      "----C-", reasons: ["scheduled for 02:00; 1 run before it was missed"])
    var long = try diagram(.hybrid, ["* * * * *"])
    long.send(.startup(changedWhileDown: false, lastScheduled: nil))
    for (minutes, missed) in [(100, "99 runs"), (101, "more than 100 runs"), (500, "more than 100 runs")] {
      long.advance(to: long.now + Int64(minutes) * TriggerTimes.minute, asleepBefore: true)
      #expect(long.starts.last?.reason.hasSuffix("; \(missed) before it were missed") == true)
      long.advance(by: 1000)
      long.advance(by: TriggerTimes.minute - long.now % TriggerTimes.minute)
    }
  }

  @Test func withoutCatchUpAMissedRunIsSkipped() throws {
    check(
      try diagram { $0.catchUp = false },
      "--zzzzzzzz----",
      "--------------", skips: ["the run of 02:00 was missed, and catch_up is off"])
    check(
      try diagram(.hybrid, ["0 * * * *"]) { $0.catchUp = false },
      "-zzzzzz--",
      "--------C", skips: ["the run of 03:00 was missed (3 runs in all), and catch_up is off"])
  }

  @Test func aMinuteLateIsOnTime() throws {
    for (late, expected) in [(60000, ["scheduled for 02:00"]), (60001, [])] as [(Int64, [String])] {
      var diagram = try diagram(at: "2026-11-23 02:00:00") { $0.catchUp = false }
      diagram.send(.startup(changedWhileDown: false, lastScheduled: TriggerTimes.utc("2026-11-22 02:00:00")))
      var slept = try self.diagram(at: "2026-11-23 01:59:59") { $0.catchUp = false }
      slept.send(.startup(changedWhileDown: false, lastScheduled: nil))
      slept.advance(to: 1000 + late, asleepBefore: true)
      #expect(slept.starts.map(\.reason) == expected)
      #expect(slept.skips.isEmpty != expected.isEmpty)
    }
  }

  @Test func aRunMissedWhileDownIsMadeUp() throws {
    let late = try diagram(at: "2026-11-23 05:00:00")
    check(late, "--", "C-", reasons: ["made up for the run of 02:00"], last: "2026-11-22 02:00:01")
    check(
      late, "--", "C-", reasons: ["made up for the run of 02:00; 4 runs were missed"], last: "2026-11-19 02:00:01")
    check(late, "--", "--", last: "2026-11-23 02:00:01")
    check(late, "--", "--", last: nil)
    check(
      try diagram(.hybrid, ["*/5 * * * *"], at: "2026-11-23 05:03:00", cell: 1000), "-", "C",
      reasons: ["made up for the run of 05:00; more than 100 runs were missed"], last: "2023-01-01 00:00:00")
    check(
      try diagram(.hybrid, ["* * * 1 *"], at: "2026-11-23 05:03:00"), "-", "C",
      reasons: ["made up for the run of 2026-01-31 23:59; more than 100 runs were missed"], last: "2025-12-01 00:00:00")
  }

  @Test func aRunMissedBesideALongBackupIsMadeUp() throws {
    var long = try diagram(.hybrid, ["0 * * * *"])
    long.duration = 3 * TriggerTimes.hour
    check(
      long,
      "-r--------------",
      "-M-----C-----C--",
      reasons: [
        "asked for", "made up for the run of 03:00; 3 runs were missed",
        "made up for the run of 06:00; 3 runs were missed",
      ])
  }

  @Test func aRunDueBesideAShortBackupIsOnTime() throws {
    var diagram = try diagram(at: "2026-11-23 01:59:59", cell: 1000) { $0.catchUp = false }
    diagram.duration = 50000
    check(
      diagram,
      "r" + String(repeating: "-", count: 60),
      "M" + String(repeating: "-", count: 49) + "C" + String(repeating: "-", count: 10),
      reasons: ["asked for", "scheduled for 02:00"])
  }

  // MARK: skip_unchanged

  @Test func aRunWithNothingNewIsStoredUnlessToldNotTo() throws {
    check(
      try diagram(),
      "c-----",
      "S---C-")
    check(
      try diagram { $0.skipUnchanged = true },
      "c-----",
      "S-----", skips: ["the run of 02:00 has nothing to store: nothing has changed since the last backup"])
  }

  @Test func changesMakeARunWorthwhile() throws {
    check(
      try diagram(.schedule) { $0.skipUnchanged = true },
      "c-----",
      "----C-", skips: ["in mode schedule a change does not start a backup; the next scheduled run will include it"])
    // The backup of the change fails until the run is due.
    check(
      try diagram(at: "2026-11-23 01:59:59", cell: 100, outcomes: [.failed(.noSpace)]) { $0.skipUnchanged = true },
      "c-----------------------",
      "----------C-----------C-",
      reasons: ["scheduled for 02:00", "trying again after a failure: scheduled for 02:00"])
    // The database changed while a backup was running.
    var beside = try diagram(.schedule, ["*/2 * * * *"], cell: TriggerTimes.minute) { $0.skipUnchanged = true }
    beside.duration = 90000
    check(
      beside,
      "c--c---",
      "--C-C--",
      skips: [
        "in mode schedule a change does not start a backup; the next scheduled run will include it",
        "the run of 00:06 has nothing to store: nothing has changed since the last backup",
      ])
  }

  // MARK: Failures

  @Test func aFailedRunIsTriedAgainAsARun() throws {
    var diagram = try diagram(outcomes: Array(repeating: .failed(.busy), count: 4))
    diagram.duration = 0
    diagram.send(.startup(changedWhileDown: false, lastScheduled: nil))
    diagram.advance(to: 3 * TriggerTimes.hour)
    #expect(diagram.starts.map { ($0.time - 2 * TriggerTimes.hour) / 1000 } == [0, 1, 3, 7, 15])
    #expect(diagram.starts.allSatisfy { $0.trigger == .scheduled })
    #expect(diagram.starts.last?.reason == "trying again after 4 failures: scheduled for 02:00")
    #expect(diagram.violations.isEmpty)
  }

  @Test func aRunThatFailsForHoursIsOneWithTheNext() throws {
    var diagram = try diagram(.hybrid, ["0 * * * *"], outcomes: Array(repeating: .failed(.noSpace), count: 150))
    diagram.duration = 0
    diagram.send(.startup(changedWhileDown: false, lastScheduled: nil))
    diagram.advance(to: 4 * TriggerTimes.hour - 1)
    #expect(diagram.starts.count == 151 && diagram.starts.last?.outcome == .stored)
    #expect(
      diagram.starts.last?.reason
        == "trying again after 150 failures: scheduled for 03:00; 2 runs before it were missed")
    #expect(diagram.violations.isEmpty)
  }

  // MARK: Requests

  @Test func aRequestBesideARunIsOneBackup() throws {
    check(
      try diagram(at: "2026-11-23 01:59:59", cell: 100, outcomes: [.failed(.busy)]),
      "------------r-----------------",
      "----------C-C-----------------",
      reasons: ["scheduled for 02:00", "asked for, and trying again after a failure: scheduled for 02:00"])
  }

  @Test func aRequestBeforeARunDoesNotReplaceIt() throws {
    check(
      try diagram(at: "2026-11-23 01:59:59", cell: 100),
      "---------r----------",
      "---------M-C--------")
  }
}
