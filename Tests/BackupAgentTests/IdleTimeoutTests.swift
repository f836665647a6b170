import TestSupport
import Testing

@testable import BackupAgent

@Suite(.ownThread) struct IdleTimeoutTests {
  private func begin(_ timeout: inout IdleTimeout, at time: Int64) -> Bool { timeout.beginJob(at: time) }

  @Test func itIsLetGoAWhileAfterTheLastJobOrChange() {
    var timeout = IdleTimeout()
    timeout.recordChange(at: 0)
    #expect(timeout.deadline == nil)
    #expect(!begin(&timeout, at: 10))
    timeout.recordChange(at: 15)
    #expect(timeout.deadline == nil)
    timeout.endJob(isOpen: true, at: 20)
    #expect(timeout.deadline == 2020)
    timeout.recordChange(at: 1000)
    #expect(timeout.deadline == 3000)
    #expect(!begin(&timeout, at: 2999))
    timeout.endJob(isOpen: true, at: 3000)
    #expect(timeout.deadline == 5000)
    #expect(begin(&timeout, at: 5000))
    timeout.endJob(isOpen: false, at: 5001)
    #expect(timeout.deadline == nil)
  }

  @Test func itIsLetGoAtOnceWhenTheApplicationCloses() {
    var timeout = IdleTimeout()
    _ = timeout.beginJob(at: 0)
    timeout.endJob(isOpen: true, at: 1)
    timeout.recordClose(at: 2)
    #expect(timeout.deadline == 2)
    timeout.recordChange(at: 3)
    #expect(timeout.deadline == 2)
    // If a job comes first, it closes the connection before it does anything else.
    #expect(begin(&timeout, at: 4))
    timeout.endJob(isOpen: true, at: 5)
    #expect(timeout.deadline == 2005)
  }

  @Test func whoClosesDuringAJobIsNotForgotten() {
    var timeout = IdleTimeout()
    _ = timeout.beginJob(at: 0)
    timeout.recordClose(at: 1)
    timeout.recordChange(at: 2)
    timeout.endJob(isOpen: true, at: 3)
    #expect(timeout.deadline == 3)
    // The closed connection does not affect another one.
    #expect(begin(&timeout, at: 4))
    timeout.endJob(isOpen: true, at: 5)
    #expect(timeout.deadline == 2005)
  }

  /// The log restarts between two backups; only a connection that stays open can follow that.
  @Test func aWriterWhoseLogStartsAnewIsFollowed() async throws {
    let harness = try AgentHarness(logLevel: .debug)
    try await harness.createDatabase()
    try await harness.python(
      "c = sqlite3.connect(path); c.execute('INSERT INTO t(s) VALUES (randomblob(3000000))'); c.commit()")
    let writer = try ProcessInBackground(
      "python3",
      [
        "-c",
        """
        import os, sqlite3, sys, time
        c, parent = sqlite3.connect(sys.argv[1], isolation_level=None), os.getppid()
        c.execute("PRAGMA wal_autocheckpoint=60")
        while os.getppid() == parent:
          c.execute("INSERT INTO t(s) VALUES (randomblob(3000))")
          time.sleep(0.03)
        """, harness.database,
      ])
    try await harness.withAgent(AgentHarness.settings { $0.maxDelay = 300 }) { _ in
      try await harness.log.wait(for: "followed: one reset")
    }
    writer.stop()
    #expect(try await harness.everyPointVerifies())
  }

  @Test func theApplicationMayLeaveWALModeSoonAfterItsLastWrite() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    try await harness.withAgent { _ in
      try await harness.waitForPoints(1)
      try await harness.python(
        """
        # The agent may be closing the database: it holds all locks then.
        c = sqlite3.connect(path, timeout=10, isolation_level=None)
        c.execute("INSERT INTO t(s) VALUES (1)")
        c.execute("PRAGMA busy_timeout = 0")
        for n in range(19):
          c.execute("INSERT INTO t(s) VALUES (1)")
          time.sleep(0.02)
        end = time.monotonic() + 10
        while True:
          try:
            c.execute("PRAGMA journal_mode=DELETE")
            break
          except sqlite3.OperationalError as error:
            if time.monotonic() > end: raise
            time.sleep(0.05)
        """)
      try await harness.waitForRows(20)
    }
  }
}
