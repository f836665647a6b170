import BackupEngine
import BackupPolicy
import TestSupport
import Testing

@testable import BackupAgent

/// The agent runs drills by a clock that the tests set; everything else is real.
@Suite(.ownThread) struct AgentDrillTests {
  /// 2023-11-16T01:30:00Z.
  private let start = Timestamp(milliseconds: 1_700_098_200_000)
  private static let insert = "c = sqlite3.connect(path); c.execute(\"INSERT INTO t(s) VALUES ('x')\"); c.commit()"

  private func settings(_ change: (inout AgentSettings) -> Void = { _ in }) throws -> AgentSettings {
    let nightly = try CronSchedule("0 2 * * *")
    return AgentHarness.settings {
      $0.drills = DrillSettings(schedules: [nightly])
      $0.pollInterval = 3_600_000
      change(&$0)
    }
  }

  private func bed(files: (any FileOperations)? = nil) async throws -> (AgentHarness, ManualTime) {
    let time = ManualTime(start)
    let harness = try AgentHarness(files: files, now: { time.now() })
    try await harness.createDatabase()
    return (harness, time)
  }

  /// Sets the clock after the agent has read the history: a drill that came due before that time is
  /// not due.
  private func set(_ time: ManualTime, _ seconds: Int64, _ harness: AgentHarness) async throws {
    _ = try await status(harness) { $0.drills.next != nil }
    time.advance(seconds: seconds)
    harness.control.inbox.post(.clockSet)
  }

  /// The first status that meets the condition.
  private func status(
    _ harness: AgentHarness, when condition: (DatabaseStatus) -> Bool = { _ in true }
  ) async throws -> DatabaseStatus {
    for _ in 0..<3000 {
      if let status = await harness.control.status().first, condition(status) { return status }
      try await Task.sleep(for: .milliseconds(10))
    }
    throw HoldfastError(.failed, "no such status; the log:\n\(harness.log.lines.joined(separator: "\n"))")
  }

  private func drills(_ harness: AgentHarness) throws -> [DrillRecord] { try harness.engine.drillFigures().drills }

  @Test func aDrillThatIsDueProvesTheNewestPoint() async throws {
    let (harness, time) = try await bed()
    try await harness.withAgent(settings()) { _ in
      try await harness.waitForPoints(1)
      #expect(try await status(harness).drills.newestProven == nil)
      try await set(time, 1800, harness)
      try await harness.log.wait(for: "is proven: restored in ")
      let status = try await status(harness) { $0.drills.newestProven != nil }
      #expect(status.drills.newestProven?.id == (try harness.points().last?.id) && status.alarms == [])
      #expect(status.drills.next == Timestamp(milliseconds: start.milliseconds + 1_800_000 + 86_400_000))
      #expect(status.drills.recovery != nil && !status.drills.isRunning)
      // If the clock is set back by an hour, the night of that run repeats, but the run does not.
      try await set(time, -3600, harness)
      try await set(time, 3600, harness)
      _ = await harness.control.status()
    }
    #expect(try drills(harness).map(\.trigger) == [.scheduled])
    #expect(harness.log.count("drilling app: scheduled for 02:00") == 1, "\(harness.log.lines)")
  }

