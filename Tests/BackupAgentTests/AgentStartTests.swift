import BackupEngine
import BackupPolicy
import Testing
import TestSupport

@testable import BackupAgent

@Suite(.ownThread) struct AgentStartTests {
  private let insert = "c = sqlite3.connect(path); c.execute('INSERT INTO t(s) VALUES (1)'); c.commit(); c.close()"

  @Test(arguments: ["wal", "delete"])
  func aChangeWhileItWasDownBecomesOnePointAndNoChangeNone(journal: String) async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase(journal: journal)
    try await harness.withAgent { _ in try await harness.waitForPoints(1) }
    #expect(harness.log.count("backing up app: there is no backup yet") == 1)

    harness.log.clear()
    try await harness.withAgent { _ in
      try await harness.log.wait(for: "nothing has changed since backup_")
      try await Task.sleep(for: .milliseconds(1000))
    }
    #expect(try harness.points().count == 1)

    try await harness.python(insert)
    harness.log.clear()
    try await harness.withAgent { _ in
      try await harness.waitForRows(1)
      try await Task.sleep(for: .milliseconds(1000))
    }
    #expect(try harness.points().count == 2)
    #expect(harness.log.count("backing up app: changed since the newest backup") == 1)
  }

  @Test(arguments: ["wal", "delete"])
  func onceBacksUpOnlyWhatChanged(journal: String) async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase(journal: journal)
    func once() throws -> PointMetadata? {
      try AgentRunner.runOnce(engine: harness.engine, settings: AgentHarness.settings(), logger: harness.log.logger)
    }
    let first = try #require(try once())
    #expect(first.backupType == .change)
    #expect(try once() == nil)
    try await harness.python(insert)
    #expect(try once()?.kind == .incremental)
    #expect(try harness.newestRows() == 1)
    #expect(try once() == nil)
  }

  @Test func onceDoesNotWriteTheStateOfARunningAgent() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    func once() throws -> PointMetadata? {
      try AgentRunner.runOnce(engine: harness.engine, settings: AgentHarness.settings(), logger: harness.log.logger)
    }
    _ = try #require(try once())
    let files = SystemFileOperations()
    let path = "\(harness.backups)/.state/agent.json"
    let before = try #require(try files.contents(path))
    let agent = AgentLock(harness.engine)
    try agent.ensure()
    try await harness.python(insert)
    _ = try #require(try once())
    #expect(try files.contents(path) == before)
    agent.release()
    try await harness.python(insert)
    _ = try #require(try once())
    #expect(try files.contents(path) != before)
    #expect(harness.log.count("warning") == 0, "\(harness.log.lines)")
    // The lock is free again.
    try AgentLock(harness.engine).ensure()
  }

  /// Without its last known state the agent compares the database with the newest backup; if there
  /// is no backup, it stores one.
  @Test(arguments: ["missing", "torn", "another point", "point deleted"])
  func aMemoryThatCannotBeUsedCostsAComparison(damage: String) async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    func once() throws -> PointMetadata? {
      try AgentRunner.runOnce(engine: harness.engine, settings: AgentHarness.settings(), logger: harness.log.logger)
    }
    let first = try #require(try once())
    let memory = "\(harness.backups)/.state/agent.json"
    switch damage {
    case "missing": try SystemFileOperations().unlink(memory)
    case "torn": try SystemFileOperations().replace(memory, with: Array("{\"backup_id\": \"bac".utf8))
    case "another point": _ = try harness.engine.create(CreateRequest())
    default: _ = try harness.engine.delete(first.id.text)
    }
    #expect((try once() != nil) == (damage == "point deleted"))
    #expect(try once() == nil)
  }

  @Test func onceRefusesAMissingAndAnEmptyDatabase() throws {
    let harness = try AgentHarness()
    func code() -> HoldfastError.Code? {
      do {
        _ = try AgentRunner.runOnce(engine: harness.engine, settings: AgentSettings(), logger: harness.log.logger)
        return nil
      } catch {
        return (error as? HoldfastError)?.code
      }
    }
    #expect(code() == .databaseMissing)
    try harness.folder.write("data/app.db", [])
    #expect(code() == .refused)
    #expect(try harness.points().isEmpty)
  }

  @Test func encryptionWithoutAKeyEndsTheAgentAtOnce() async throws {
    let harness = try AgentHarness()
    let engine = Engine(
      database: harness.database, folder: harness.backups, credentials: Credentials(),
      environment: harness.engine.environment)
    let error = await #expect(throws: HoldfastError.self) {
      try await AgentRunner.run(
        AgentConfiguration(databases: [AgentDatabase(name: "app", engine: engine, settings: AgentSettings())]),
        reload: nil, logger: harness.log.logger)
    }
    #expect(error?.code == .keyMissing)
  }
}
