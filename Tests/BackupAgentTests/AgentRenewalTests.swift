import BackupEngine
import BackupPolicy
import TestSupport
import Testing

@testable import BackupAgent

/// A heavy chain ends with a full, and no change waits for it.
@Suite(.ownThread) struct AgentRenewalTests {
  private static let rewrite = "UPDATE t SET s = randomblob(900)"

  private func harness(rows: Int = 300) async throws -> (AgentHarness, DatabaseApplication) {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    let application = try DatabaseApplication(
      harness.database, "INSERT INTO t(s) SELECT randomblob(900) FROM (\(DatabaseFixture.numbers(rows)))")
    return (harness, application)
  }

  private func status(_ harness: AgentHarness) async -> DatabaseStatus? { await harness.control.status().first }

  @Test func aFullIsAdvisedOnceAndWaitsForQuiet() async throws {
    let (harness, application) = try await harness()
    try await harness.withAgent { _ in
      try await harness.waitForPoints(1)
      #expect(await status(harness)?.fullAdvice == nil)
      for count in 2...3 {
        try application.run(Self.rewrite)
        try await harness.waitForPoints(count)
      }
      try await harness.log.wait(for: "a full backup is due at the next quiet time: the incremental since backup_")
      let advised = try #require(await status(harness))
      #expect(advised.fullAdvice?.contains("more than half of its") == true)
      guard case .object(let keys) = advised.json, case .string? = keys["full_advised"] else {
        Issue.record("the JSON does not say so")
        return
      }
      // An event that arrives late makes the agent look for a change once more.
      try await harness.eventually("the wait for a quiet time") {
        await status(harness)?.trigger.waitingFor == "a quiet time, for a full"
      }
      // A full that a person requests also ends the chain.
      harness.control.backUpNow()
      try await harness.waitForPoints(4)
      try await harness.eventually("the end of the advice") { harness.log.count("(asked for)") == 1 }
      #expect(await status(harness)?.fullAdvice == nil)
    }
    #expect(try harness.points().map(\.kind) == [.full, .incremental, .incremental, .full])
    #expect(harness.log.count("a full backup is due") == 1, "\(harness.log.lines)")
  }

  /// If the application never pauses, the agent takes the full between two changes once the chain
  /// exceeds twice its weight.
  @Test func aChainDoesNotGrowWithoutBound() async throws {
    let (harness, application) = try await harness(rows: 3000)
    try await harness.withAgent(AgentHarness.settings { $0.debounce = 20 }) { _ in
      try await harness.waitForPoints(1)
      for _ in 0..<400 where try harness.points().filter({ $0.kind == .full }).count < 2 {
        try application.run(Self.rewrite)
        try await Task.sleep(for: .milliseconds(100))
      }
      try application.run(Self.rewrite)
      try await harness.eventually("an incremental on the new full") {
        try harness.points().last?.kind == .incremental
      }
    }
    let points = try harness.points()
    let second = try #require(points.dropFirst().firstIndex { $0.kind == .full })
    #expect(points[second].backupType == .change)
    let weight = points[1..<second].reduce(0) { $0 + $1.compressedSize }
    #expect(weight > 2 * points[0].compressedSize && second <= 6, "\(points.map(\.kind))")
    #expect(harness.log.count("(a full, because it cannot wait any longer for a quiet time: the ") == 1)
    #expect(try await harness.everyPointVerifies())
  }

  /// A run by cron has no quiet time to wait for.
  @Test func onceTakesTheFullThatIsAdvised() async throws {
    let (harness, application) = try await harness()
    func once() throws -> BackupKind? {
      try application.run(Self.rewrite)
      return try AgentRunner.runOnce(
        engine: harness.engine, settings: AgentHarness.settings(), logger: harness.log.logger)?.kind
    }
    let kinds = try (0..<4).map { _ in try once() }
    #expect(kinds == [.full, .incremental, .full, .incremental])
  }
}
