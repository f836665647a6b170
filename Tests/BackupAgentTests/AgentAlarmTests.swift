import BackupEngine
import BackupPolicy
import Glibc
import Synchronization
import Testing
import TestSupport

@testable import BackupAgent

/// The agent reports an obstacle once when it begins and once when it ends. The alarm ends by
/// itself.
@Suite(.ownThread) struct AgentAlarmTests {
  private func settings() -> AgentSettings { AgentHarness.settings { $0.pollInterval = 3_600_000 } }

  /// Waits for the one alarm of this kind and returns it.
  private func alarm(_ kind: String, _ harness: AgentHarness) async throws -> AlarmStatus {
    for _ in 0..<3000 {
      let alarms = await harness.control.status().flatMap(\.alarms)
      if let alarm = alarms.first(where: { $0.kind == kind }) { return alarm }
      try await Task.sleep(for: .milliseconds(10))
    }
    throw HoldfastError(.failed, "no alarm \(kind): \(harness.log.lines)")
  }

  private func waitForCalm(_ harness: AgentHarness) async throws {
    for _ in 0..<3000 {
      if await harness.control.status().allSatisfy({ $0.alarms.isEmpty }) { return }
      try await Task.sleep(for: .milliseconds(10))
    }
    throw HoldfastError(.failed, "the alarms stay: \(harness.log.lines)")
  }

  static let mayMount =
    (try? Shell.run("sh", ["-c", "d=$(mktemp -d) && mount -t tmpfs -o size=1m tmpfs $d && umount $d && rmdir $d"])
      .status) == 0

  /// A real full disk. The agent gets no notice when there is room again.
  @Test(.enabled(if: mayMount, "file systems cannot be mounted here"))
  func aFullDiskIsAnAlarmUntilThereIsRoom() async throws {
    let harness = try AgentHarness()
    try await harness.python(
      "c = sqlite3.connect(path); c.execute('CREATE TABLE t(s)'); "
        + "c.executemany('INSERT INTO t VALUES (?)', [(os.urandom(100000),)] * 10); c.commit(); c.close()")
    try SystemFileOperations().makeFolder(harness.backups)
    let mounted = try Shell.run("mount", ["-t", "tmpfs", "-o", "size=3m", "tmpfs", harness.backups])
    #expect(mounted.status == 0)
    defer { _ = try? Shell.run("umount", ["-l", harness.backups]) }
    let ballast = harness.backups + "/ballast"
    #expect(try Shell.run("dd", ["if=/dev/zero", "of=\(ballast)", "bs=1M", "count=4"]).status != 0)
    try await harness.withAgent(settings()) { _ in
      let alarm = try await alarm("disk_full", harness)
      #expect(alarm.hint?.contains("free some space") == true)
      #expect(try harness.points().isEmpty)
      try SystemFileOperations().unlink(ballast)
      try await harness.waitForRows(10)
      try await waitForCalm(harness)
    }
    #expect(harness.log.count("no space left on device") == 1, "\(harness.log.lines)")
    #expect(harness.log.count("has free space again") == 1)
    #expect(try harness.leftovers() == [])
  }

