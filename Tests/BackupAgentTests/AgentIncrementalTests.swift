import BackupEngine
import BackupPolicy
import Testing
import Synchronization
import TestSupport

@testable import BackupAgent

/// The agent stores the changed pages, knows why the list is complete, and can restore every
/// backup.
@Suite(.ownThread) struct AgentIncrementalTests {
  /// So large that incrementals stay far below half of a full.
  private func fill(_ harness: AgentHarness) async throws {
    try await harness.python(
      """
      c = sqlite3.connect(path)
      c.execute("CREATE TABLE ballast(b)")
      c.executemany("INSERT INTO ballast VALUES (?)", [(os.urandom(900),)] * 2000)
      c.commit()
      c.close()
      """)
  }

  private static let insert = "c = sqlite3.connect(path); c.execute(\"INSERT INTO t(s) VALUES ('x')\"); c.commit()"

  @Test(arguments: ["wal", "delete"])
  func aChangeAfterTheFirstFullIsAnIncremental(journal: String) async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase(journal: journal)
    try await fill(harness)
    try await harness.withAgent { _ in
      try await harness.waitForPoints(1)
      for row in Int64(1)...4 {
        try await harness.python(Self.insert + (row % 2 == 0 ? "; c.close()" : "; os._exit(0)"))
        try await harness.waitForRows(row)
      }
    }
    let points = try harness.points()
    #expect(points.map(\.kind) == [.full] + [BackupKind](repeating: .incremental, count: points.count - 1))
    for (number, point) in points.enumerated() { #expect(try harness.rows.count(point.id, harness.engine) == number) }
    #expect(try await harness.everyPointVerifies())
    #expect(points.dropFirst().allSatisfy { $0.pagesStored ?? 0 < 10 })
  }

  /// Between two backups of one application that stays open, the agent trusts the tracker and
  /// compares nothing.
  @Test func whatWasFollowedIsNotCompared() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    try await fill(harness)
    let kept = KeptConnection(harness.engine.environment)
    let session = FollowedDatabase(harness.engine, kept)
    let backup = DatabaseWorker(harness.engine, AgentHarness.settings(), harness.log.logger, kept)
    _ = try backup.storeChange(Progress()).ending.get()
    let application = try DatabaseApplication(harness.database, "PRAGMA wal_autocheckpoint = 0")
    var ways: [String] = []
    for _ in 1...4 {
      try application.run("INSERT INTO t(s) VALUES (1)")
      let report = try session.store()
      guard case .stored = try report.outcome.get() else {
        Issue.record("no incremental was stored")
        return
      }
      ways.append("\(report.how)")
    }
    #expect(ways[0].hasPrefix("compared: "))
    #expect(ways.dropFirst().allSatisfy { $0 == "followed: same generation" }, "\(ways)")
    #expect(try harness.newestRows() == 4)
    // The tracker did not follow another program's backup in between.
    _ = try harness.engine.create(CreateRequest())
    try application.run("INSERT INTO t(s) VALUES (1)")
    let report = try session.store()
    guard case .stored = try report.outcome.get() else {
      Issue.record("no incremental was stored")
      return
    }
    #expect("\(report.how)".hasPrefix("compared: "))
    #expect(try harness.newestRows() == 5)
  }

  /// After a comparison the agent pauses in proportion to its time. That time must not include a
  /// wait for a locked database or a slow disk.
  @Test func neitherWaitingNorStoringIsComparing() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    try await fill(harness)
    let clock = Mutex<Int64>(0)
    var environment = harness.engine.environment
    environment.monotonic = { clock.withLock { $0 } }
    let engine = Engine(
      database: harness.database, folder: harness.backups, credentials: harness.engine.credentials,
      environment: environment)
    _ = try engine.create(CreateRequest())
    let application = try DatabaseApplication(harness.database, "INSERT INTO t(s) VALUES (1)")
    let session = FollowedDatabase(engine, KeptConnection(environment))
    let progress = Progress { activity, _, _ in
      let times: [String: Int64] = ["comparing": 10300, "storing": 60000]
      if let time = times[activity] { clock.withLock { $0 = time } }
    }
    let report = try session.store(progress) { clock.withLock { $0 = 10000 } }
    guard case .stored = try report.outcome.get(), case .compared = report.how else {
      Issue.record("nothing was compared: \(report)")
      return
    }
    #expect(report.comparing == 300)
    withExtendedLifetime(application) {}
  }

  /// A backup that `guard` stores beside the agent is no link of the agent's chain, and later
  /// changes are stored.
  @Test func aGuardPointIsNoLink() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    try await fill(harness)
    try await harness.withAgent { _ in
      try await harness.waitForPoints(1)
      try await harness.python("c = sqlite3.connect(path); c.execute('INSERT INTO t(s) VALUES (1)'); c.commit()")
      try await harness.waitForRows(1)
      _ = try harness.engine.createGuard(CreateRequest())
      try await harness.python("c = sqlite3.connect(path); c.execute('INSERT INTO t(s) VALUES (2)'); c.commit()")
      try await harness.waitForRows(2)
    }
    let points = try harness.points()
    #expect(points.map(\.kind) == [.full, .incremental, .full, .incremental], "\(harness.log.lines)")
    #expect(points[3].parentID == points[1].id)
    #expect(try await harness.everyPointVerifies())
  }

  @Test func nothingChangedIsNothingStored() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    try await fill(harness)
    let kept = KeptConnection(harness.engine.environment)
    let backup = DatabaseWorker(harness.engine, AgentHarness.settings(), harness.log.logger, kept)
    _ = try backup.storeChange(Progress()).ending.get()
    let session = FollowedDatabase(harness.engine, kept)
    for _ in 1...2 {
      guard case .unchanged = try session.store().outcome.get() else {
        Issue.record("something was stored, or a full was wanted")
        return
      }
    }
    #expect(try harness.points().count == 1)
  }
}
