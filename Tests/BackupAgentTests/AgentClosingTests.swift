import BackupEngine
import BackupPolicy
import Glibc
import Testing
import TestSupport

@testable import BackupAgent

/// An application closes the database while a backup reads it.
@Suite(.ownThread) struct AgentClosingTests {
  private static let megabytes = 8

  /// An application that writes some MiB, then waits for a signal to close.
  private static let application = """
    import os, sqlite3, sys, time
    path, word = sys.argv[1:3]
    c = sqlite3.connect(path)
    c.execute("PRAGMA journal_mode=wal")
    c.execute("CREATE TABLE t(n INTEGER PRIMARY KEY, s)")
    c.executemany("INSERT INTO t(s) VALUES (?)", [(os.urandom(100000),) for n in range(\(megabytes * 10))])
    c.commit()
    print("written", flush=True)
    while not os.path.exists(word): time.sleep(0.01)
    c.close()
    print("closed", flush=True)
    while True: time.sleep(1)
    """

  private func settings() -> AgentSettings {
    AgentHarness.settings {
      $0.pollInterval = 3_600_000
      $0.archive.compress = false
    }
  }

  @Test func theBackupMakesWayAndIsTakenAfterwards() async throws {
    // The backup pauses in the middle of its read until the test continues it.
    let (isReading, mayGoOn) = (Flag(), Flag())
    let harness = try AgentHarness(
      files: SlowFiles { write in
        guard write >= 3 else { return }
        isReading.set()
        while !mayGoOn.isSet { usleep(1000) }
      })
    let word = harness.folder.path("word")
    let application = try ProcessInBackground("python3", ["-c", Self.application, harness.database, word])
    try await harness.wait(for: "written", of: application)
    try await harness.withAgent(settings()) { _ in
      // The agent cannot end before.
      defer { mayGoOn.set() }
      try await harness.log.wait(for: "backing up app")
      try await harness.eventually("reading") { isReading.isSet }
      // The answer shows that the loop has handled the report of the read.
      _ = await harness.control.status()
      try harness.folder.write("word", [])
      try await harness.log.wait(for: "the backup yields because the application closes the database")
      mayGoOn.set()
      try await harness.waitForRows(Int64(Self.megabytes * 10))
      try await harness.eventually("the side files to go") {
        let files = SystemFileOperations()
        return try files.status(harness.database + "-wal") == nil && files.status(harness.database + "-shm") == nil
      }
    }
    #expect(harness.log.count("yields because") == 1)
    #expect(harness.log.count("abandoned") == 0)
    #expect(try harness.points().count == 1)
    #expect(try harness.leftovers() == [])
  }

  /// Readers that come and go also close the database, but an application that still writes has not
  /// closed it.
  @Test func aBackupIsNotGivenUpWhileTheApplicationWrites() async throws {
    let harness = try AgentHarness(files: SlowFiles(milliseconds: 150))
    let writer = try ProcessInBackground(
      "python3",
      [
        "-c",
        """
        import os, sqlite3, sys, time
        c = sqlite3.connect(sys.argv[1])
        c.execute("PRAGMA journal_mode=wal")
        c.execute("CREATE TABLE t(n INTEGER PRIMARY KEY, s)")
        c.executemany("INSERT INTO t(s) VALUES (?)", [(os.urandom(100000),) for n in range(80)])
        c.commit()
        print("written", flush=True)
        while True:
          c.execute("INSERT INTO t(s) VALUES ('x')")
          c.commit()
          sqlite3.connect(sys.argv[1]).execute("SELECT count(*) FROM t").fetchone()
          time.sleep(0.05)
        """, harness.database,
      ])
    try await harness.wait(for: "written", of: writer)
    try await harness.withAgent(settings()) { _ in try await harness.waitForPoints(1) }
    #expect(harness.log.count("yields because") == 0, "\(harness.log.lines)")
  }
}
