import BackupEngine
import BackupPolicy
import Testing
import TestSupport

@testable import BackupAgent

/// Schedules against a wall clock that the tests set; everything else is real.
@Suite(.ownThread) struct AgentScheduleTests {
  /// 2023-11-16T01:30:00Z.
  private let start = Timestamp(milliseconds: 1_700_098_200_000)

  private func settings(_ change: (inout AgentSettings) -> Void = { _ in }) throws -> AgentSettings {
    let nightly = try CronSchedule("0 2 * * *")
    return AgentHarness.settings {
      $0.mode = .hybrid
      $0.schedules = [nightly]
      $0.pollInterval = 3_600_000
      change(&$0)
    }
  }

  private func bed() throws -> (AgentHarness, ManualTime) {
    let time = ManualTime(start)
    return (try AgentHarness(now: { time.now() }), time)
  }

  private func types(_ harness: AgentHarness) throws -> [String] { try harness.points().map(\.backupType.rawValue) }

  @Test func aRunThatIsDueFiresByTheKernelsTimer() async throws {
    // A clock that runs on from the time to which it is set.
    let ahead = ManualTime(Timestamp(milliseconds: start.milliseconds - SystemClock.now().milliseconds))
    let harness = try AgentHarness(now: {
      Timestamp(milliseconds: SystemClock.now().milliseconds + ahead.now().milliseconds)
    })
    try await harness.createDatabase()
    let due = start.milliseconds + 1_800_000
    try await harness.withAgent(settings()) { _ in
      try await harness.waitForPoints(1)
      ahead.set(Timestamp(milliseconds: due - 1500 - SystemClock.now().milliseconds))
      harness.control.inbox.post(.clockSet)
      try await harness.eventually("a scheduled point") { try types(harness).last == "scheduled" }
    }
    let point = try #require(try harness.points().last)
    #expect(point.status == .verified)
    #expect(point.created.milliseconds >= due)
    #expect(harness.log.count("backing up app: scheduled for") == 1, "\(harness.log.lines)")
  }

  @Test func aWaitForTheEndOfTheQuietHoursIsLoggedOnce() async throws {
    let (harness, _) = try bed()
    try await harness.createDatabase()
    let hours = try QuietHours("22:00-06:00")
    let settings = AgentHarness.settings { $0.quietHours = hours }
    #expect(settings.logged(at: start)["quiet_hours"] == "22:00-06:00")
    #expect(AgentHarness.settings().logged(at: start)["quiet_hours"] == nil)
    try await harness.withAgent(settings) { _ in
      try await harness.log.wait(for: "info: waiting for the end of the quiet hours at 06:00: a change is pending")
      for _ in 0..<3 {
        try await harness.python("c = sqlite3.connect(path); c.execute('INSERT INTO t(s) VALUES (1)'); c.commit()")
      }
      try await Task.sleep(for: .milliseconds(300))
      #expect(try harness.points().isEmpty)
    }
    #expect(harness.log.count("waiting for the end of the quiet hours") == 1, "\(harness.log.lines)")
  }

  @Test func aClockThatIsSetForwardMakesTheRunUp() async throws {
    let (harness, time) = try bed()
    try await harness.createDatabase()
    try await harness.withAgent(settings { $0.retention = RetentionPolicy(keepLast: 1) }) { _ in
      try await harness.waitForPoints(1)
      try await offPool { _ = try harness.engine.create(CreateRequest()) }
      time.advance(seconds: 3600)
      harness.control.inbox.post(.clockSet)
      try await harness.eventually("a scheduled point") { try types(harness).last == "scheduled" }
      // If the clock is set back by an hour, the night of that run repeats, but the run does not.
      time.advance(seconds: -3600)
      harness.control.inbox.post(.clockSet)
      _ = await harness.control.status()
      time.advance(seconds: 3600)
      harness.control.inbox.post(.clockSet)
      try await Task.sleep(for: .milliseconds(700))
      #expect(try types(harness).count { $0 == "scheduled" } == 1)
      let status = try #require(await harness.control.status().first)
      #expect(status.trigger.nextRun == Timestamp(milliseconds: start.milliseconds + 1_800_000 + 86_400_000))
      try await harness.log.wait(for: "removed backup_")
    }
    #expect(harness.log.count("removed backup_") == 1, "retention follows a scheduled backup: \(harness.log.lines)")
  }

  @Test(arguments: [true, false])
  func aRunThatWasMissedWhileTheAgentWasDownIsMadeUpOnce(catchUp: Bool) async throws {
    let (harness, time) = try bed()
    try await harness.createDatabase()
    let settings = try settings { $0.catchUp = catchUp }
    time.advance(seconds: 3600)
    try await harness.withAgent(settings) { _ in
      try await harness.waitForPoints(1)
      #expect(try types(harness) == ["change"], "without any scheduled point there is nothing to make up")
      time.advance(seconds: 86400)
      harness.control.inbox.post(.clockSet)
      if catchUp {
        try await harness.eventually("a scheduled point") { try types(harness).last == "scheduled" }
      } else {
        try await harness.log.wait(for: "skipped: the run of")
      }
    }
    guard catchUp else {
      #expect(try types(harness) == ["change"])
      return
    }
    time.advance(seconds: 3 * 86400)
    for expected in [2, 2] {
      try await harness.withAgent(settings) { _ in
        try await harness.eventually("the run that is made up") {
          try types(harness).count { $0 == "scheduled" } == expected
        }
        try await Task.sleep(for: .milliseconds(500))
      }
    }
    #expect(try types(harness).count { $0 == "scheduled" } == 2)
    #expect(harness.log.count("made up for the run of") >= 1, "\(harness.log.lines)")
  }

  @Test(arguments: [true, false])
  func anUnchangedDatabaseIsStoredOnScheduleUnlessToldOtherwise(skip: Bool) async throws {
    let (harness, time) = try bed()
    try await harness.createDatabase()
    try await harness.withAgent(settings { $0.skipUnchanged = skip }) { _ in
      try await harness.waitForPoints(1)
      try await harness.eventually("idleness") { harness.log.count("stored ") == 1 }
      try await Task.sleep(for: .milliseconds(300))
      time.advance(seconds: 3600)
      harness.control.inbox.post(.clockSet)
      if skip {
        try await harness.log.wait(for: "nothing has changed since the last backup")
      } else {
        try await harness.waitForPoints(2)
        // It contains the current state, so nothing is pending afterwards.
        try await Task.sleep(for: .milliseconds(700))
      }
    }
    #expect(try types(harness) == (skip ? ["change"] : ["change", "scheduled"]), "\(harness.log.lines)")
  }

  @Test func inModeScheduleAChangeStartsNothing() async throws {
    let (harness, time) = try bed()
    try await harness.createDatabase()
    try await harness.withAgent(settings { $0.mode = .schedule }) { _ in
      try await harness.python("c = sqlite3.connect(path); c.execute('INSERT INTO t(s) VALUES (1)'); c.commit()")
      try await harness.log.wait(for: "in mode schedule a change does not start a backup")
      try await Task.sleep(for: .milliseconds(700))
      #expect(try harness.points().isEmpty)
      time.advance(seconds: 1800)
      harness.control.inbox.post(.clockSet)
      try await harness.waitForRows(1)
      #expect(try types(harness) == ["scheduled"])
    }
  }
}
