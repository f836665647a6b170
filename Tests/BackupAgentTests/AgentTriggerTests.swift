import BackupEngine
import BackupPolicy
import Testing
import TestSupport

@testable import BackupAgent

@Suite(.ownThread) struct AgentTriggerTests {
  @Test(arguments: ["wal", "delete", "truncate", "persist"])
  func aBurstBecomesOnePoint(journal: String) async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase(journal: journal)
    let settings = AgentHarness.settings {
      $0.debounce = 1000
      $0.maxDelay = 60_000
    }
    try await harness.withAgent(settings) { _ in
      try await harness.waitForPoints(1)
      // Without flushes, which take longer than the quiet time on a busy disk.
      try await harness.python(
        """
        c = sqlite3.connect(path)
        c.execute("PRAGMA synchronous = OFF")
        for n in range(50):
          c.execute("INSERT INTO t(s) VALUES ('x')")
          c.commit()
        """)
      try await harness.waitForRows(50)
    }
    #expect(try harness.points().count == 2)
    #expect(try harness.points().allSatisfy { $0.backupType == .change })
  }

  @Test func aConstantWriterIsBackedUpAtTheCeiling() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    let settings = AgentHarness.settings {
      $0.debounce = 400
      $0.maxDelay = 600
      $0.minInterval = 0
    }
    try await harness.withAgent(settings) { _ in
      try await harness.waitForPoints(1)
      let start = SystemClock.monotonic()
      try await harness.python(
        """
        c = sqlite3.connect(path)
        end = time.monotonic() + 4
        while time.monotonic() < end:
          c.execute("INSERT INTO t(s) VALUES ('x')")
          c.commit()
          time.sleep(0.01)
        """)
      let taken = try harness.points().count - 1
      // Six at best; each needs a pause of 400 ms or 600 ms of changes before it.
      #expect(taken >= 2)
      #expect(Int64(taken) <= (SystemClock.monotonic() - start) / 400 + 1)
    }
  }

  enum Application: CaseIterable {
    case wal, delete, walClosedEachTime, deleteClosedEachTime
  }

  /// Debounce and interval are so short that a backup that caused another would cause dozens; the
  /// pause is longer than all follow-up probes of a change.
  @Test(arguments: Application.allCases)
  func ownBackupsCauseNoOther(application: Application) async throws {
    let harness = try AgentHarness()
    let isWAL = application == .wal || application == .walClosedEachTime
    try await harness.createDatabase(journal: isWAL ? "wal" : "delete")
    let settings = AgentHarness.settings { $0.pollInterval = 500 }
    try await harness.withAgent(settings) { _ in
      try await harness.waitForPoints(1)
      let closes = application == .walClosedEachTime || application == .deleteClosedEachTime
      try await harness.python(
        """
        c = sqlite3.connect(path)
        for n in range(3):
          c.execute("INSERT INTO t(s) VALUES ('x')")
          c.commit()
          if \(closes ? "True" : "False"):
            c.close()
            c = sqlite3.connect(path)
        os._exit(0)
        """)
      try await harness.waitForRows(3)
      let before = try harness.points().count
      try await Task.sleep(for: .milliseconds(5000))
      #expect(try harness.points().count == before, "\(harness.log.lines)")
      #expect(harness.log.count("backing up") < 8, "\(harness.log.lines)")
    }
  }

  @Test func aRolledBackTransactionStoresNoPoint() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    try await harness.withAgent { _ in
      try await harness.waitForPoints(1)
      try await harness.python(
        """
        c = sqlite3.connect(path)
        c.execute("PRAGMA cache_size=2")
        c.executemany("INSERT INTO t(s) VALUES (?)", [("x" * 2000,)] * 200)
        c.rollback()
        os._exit(0)
        """)
      try await harness.log.wait(for: "skipped: nothing was committed since backup_")
    }
    #expect(try harness.points().count == 1)
  }

  @Test func aSymbolicLinkAndAnAwkwardNameAreFollowed() async throws {
    let harness = try AgentHarness(database: "link ü.db")
    try SystemFileOperations().makeFolder(harness.folder.path("else where"))
    _ = try Shell.run("ln", ["-s", "../else where/it's?.db", harness.database])
    try await harness.withAgent { _ in
      try await harness.log.wait(for: "there is no database")
      try await harness.createDatabase()
      try await harness.waitForRows(0)
      try await harness.python("c = sqlite3.connect(path); c.execute('INSERT INTO t(s) VALUES (1)'); c.commit()")
      try await harness.waitForRows(1)
    }
  }

  @Test func eachPointIsVerifiedAndRetentionApplied() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    let settings = AgentHarness.settings {
      $0.verifyAfterCreate = true
      $0.retention = RetentionPolicy(keepLast: 1)
    }
    for _ in 0..<2 { _ = try harness.engine.create(CreateRequest(settings.archive)) }
    try await harness.withAgent(settings) { _ in
      // The second is a full because the incremental of so small a database outweighs half of the
      // one before.
      for rows in 1...2 {
        try await harness.python("c = sqlite3.connect(path); c.execute('INSERT INTO t(s) VALUES (1)'); c.commit()")
        try await harness.waitForRows(Int64(rows))
      }
      try await harness.log.wait(for: "removed backup_")
    }
    let points = try harness.points()
    #expect(points.map(\.backupType) == [.manual, .change, .change])
    #expect(points.dropFirst().allSatisfy { $0.status == .verified })
    #expect(try harness.newestRows() == 2)
  }
}