  @Test func aDatabaseThatSomebodyHoldsIsAnAlarmUntilItIsLetGo() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase(journal: "delete")
    let environment = harness.engine.environment
    let holder = try ProcessInBackground(
      "python3",
      [
        "-c",
        """
        import os, sqlite3, sys, time
        c = sqlite3.connect(sys.argv[1])
        c.execute("PRAGMA locking_mode=EXCLUSIVE")
        c.execute("INSERT INTO t(s) VALUES (1)")
        c.commit()
        print("held", flush=True)
        while not os.path.exists(sys.argv[2]): time.sleep(0.01)
        """, harness.database, harness.folder.path("word"),
      ])
    try await harness.wait(for: "held", of: holder)
    var quick = environment
    quick.busyTimeout = 100
    let engine = Engine(
      database: harness.database, folder: harness.backups, credentials: harness.engine.credentials, environment: quick)
    let configuration = AgentConfiguration(
      databases: [AgentDatabase(name: "app", engine: engine, settings: settings())])
    try await harness.withAgent(configuration) { _ in
      _ = try await alarm("locked", harness)
      try harness.folder.write("word", [])
      try await harness.waitForRows(1)
      try await waitForCalm(harness)
    }
    #expect(harness.log.count("can be read again") == 1, "\(harness.log.lines)")
    #expect(harness.log.lines.count { $0.hasPrefix("error: ") } == 1, "\(harness.log.lines)")
  }

  @Test("An alarm that lasts over a restart keeps its beginning, and one that has ended does not come back")
  func restart() async throws {
    let harness = try AgentHarness()
    var beginnings: [Timestamp] = []
    for _ in 0..<2 {
      try await harness.withAgent(settings()) { _ in beginnings.append(try await alarm("missing", harness).since) }
    }
    #expect(beginnings[0] == beginnings[1])
    try await harness.createDatabase()
    try await harness.withAgent(settings()) { _ in
      try await harness.waitForPoints(1)
      try await harness.log.wait(for: "stored ")
    }
    try SystemFileOperations().unlink(harness.database)
    try await harness.withAgent(settings()) { _ in
      let again = try await alarm("missing", harness)
      #expect(again.since > beginnings[0])
    }
  }

  @Test func aFileThatIsNoDatabaseIsAnAlarmUntilItIsOneAgain() async throws {
    let harness = try AgentHarness()
    try harness.folder.write("data/app.db", Array("this is not a database, but long enough to be one".utf8))
    try await harness.withAgent(settings()) { _ in
      #expect(try await alarm("corrupt", harness).since <= SystemClock.now())
      #expect(try harness.points().isEmpty)
      try SystemFileOperations().unlink(harness.database)
      try await harness.createDatabase()
      try await harness.waitForRows(0)
      try await waitForCalm(harness)
    }
  }

  @Test func anAlarmThatLastsIsLoggedOnceAnHour() async throws {
    let skipped = Mutex(Int64(0))
    let harness = try AgentHarness(
      monotonic: { SystemClock.monotonic() + skipped.withLock { $0 } }, logLevel: .debug)
    try harness.folder.write("data/app.db", Array("this is not a database, but long enough to be one".utf8))
    try await harness.withAgent(settings()) { _ in
      _ = try await alarm("corrupt", harness)
      for hour in 1...3 {
        for _ in 0..<3 {
          let known = harness.log.count("debug: still: ")
          harness.control.backUpNow()
          try await harness.eventually("another failure") { harness.log.count("debug: still: ") > known }
        }
        #expect(harness.log.count("error: since ") == hour - 1, "\(harness.log.lines)")
        skipped.withLock { $0 += 61 * 60_000 }
        harness.control.backUpNow()
        try await harness.eventually("a line of this hour") { harness.log.count("error: since ") == hour }
      }
      #expect(harness.log.lines.count { $0.hasPrefix("error: ") } == 4, "\(harness.log.lines)")
    }
  }

  @Test func theStatusHasAJSONForm() async throws {
    let harness = try AgentHarness()
    try await harness.withAgent(settings()) { _ in
      _ = try await alarm("missing", harness)
      let status = try #require(await harness.control.status().first)
      let parsed = try #require(JSONValue(parsing: status.json.encoded()))
      guard case .object(let keys) = parsed, case .object(let trigger)? = keys["trigger"],
        case .array(let alarms)? = keys["alarms"], case .object(let alarm)? = alarms.first
      else {
        Issue.record("\(parsed)")
        return
      }
      #expect(keys["name"] == .string("app") && keys["watching"] == .bool(true) && keys["last_backup_id"] == .null)
      #expect(trigger["state"] == .string("idle") && trigger["mode"] == .string("change"))
      #expect(alarm["kind"] == .string("missing") && alarm["hint"] != .null)
    }
    #expect(await harness.control.status().isEmpty, "after the end nobody answers")
  }

  /// The repository's folder disappears: the agent raises an alarm and creates no new folder. The
  /// folder returns, and so does its lock.
  @Test func aBackupFolderThatIsAwayIsAnAlarmUntilItIsBack() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    try await harness.withAgent(settings()) { _ in
      try await harness.waitForPoints(1)
      try await harness.log.wait(for: "stored ")
      let away = harness.folder.path("away")
      #expect(try Shell.run("mv", [harness.backups, away]).status == 0)
      try await harness.python("c = sqlite3.connect(path); c.execute('INSERT INTO t(s) VALUES (1)'); c.commit()")
      try await harness.log.wait(for: "are not there: a disk that is not mounted")
      #expect(try SystemFileOperations().status(harness.backups) == nil)
      #expect(try Shell.run("mv", [away, harness.backups]).status == 0)
      try await harness.waitForRows(1)
      #expect(throws: HoldfastError.self) { try AgentLock(harness.engine).ensure() }
    }
  }
}
