import BackupEngine
import BackupPolicy
import Glibc
import Synchronization
import Testing
import TestSupport

@testable import BackupAgent

@Suite(.ownThread) struct AgentStopTests {
  private static func bigDatabase(megabytes: Int) -> String {
    """
    c = sqlite3.connect(path)
    c.execute("PRAGMA journal_mode=wal")
    c.execute("CREATE TABLE t(b)")
    c.executemany("INSERT INTO t VALUES (?)", [(os.urandom(100000),) for n in range(\(megabytes * 10))])
    c.commit()
    c.close()
    """
  }

  @Test func aRunningBackupIsFinished() async throws {
    let harness = try AgentHarness()
    try await harness.python(Self.bigDatabase(megabytes: 10))
    try await harness.withAgent { group in
      try await harness.log.wait(for: "backing up")
      await group.triggerGracefulShutdown()
    }
    #expect(try harness.points().count == 1)
    #expect(try harness.leftovers() == [])
    #expect(try await harness.everyPointVerifies())
    #expect(harness.log.lines.last?.contains("stopped") == true)
  }

  /// A row and the stop at the same moment, regardless of the time that the change would have
  /// waited.
  @Test(arguments: [AgentMode.debounce, .floor, .quietHours])
  func aChangeRightBeforeTheEndIsBackedUp(mode: AgentMode) async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    try await harness.withAgent(try mode.settings()) { _ in
      try await harness.waitForPoints(mode == .quietHours ? 0 : 1)
      try await harness.log.wait(for: mode == .quietHours ? "watching" : "stored")
      try await harness.python("c = sqlite3.connect(path); c.execute(\"INSERT INTO t(s) VALUES ('last')\"); c.commit()")
    }
    #expect(try harness.newestRows() == 1, "\(harness.log.lines)")
    #expect(harness.log.count("warning") == 0, "\(harness.log.lines)")
  }

  enum AgentMode {
    case debounce, floor, quietHours

    func settings() throws -> AgentSettings {
      let hours = try QuietHours("00:00-23:59, Mon 00:00-24:00")
      return AgentHarness.settings {
        $0.pollInterval = 3_600_000
        switch self {
        case .debounce: ($0.debounce, $0.maxDelay) = (3_600_000, 3_600_000)
        case .floor: $0.minInterval = 3_600_000
        case .quietHours: $0.quietHours = hours
        }
      }
    }
  }

  @Test func inModeScheduleTheEndStartsNoBackup() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    let schedule = try CronSchedule("0 2 * * *")
    let settings = AgentHarness.settings {
      $0.mode = .schedule
      $0.schedules = [schedule]
    }
    try await harness.withAgent(settings) { _ in
      try await harness.python("c = sqlite3.connect(path); c.execute(\"INSERT INTO t(s) VALUES ('last')\"); c.commit()")
      try await harness.log.wait(for: "in mode schedule")
    }
    #expect(try harness.points().isEmpty)
    #expect(harness.log.count("in no backup") == 0)
  }

  @Test func aChangeThatTheGraceDoesNotCoverIsNamed() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    try await harness.withAgent(
      AgentHarness.settings {
        $0.debounce = 3_600_000; $0.maxDelay = 3_600_000
      }, stopGrace: 0
    ) { _ in
      try await harness.waitForPoints(1)
      try await harness.python("c = sqlite3.connect(path); c.execute(\"INSERT INTO t(s) VALUES ('last')\"); c.commit()")
      try await Task.sleep(for: .milliseconds(100))
    }
    let isStored = try harness.newestRows() == 1
    #expect(
      isStored || harness.log.count("warning: stopped while a change of \(harness.database), pending since ") == 1)
  }

  @Test(
    "A last backup that fails is tried once more; if it fails again, the log has an error with the reason",
    arguments: [(1, 20), (2, 10)])
  func failedLastBackup(failures: Int, rows: Int64) async throws {
    let left = Mutex(0)
    let harness = try AgentHarness(
      files: SlowFiles { _ in
        try left.withLock { left in
          guard left > 0 else { return }
          left -= 1
          throw HoldfastError(.failed, "too many open files")
        }
      })
    try await harness.python(Self.bigDatabase(megabytes: 1))
    try await harness.withAgent(AgentHarness.settings { ($0.debounce, $0.maxDelay) = (3_600_000, 3_600_000) }) { _ in
      try await harness.waitForPoints(1)
      try await harness.log.wait(for: "stored")
      left.withLock { $0 = failures }
      try await harness.python(
        """
        c = sqlite3.connect(path)
        c.executemany("INSERT INTO t VALUES (?)", [(os.urandom(100000),) for n in range(10)])
        c.commit()
        """)
    }
    #expect(try harness.newestRows() == rows, "\(harness.log.lines)")
    let errors = harness.log.count("error: stopped while a change of \(harness.database), pending since ")
    #expect(errors == failures - 1 && harness.log.count("is in no backup: too many open files") == errors)
    #expect(harness.log.lines.last?.contains("stopped") == true)
  }

  @Test func aBackupThatOutlastsTheGraceIsAbandonedWithoutATrace() async throws {
    let log = Mutex<LogRecorder?>(nil)
    // It would not end before the agent has received the request to stop.
    let files = SlowFiles { _ in
      for _ in 0..<6000 where log.withLock({ $0?.count("stopping when the running backup is done") }) == 0 {
        usleep(10000)
      }
      usleep(300_000)
    }
    let harness = try AgentHarness(files: files)
    log.withLock { $0 = harness.log }
    try await harness.python(Self.bigDatabase(megabytes: 10))
    try await harness.withAgent(stopGrace: 0) { group in
      try await harness.log.wait(for: "backing up")
      await group.triggerGracefulShutdown()
    }
    #expect(harness.log.count("the backup was abandoned") == 1)
    #expect(try harness.points().isEmpty)
    #expect(try harness.leftovers() == [])
  }

  @Test func cancellationReturnsOnlyWhenNothingRuns() async throws {
    let harness = try AgentHarness()
    try await harness.python(Self.bigDatabase(megabytes: 10))
    let agent = AgentService(
      harness.configuration(), control: harness.control, reload: nil, logger: harness.log.logger)
    let running = Task.beside { try await agent.run() }
    try await harness.log.wait(for: "backing up")
    running.cancel()
    try await running.value
    #expect(try harness.leftovers() == [])
    #expect(harness.log.lines.last?.contains("stopped") == true)
  }

  /// A process of its own gets a real signal in the middle of a burst.
  @Test(arguments: [SIGTERM, SIGINT])
  func aSignalDuringABurstEndsTheProcessCleanly(signal: Int32) async throws {
    await #expect(processExitsWith: .success) { [signal] in
      let harness = try AgentHarness()
      try await harness.createDatabase()
      let settings = AgentHarness.settings {
        $0.debounce = 20
        $0.maxDelay = 200
      }
      async let agent: Void = AgentRunner.run(
        harness.configuration(settings), reload: nil, logger: harness.log.logger)
      async let writer: Void = harness.python(
        """
        c = sqlite3.connect(path)
        for n in range(400):
          c.execute("INSERT INTO t(s) VALUES (?)", (os.urandom(3000),))
          c.commit()
          time.sleep(0.003)
        """)
      try await harness.waitForPoints(3)
      kill(getpid(), signal)
      try await agent
      let points = try harness.points()
      guard points.count >= 3, try harness.leftovers().isEmpty, try await harness.everyPointVerifies() else { exit(3) }
      try await writer
      // Nothing more was stored.
      guard try harness.points().count == points.count else { exit(4) }
    }
  }
}