  @Test func aDrillThatFailsIsAnAlarmUntilOnePassesAlsoByHand() async throws {
    let (harness, time) = try await bed()
    let wrong = DrillAssertion(name: "rows", sql: "SELECT count(*) FROM t", expect: "7")
    try await harness.withAgent(
      settings {
        $0.assertions = [wrong]
        $0.pollInterval = 100
      }
    ) { _ in
      try await harness.waitForPoints(1)
      try await set(time, 1800, harness)
      try await harness.log.wait(for: "error: the last drill failed: ")
      let alarms = try await status(harness).alarms
      #expect(
        alarms.map(\.kind) == ["drill_failed"]
          && alarms.first?.message.contains("rows does not have the expected answer") == true)
      try await set(time, 86400, harness)
      try await harness.eventually("the second one") { harness.log.count("error: the last drill failed: ") == 2 }
      time.advance(seconds: 1)
      _ = try await offPool { [engine = harness.engine] in
        try engine.drill(engine.point("latest"), DrillRequest())
      }
      try await harness.log.wait(for: "a drill of \(harness.database) has passed")
      #expect(try await status(harness).alarms == [])
    }
    #expect(try drills(harness).map(\.passed) == [true, false, false])
  }

  @Test func aDrillThatWasMissedIsMadeUpOnceAndOneThatIsTooOldIsAnAlarm() async throws {
    let (harness, time) = try await bed()
    try await harness.withAgent(settings()) { _ in
      try await harness.waitForPoints(1)
      try await set(time, 1800, harness)
      try await harness.log.wait(for: "is proven: ")
    }
    time.advance(seconds: 3 * 86400 + 600)
    harness.log.clear()
    for _ in 1...2 {
      try await harness.withAgent(settings()) { _ in
        try await harness.eventually("the drill that is made up") { try drills(harness).count == 2 }
        try await harness.eventually("its result") { harness.log.count("is proven: ") == 1 }
        _ = try await status(harness)
      }
    }
    #expect(harness.log.count("made up for the drill of 02:00 (3 runs in all)") == 1, "\(harness.log.lines)")
    #expect(try drills(harness).count == 2)
    #expect(harness.log.count("error: ") == 0, "a drill that is about to be made is not too old: \(harness.log.lines)")
    // Without catching up, the agent runs no drill and reports that.
    time.advance(seconds: 5 * 86400)
    let strict = try settings { $0.drills.catchUp = false }
    try await harness.withAgent(strict) { _ in
      try await harness.log.wait(for: "no drill has passed since ")
      #expect(try await status(harness).alarms.map(\.kind) == ["drill_too_old"])
    }
    #expect(try drills(harness).count == 2)
  }

  @Test func aChangeDoesNotWaitForADrillAndAStopEndsIt() async throws {
    let (harness, time) = try await bed()
    let endless = DrillAssertion(
      sql: "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n", expect: "0")
    try await harness.withAgent(settings { $0.assertions = [endless] }) { _ in
      try await harness.waitForPoints(1)
      try await set(time, 1800, harness)
      try await harness.log.wait(for: "drilling app: ")
      #expect(try await status(harness).drills.isRunning)
      for rows in 1...3 {
        time.advance(seconds: 60)
        try await harness.python(Self.insert)
        try await harness.waitForRows(Int64(rows))
      }
      #expect(try await status(harness).drills.isRunning, "the changes were stored beside it")
    }
    #expect(try drills(harness).isEmpty, "what was interrupted is no drill")
    #expect(harness.log.count("error: ") == 0, "\(harness.log.lines)")
  }

  @Test func theFileOfMetricsDoesNotWaitForADrill() async throws {
    let (harness, time) = try await bed()
    let endless = DrillAssertion(
      sql: "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n", expect: "0")
    var configuration = harness.configuration(try settings { $0.assertions = [endless] })
    configuration.metricsFile = harness.folder.path("holdfast.prom")
    func stored() throws -> Int {
      let text = String(decoding: try harness.folder.read("holdfast.prom") ?? [], as: UTF8.self)
      let name = "holdfast_backups_total{database=\"app\",outcome=\"stored\"} "
      let line = text.split(separator: "\n").first { $0.hasPrefix(name) }
      return line.flatMap { Int($0.dropFirst(name.count)) } ?? 0
    }
    try await harness.withAgent(configuration) { _ in
      try await harness.eventually("the first backup in the file") { try stored() == 1 }
      try await set(time, 1800, harness)
      try await harness.log.wait(for: "drilling app: ")
      time.advance(seconds: 60)
      try await harness.python(Self.insert)
      try await harness.waitForRows(1)
      try await harness.eventually("the second backup in the file") { try stored() > 1 }
      #expect(try await status(harness).drills.isRunning)
    }
  }

  @Test func withoutAPointItIsPutOffAndWithoutAScheduleNothingIsRead() async throws {
    let (harness, time) = try await bed()
    try await harness.withAgent(
      settings {
        $0.mode = .schedule; $0.schedules = []
      }
    ) { _ in
      _ = try await status(harness)
      try await set(time, 1800, harness)
      try await harness.log.wait(for: "the drill is postponed: there is ")
      #expect(try await status(harness).alarms == [])
    }
    #expect(harness.log.count("error: ") == 0, "\(harness.log.lines)")
  }

  @Test func databasesWhoseDrillsComeTogetherAreDrilledOneAfterAnother() async throws {
    let (harness, time) = try await bed()
    let settings = try settings()
    var configuration = harness.configuration(settings)
    var engines = [harness.engine]
    for name in ["b", "c"] {
      let path = harness.folder.path("data/\(name).db")
      _ = try await offPool {
        try Python.run(
          script: "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('CREATE TABLE t(n)'); c.commit()",
          arguments: [path])
      }
      let engine = Engine(
        database: path, folder: harness.folder.path("backups-\(name)"), credentials: harness.engine.credentials,
        environment: harness.engine.environment)
      engines.append(engine)
      configuration.databases.append(AgentDatabase(name: name, engine: engine, settings: settings))
    }
    try await harness.withAgent(configuration) { _ in
      try await harness.eventually("a point of each") { harness.log.count("stored backup_") == 3 }
      try await set(time, 1800, harness)
      try await harness.eventually("a drill of each") { harness.log.count("is proven: ") == 3 }
    }
    for engine in engines { #expect(try engine.drillFigures().newestProven != nil) }
  }
}
