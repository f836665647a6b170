import BackupEngine
import BackupPolicy
import Testing
import TestSupport

@testable import BackupAgent

/// Hazards of a careless watcher, tried on the running agent.
@Suite(.ownThread) struct AgentHazardTests {
  private let files = SystemFileOperations()

  private func content(_ path: String) throws -> [UInt8] { try files.contents(path) ?? [] }

  /// Another database, cleanly closed, with another schema.
  private func makeOther(_ harness: AgentHarness) async throws -> String {
    try await harness.python(
      """
      c = sqlite3.connect(path + ".new")
      c.execute("CREATE TABLE u(x)")
      c.executemany("INSERT INTO u VALUES (?)", [(os.urandom(400),)] * 400)
      c.commit()
      c.close()
      """)
    return harness.database + ".new"
  }

  private static let fill = """
    c.execute("PRAGMA wal_autocheckpoint=0")
    c.executemany("INSERT INTO t(s) VALUES (?)", [("x" * 900,)] * 300)
    c.commit()
    """

  /// `ino`: inotify wakes the agent before it can read the commit, and no event follows the commit.
  @Test(arguments: ["FULL", "NORMAL", "OFF"])
  func everyCommitIsFoundAlthoughTheWakeUpComesBeforeIt(synchronous: String) async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    let settings = AgentHarness.settings {
      $0.debounce = 0
      $0.minInterval = 0
    }
    try await harness.withAgent(settings) { _ in
      try await harness.waitForPoints(1)
      // Each is a commit of its own: the first one of a new log, and one that does not fit the
      // cache.
      var steps: [StagedApplication.Step] = [
        .open, .run("PRAGMA synchronous=\(synchronous)"), .run("PRAGMA cache_size=3"), .wait,
      ]
      for row in 1...12 {
        steps += [.run("INSERT INTO t(s) VALUES (\(row == 7 ? "zeroblob(200000)" : "1"))"), .wait]
      }
      let application = try StagedApplication(harness.database, folder: harness.folder, steps)
      for row in Int64(1)...12 {
        try application.goOn()
        try await harness.waitForRows(row)
      }
    }
  }

  /// `e8`: if a crashed application's log were checkpointed into a file that was copied over the
  /// database, it would destroy that file.
  @Test func aFileThatIsCopiedOverBesideACrashedLogIsNotTouched() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    let other = try await makeOther(harness)
    try await harness.withAgent { _ in
      try await harness.waitForPoints(1)
      try await harness.python("c = sqlite3.connect(path)\n\(Self.fill)\nos._exit(0)")
      try await harness.waitForRows(300)
      _ = try Shell.run("cp", [other, harness.database])
      try await Task.sleep(for: .milliseconds(1500))
      #expect(try content(harness.database) == content(other))
      #expect(try files.status(harness.database + "-wal") != nil)
    }
    #expect(try content(harness.database) == content(other))
  }

  /// `e12`: the application closes, and at once a file takes the database's place, copied (the same
  /// inode) or moved.
  @Test(arguments: ["cp", "mv"])
  func aFileThatTakesTheDatabasesPlaceRightAfterItsCloseIsNotMixedWithTheLog(command: String) async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    // Not at once: while the last few pages are copied, neither the agent nor the application can
    // keep a `cp` out.
    try await harness.withAgent { _ in
      try await harness.waitForPoints(1)
      for _ in 1...4 {
        let other = try await makeOther(harness)
        let expected = try content(other)
        try await harness.python(
          """
          import subprocess
          c = sqlite3.connect(path)
          c.execute("PRAGMA journal_mode=wal")
          c.execute("CREATE TABLE IF NOT EXISTS t(n INTEGER PRIMARY KEY, s)")
          \(Self.fill)
          time.sleep(0.05)
          c.close()
          subprocess.run(["\(command)", path + ".new", path], check=True)
          """)
        try await Task.sleep(for: .milliseconds(700))
        #expect(try content(harness.database) == expected)
        try? files.unlink(harness.database + "-wal")
        try? files.unlink(harness.database + "-shm")
        try? files.unlink(other)
      }
    }
  }

  /// No other program sees its later commits until it closes the database and SQLite checkpoints
  /// the deleted log.
  @Test func aLogDeletedUnderItsApplicationIsAnAlarmUntilThatHasClosed() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    try await harness.withAgent(AgentHarness.settings { $0.pollInterval = 300 }) { _ in
      let application = try StagedApplication(
        harness.database, folder: harness.folder,
        [
          .open, .run("INSERT INTO t(s) VALUES ('first')"), .wait, .run("INSERT INTO t(s) VALUES ('second')"), .wait,
          .close,
        ])
      try await harness.waitForRows(1)
      for suffix in ["-wal", "-shm"] { try files.unlink(harness.database + suffix) }
      try application.goOn()
      try await harness.log.wait(for: "app.db-wal was deleted or moved while python3 (process \(application.id))")
      #expect(throws: HoldfastError.self) { try harness.engine.create(CreateRequest()) }
      #expect(try harness.newestRows() == 1)
      try application.goOn()
      try await harness.waitForRows(2)
      try await harness.log.wait(for: "no application writes to a deleted log")
    }
  }

  /// The application is also gone: the database is older than the newest backup.
  @Test func aDatabaseThatLostItsLogIsNotTheNewestBackup() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    try await harness.withAgent(AgentHarness.settings { $0.pollInterval = 300 }) { _ in
      // The application has no patience, and the agent is busy with the first backup.
      try await harness.eventually("the first backup") { await harness.control.status().first?.lastPoint != nil }
      let application = try StagedApplication(
        harness.database, folder: harness.folder, [.open, .run("INSERT INTO t(s) VALUES ('first')"), .wait])
      try await harness.waitForRows(1)
      // Otherwise the agent's connection would be the last one and would checkpoint the log.
      try await harness.eventually("the agent to close the database") {
        try files.list("/proc/self/fd").allSatisfy {
          (try? files.status("/proc/self/fd/\($0)"))?.inode != (try files.status(harness.database)?.inode)
        }
      }
      application.kill()
      for suffix in ["-wal", "-shm"] { try files.unlink(harness.database + suffix) }
      try await harness.log.wait(for: "app.db has lost commits that backup_")
      #expect(try harness.newestRows() == 1)
      let before = try harness.points().count
      try await harness.python(
        "c = sqlite3.connect(path); c.executemany('INSERT INTO t(s) VALUES (?)', [('a',)] * 5); c.commit(); os._exit(0)"
      )
      try await harness.waitForRows(5)
      #expect(try harness.points().count > before)
    }
    #expect(try await harness.everyPointVerifies())
  }

  /// If a log outlives the application's last close, SQLite applies it to the next file at that
  /// path.
  @Test(arguments: [0, 150]) func theLogGoesWithTheApplicationsLastClose(debounce: Int64) async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    try await harness.withAgent(AgentHarness.settings { $0.debounce = debounce }) { _ in
      try await harness.waitForPoints(1)
      let late = harness.folder.path("late")
      for burst in 1...8 {
        try await harness.python(
          """
          c = sqlite3.connect(path)
          for n in range(\(burst * 5)):
            c.execute("INSERT INTO t(s) VALUES (randomblob(3000))")
            c.commit()
          time.sleep(0.0\(burst))
          c.close()
          closed = time.monotonic()
          while os.path.exists(path + "-wal"):
            if time.monotonic() > closed + 20: sys.exit("the log is still there")
            time.sleep(0.01)
          if time.monotonic() > closed + 1: open("\(late)", "a").write("x")
          """)
      }
      // Some take longer on a busy machine. If the agent locked the database until writing stops,
      // each would take two seconds.
      #expect(try files.status(late)?.size ?? 0 < 4)
      try await harness.waitForRows(Int64((1...8).reduce(0) { $0 + $1 * 5 }))
    }
  }

  /// If the agent's connection stayed open, both would fail forever.
  @Test func theApplicationMayChangeModesSoonAfterItsLastWrite() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    try await harness.withAgent { _ in
      try await harness.waitForPoints(1)
      for change in ["PRAGMA journal_mode=DELETE", "PRAGMA journal_mode=WAL", "PRAGMA locking_mode=EXCLUSIVE"] {
        try await harness.python(
          """
          # The agent may be closing the database: it holds all locks then.
          c = sqlite3.connect(path, timeout=10, isolation_level=None)
          c.execute("INSERT INTO t(s) VALUES (1)")
          c.execute("PRAGMA busy_timeout = 0")
          end = time.monotonic() + 20
          while True:
            try:
              c.execute("\(change)")
              c.execute("INSERT INTO t(s) VALUES (2)")
              break
            except sqlite3.OperationalError as error:
              if time.monotonic() > end: raise
              time.sleep(0.05)
          c.close()
          """)
      }
      try await harness.waitForRows(6)
    }
  }

  /// `e14`: counts how often other programs fail to open the database, alone and beside the agent.
  @Test func whoWaitsAMomentIsNeverRefused() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    let script = """
      def opened(timeout):
        refused = 0
        for n in range(150):
          c = sqlite3.connect(path, timeout=timeout, isolation_level=None)
          try:
            c.execute("INSERT INTO t(s) VALUES (1)")
          except sqlite3.OperationalError:
            refused += 1
          c.close()
          time.sleep(0.0005)
        return refused
      print(opened(0), opened(5))
      """
    let alone = try await counts(harness, script)
    try await harness.withAgent(
      AgentHarness.settings {
        $0.debounce = 0
        $0.minInterval = 0
      }
    ) { _ in
      try await harness.waitForPoints(1)
      var beside = try await counts(harness, script)
      // Who has SQLite's lock and waits for a processor refuses many openings in that time.
      for _ in 0..<2 where beside[0] >= 60 {
        let again = try await counts(harness, script)
        beside = [min(beside[0], again[0]), max(beside[1], again[1])]
      }
      print(
        "openings of 150 that were refused, with no timeout and with 5 s: alone \(alone), beside the agent \(beside)")
      #expect(alone == [0, 0])
      #expect(beside[1] == 0)
      #expect(beside[0] < 60)
    }
  }

  private func counts(_ harness: AgentHarness, _ script: String) async throws -> [Int] {
    let result = try await offPool { [database = harness.database] in
      try Python.run(
        script: "import os, sqlite3, sys, time\npath = sys.argv[1]\n" + script, arguments: [database])
    }
    #expect(result.status == 0, "\(result.stderr)")
    return result.stdout.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
  }
}
