import BackupEngine
import BackupPolicy
import Testing
import TestSupport

@testable import BackupAgent

/// An accident beside a real agent: it is reported, protected by a hold, and over when a person
/// accepts it.
@Suite(.ownThread) struct AgentAnomalyTests {
  private func settings(_ retention: RetentionPolicy) -> AgentSettings {
    AgentHarness.settings {
      $0.pollInterval = 3_600_000
      $0.retention = retention
    }
  }

  private static let fill = """
    c = sqlite3.connect(path)
    c.executemany("INSERT INTO t(s) VALUES (?)", [(os.urandom(500).hex(),)] * 1000)
    c.commit()
    """

  private func change(_ harness: AgentHarness, _ sql: String) async throws {
    try await harness.python("c = sqlite3.connect(path); c.execute(\"\(sql)\"); c.commit()")
  }

  /// Requests a full, as a schedule does, and the retention after it.
  private func takeFull(_ harness: AgentHarness, _ settings: AgentSettings) throws {
    let work = DatabaseWorker(
      AgentDatabase(name: "app", engine: harness.engine, settings: settings),
      KeptConnection(harness.engine.environment), harness.log.logger)
    let report = work.runBackup(BackupOrder(trigger: .scheduled, reason: "a test"), Progress(), ConnectionTerms())
    #expect(report.stored != nil && report.newestVerified == report.stored?.created)
    _ = work.housekeeping.run(HousekeepingOrder(retention: settings.retention), Progress())
  }

  @Test func aDeleteOfEverythingHoldsWhatWasThereUntilItIsAccepted() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    try await harness.python(Self.fill)
    let settings = settings(RetentionPolicy(keepLast: 2))
    try takeFull(harness, settings)
    try await harness.withAgent(settings) { _ in
      try await harness.waitForRows(1000)
      try await change(harness, "DELETE FROM t WHERE n > 1")
      try await harness.waitForRows(1)
      try await harness.log.wait(for: "is anomalous: it lost most of its content")
      try await change(harness, "INSERT INTO t(s) VALUES ('x')")
      try await harness.waitForRows(2)
    }
    let odd = try #require(try harness.points().first { $0.status == .anomalous })
    let good = try #require(try harness.points().first)
    // The next one builds on it.
    #expect(try harness.points().last?.parentID == odd.id)
    for _ in 0..<4 { try takeFull(harness, settings) }
    #expect(try harness.points().map(\.id).contains(good.id))
    #expect(try harness.rows.count(good.id, harness.engine) == 1000)
    #expect(try harness.points().count { $0.kind == .full } == 3)
    #expect(harness.log.count("is anomalous") == 1, "\(harness.log.lines)")
    _ = try harness.engine.accept(odd.id.text)
    try takeFull(harness, settings)
    #expect(try !harness.points().contains { $0.id == good.id || $0.id == odd.id })
    #expect(try harness.points().count == 2)
  }

  @Test func ourOwnLiveRestoreIsNone() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    try await change(harness, "INSERT INTO t(s) VALUES ('first')")
    // The inserted rows outweigh the full, so the agent stores another one, which must not remove
    // the first.
    try await harness.withAgent(settings(RetentionPolicy(keepLast: 2))) { _ in
      try await harness.waitForRows(1)
      let small = try #require(try harness.points().last)
      try await harness.python(Self.fill)
      try await harness.waitForRows(1001)
      let engine = harness.engine
      let request = RestoreRequest(pointID: small.id, target: .database(path: harness.database))
      try await offPool {
        guard case .plan(let plan) = try engine.planRestore(request) else { return }
        _ = try engine.restore(plan)
      }
      // The agent has stored it and continues.
      try await change(harness, "INSERT INTO t(s) VALUES ('later')")
      try await harness.eventually("a point after the restore") {
        guard let newest = try harness.points().last(where: { $0.backupType == .change }) else { return false }
        return try harness.rows.count(newest.id, harness.engine) == 2
      }
    }
    #expect(try harness.points().allSatisfy { $0.status != .anomalous }, "\(harness.log.lines)")
    #expect(harness.log.count("is anomalous") + harness.log.count("taken the place") == 0, "\(harness.log.lines)")
    #expect(try await harness.everyPointVerifies())
  }

  private func waitForLowSpace(_ harness: AgentHarness) async throws {
    try await harness.eventually("the alarm") {
      await harness.control.status().flatMap(\.alarms).contains { $0.kind == "low_space" }
    }
  }

  /// A real small disk.
  @Test(.enabled(if: AgentAlarmTests.mayMount, "file systems cannot be mounted here"))
  func belowMinFreeSpaceOlderPointsGoWithAnAlarm() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    try await harness.python(Self.fill)
    try SystemFileOperations().makeFolder(harness.backups)
    let mounted = try Shell.run("mount", ["-t", "tmpfs", "-o", "size=8m", "tmpfs", harness.backups])
    #expect(mounted.status == 0)
    defer { _ = try? Shell.run("umount", ["-l", harness.backups]) }
    var request = CreateRequest()
    request.archive.compress = false
    for _ in 0..<3 { _ = try harness.engine.create(request) }
    let oldest = try harness.points().map(\.id)
    _ = try harness.engine.verify(oldest[1].text)
    let free = try harness.engine.space().free
    let settings = settings(RetentionPolicy(minFreeSpace: .bytes(free + 1)))
    try await harness.withAgent(settings) { _ in
      try await change(harness, "INSERT INTO t(s) VALUES ('x')")
      try await harness.waitForRows(1001)
      try await harness.log.wait(for: "less than min_free_space")
      try await harness.log.wait(for: "removed \(oldest[0])")
      try await waitForLowSpace(harness)
      // The newest verified backup and the base of the next incremental stay.
      let left = try harness.points().map(\.id)
      #expect(!left.contains(oldest[0]) && left.contains(oldest[1]) && left.contains(oldest[2]))
      try await change(harness, "INSERT INTO t(s) VALUES ('y')")
      try await harness.waitForRows(1002)
      try await harness.log.wait(for: "has the configured free space again")
    }
    #expect(try harness.points().count == 4)
    // An agent that has nothing to back up finds it too.
    try await harness.withAgent(self.settings(RetentionPolicy(minFreeSpace: .bytes(1 << 40)))) { _ in
      try await waitForLowSpace(harness)
    }
    #expect(try harness.points().count == 4)
  }
}
