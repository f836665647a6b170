import BackupEngine
import BackupPolicy
import Glibc
import ObjectStorage
import Replication
import ServiceLifecycle
import Synchronization
import TestSupport
import Testing

@testable import BackupAgent

/// An agent that copies to a folder.
@Suite("Agent: targets", .ownThread)
struct AgentTargetTests: TargetTests {
  @Test("Each change is copied when it is stored, and the status shows it")
  func copiesChanges() async throws {
    let harness = try AgentHarness(logLevel: .debug)
    try await harness.createDatabase()
    let target = try target(harness)
    try await harness.withAgent(configuration(harness, [target])) { _ in
      try await waitForCopies(target, harness)
      for rows in Int64(1)...3 {
        try await harness.python(insert)
        try await harness.waitForRows(rows)
        try await waitForCopies(target, harness)
      }
      let newest = try #require(try harness.points().last)
      try await harness.eventually("the state") {
        TargetRecord.load(target, harness.engine)?.newestSequence == newest.sequence.map { Int64($0) }
      }
      let status = try #require(await harness.control.status().first?.targets.first)
      #expect(status.name == "nas" && status.unsent == 0 && status.lastSuccess != nil && status.lastError == nil)
      let usage = try #require(TargetRecord.load(target, harness.engine)?.usage)
      #expect(usage.objects == 4 && usage.newest == newest.created && usage.requests.puts >= 4, "\(usage)")
    }
    #expect(try harness.points().count == 4)
    #expect(harness.log.count("target nas: sent ") == 4, "\(harness.log.lines)")
    #expect(harness.log.lines.allSatisfy { !$0.contains("target nas") || $0.hasPrefix("debug: ") })
  }

  @Test("A target that goes away delays no backup, is reported after its max_lag, and has all in the end")
  func outage() async throws {
    let time = ManualTime()
    let harness = try AgentHarness(now: { time.now() })
    try await harness.createDatabase()
    let target = try target(harness)
    var missing = 0
    let (path, away) = (harness.folder.path("nas"), harness.folder.path("unplugged"))
    try await harness.withAgent(configuration(harness, [target])) { _ in
      try await waitForCopies(target, harness)
      try SystemFileOperations().rename(path, to: away)
      for rows in Int64(1)...3 {
        time.advance(seconds: 60)
        try await harness.python(insert)
        try await harness.waitForRows(rows)
      }
      try await harness.log.wait(for: "warning: target nas: ")
      // A slow commit may be in two backups.
      missing = try harness.points().count - 1
      // A backup is on the disk before the loop knows it.
      try await harness.eventually("\(missing) unsent backups") { [missing] in
        await harness.control.status().first?.targets.first?.unsent == missing
      }
      #expect(await harness.control.status().flatMap(\.alarms).isEmpty)
      // Nothing new is stored, and no request is sent.
      time.advance(seconds: 900)
      harness.control.inbox.post(.clockSet)
      let alarm = try await alarm("target_behind", harness)
      #expect(alarm.message.contains("\(missing) backups are not there yet"), "\(alarm)")
      try SystemFileOperations().rename(away, to: path)
      try await harness.eventually("the newest backup there") {
        try copies(target).last == harness.points().last?.id
      }
      try await waitForCalm(harness)
    }
    #expect(try copies(target) == harness.points().map(\.id))
    #expect(harness.log.count("warning: target nas: ") == 1, "\(harness.log.lines)")
    #expect(harness.log.count("notice: target nas: it works again") == 1)
    #expect(harness.log.count("error: target nas: \(missing) backups are not there yet") == 1)
    #expect(harness.log.count("notice: target nas: it has the recent backups again") == 1)
  }

  @Test("At a stop, the last backup is sent although the interval is not over")
  func stopSends() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    let target = try target(harness, interval: 3_600_000)
    try await harness.withAgent(configuration(harness, [target])) { _ in
      try await waitForCopies(target, harness)
      for rows in Int64(1)...2 {
        try await harness.python(insert)
        try await harness.waitForRows(rows)
      }
      #expect(try copies(target).count == 1)
    }
    // What came between is merged for the upload.
    #expect(try copies(target) == [harness.points().first?.id, harness.points().last?.id], "\(harness.log.lines)")
    #expect(harness.log.count("warning") == 0, "\(harness.log.lines)")
  }

  @Test("A put that outlasts the grace is given up, and the next start sends the backup")
  func stopDuringPut() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    let target = try target(harness)
    let (begun, mayEnd) = (Flag(), Flag())
    let store = SlowStore(FolderStore(harness.folder.path("nas"))) {
      begun.set()
      for _ in 0..<30000 where !mayEnd.isSet { usleep(1000) }
    }
    let agent = configuration(harness, [target], stopGrace: 200)
    try await harness.withAgent(agent, parts: { $0.stores = { _ in store } }) { group in
      try await harness.eventually("a put") { begun.isSet }
      try await harness.waitForPoints(1)
      await group.triggerGracefulShutdown()
    }
    #expect(harness.log.count("warning: target nas: stopped while 1 backup is not there yet") == 1)
    #expect(harness.log.lines.last?.contains("stopped") == true, "\(harness.log.lines)")
    mayEnd.set()
    try await harness.eventually("the end of the put") { store.running == 0 }
    try await withNextAgent(harness, target) { _ in try await waitForCopies(target, harness) }
  }

  @Test("A stop between a newer and an older backup counts the older one as missing")
  func stopWithGap() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    let target = try target(harness)
    for _ in 0..<3 {
      _ = try harness.engine.create(CreateRequest(AgentHarness.settings().archive, for: BackupReason(.scheduled)))
    }
    let (begun, mayEnd) = (Flag(), Flag())
    let store = SlowStore(FolderStore(harness.folder.path("nas"))) {
      guard (try? copies(target).count) == 2 else { return }
      begun.set()
      for _ in 0..<30000 where !mayEnd.isSet { usleep(1000) }
    }
    let agent = configuration(harness, [target], stopGrace: 200)
    try await harness.withAgent(agent, parts: { $0.stores = { _ in store } }) { group in
      try await harness.eventually("the third put") { begun.isSet }
      await group.triggerGracefulShutdown()
    }
    #expect(try copies(target).last == harness.points().last?.id)
    let line = "warning: target nas: stopped while 1 backup is not there yet"
    #expect(harness.log.count(line) == 1, "\(harness.log.lines)")
    mayEnd.set()
    try await harness.eventually("the end of the put") { store.running == 0 }
  }

  @Test("A store that refuses is an alarm at once, with one line, until it accepts")
  func denied() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    let target = try target(harness)
    let store = RefusingStore(FolderStore(harness.folder.path("nas")))
    store.refuses.withLock { $0.puts = true }
    try await harness.withAgent(configuration(harness, [target]), parts: { $0.stores = { _ in store } }) { _ in
      let alarm = try await alarm("target_denied", harness)
      #expect(alarm.message == "target nas: not allowed" && alarm.hint?.contains("targets check nas") == true)
      try await harness.python(insert)
      try await harness.waitForRows(1)
      store.refuses.withLock { $0.puts = false }
      harness.control.backUpNow()
      try await waitForCalm(harness)
      try await waitForCopies(target, harness)
    }
    #expect(harness.log.lines.count { $0.hasPrefix("error: target nas") } == 1, "\(harness.log.lines)")
    #expect(harness.log.count("notice: target nas: it accepts requests again") == 1)
    #expect(harness.log.count("warning") == 0)
  }

  @Test("The alarms of a target keep their beginning over a restart, until the target works")
  func restart() async throws {
    let time = ManualTime()
    let harness = try AgentHarness(now: { time.now() })
    try await harness.createDatabase()
    let target = try target(harness)
    let store = RefusingStore(FolderStore(harness.folder.path("nas")))
    store.refuses.withLock { $0.puts = true }
    func runAgent(_ body: () async throws -> Void) async throws {
      try await harness.withAgent(configuration(harness, [target]), parts: { $0.stores = { _ in store } }) { _ in
        try await body()
      }
    }
    var beginnings: [[Timestamp]] = []
    for _ in 0..<2 {
      try await runAgent {
        let denied = try await alarm("target_denied", harness)
        time.advance(seconds: 1000)
        harness.control.inbox.post(.clockSet)
        beginnings.append([denied.since, try await alarm("target_behind", harness).since])
      }
    }
    #expect(beginnings[0] == beginnings[1])
    store.refuses.withLock { $0.puts = false }
    try await runAgent {
      try await waitForCopies(target, harness)
      try await waitForCalm(harness)
    }
    store.refuses.withLock { $0.puts = true }
    try await harness.python(insert)
    try await runAgent {
      let again = try await alarm("target_denied", harness)
      #expect(again.since > beginnings[1][1])
    }
  }

  @Test("A store that fails, works and fails again at once is one failure in the log", arguments: [true, false])
  func flapping(isRefused: Bool) async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    let target = try target(harness)
    let store = RefusingStore(FolderStore(harness.folder.path("nas")))
    if !isRefused { store.error.withLock { $0 = StoreError(.unreachable, "the connection was reset") } }
    try await harness.withAgent(configuration(harness, [target]), parts: { $0.stores = { _ in store } }) { _ in
      try await waitForCopies(target, harness)
      for rows in Int64(1)...3 {
        store.refuses.withLock { $0.puts = true }
        try await harness.python(insert)
        try await harness.waitForRows(rows)
        try await harness.eventually("the failure") { TargetRecord.load(target, harness.engine)?.unsent ?? 0 > 0 }
        store.refuses.withLock { $0.puts = false }
        harness.control.backUpNow()
        try await waitForCopies(target, harness)
        try await waitForCalm(harness)
      }
    }
    let level = isRefused ? "error" : "warning"
    #expect(harness.log.count("\(level): target nas: ") == 1, "\(harness.log.lines)")
    #expect(harness.log.count("notice: target nas: it ") == 1, "\(harness.log.lines)")
  }

  @Test("A refused removal is an alarm, and new backups are sent all the same")
  func refusedRemoval() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    var target = try target(harness)
    let store = RefusingStore(FolderStore(harness.folder.path("nas")))
    for _ in 0..<3 {
      _ = try harness.engine.create(
        CreateRequest(AgentHarness.settings().archive, for: BackupReason(.scheduled)))
    }
    _ = try Replicator(engine: harness.engine, target: target, store: store).run()
    target.settings.retention = RetentionPolicy(keepLast: 1)
    store.refuses.withLock { $0.removals = true }
    try await harness.withAgent(configuration(harness, [target]), parts: { $0.stores = { _ in store } }) { _ in
      _ = try await alarm("target_retention", harness)
      for rows in Int64(1)...2 {
        try await harness.python(insert)
        try await harness.waitForRows(rows)
        try await harness.eventually("the newest backup there") {
          try copies(target).last == harness.points().last?.id
        }
      }
      #expect(store.refused.load(ordering: .relaxed) == 1)
    }
    #expect(harness.log.lines.count { $0.hasPrefix("error: ") } == 1, "\(harness.log.lines)")
  }

  @Test("After a rollback of the machine nothing is sent, and local backups go on")
  func rollback() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    let target = try target(harness)
    let root = harness.folder.path("")
    func shell(_ script: String) throws { #expect(try Shell.run("sh", ["-c", "cd \(root) && \(script)"]).status == 0) }
    try await harness.withAgent(configuration(harness, [target])) { _ in try await waitForCopies(target, harness) }
    try shell("mkdir snapshot && cp -a backups state data snapshot/")
    try await harness.python(insert)
    try await withNextAgent(harness, target) { _ in
      try await harness.waitForRows(1)
      try await waitForCopies(target, harness)
    }
    let before = try copies(target)
    try shell("rm -r backups state data && cp -a snapshot/* .")
    try await withNextAgent(harness, target) { control in
      try await harness.log.wait(for: "error: target nas: it holds backup 2, which this repository never stored")
      #expect(await control.status().flatMap(\.alarms).map(\.kind) == ["target_foreign"])
      try await harness.python(insert)
      try await harness.waitForRows(1)
    }
    #expect(try copies(target) == before)
    #expect(harness.log.count("error: ") == 1, "\(harness.log.lines)")
  }

  @Test("After a reload, a new target gets all, one that is the same goes on, and a removed one ends")
  func reload() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    let targets = [try target(harness, "old"), try target(harness, "kept"), try target(harness, "new")]
    let next = configuration(harness, Array(targets[1...]))
    try await harness.withAgent(configuration(harness, Array(targets[..<2])), reload: { next }) { _ in
      try await waitForCopies(targets[0], harness)
      try await waitForCopies(targets[1], harness)
      harness.control.reload()
      try await waitForCopies(targets[2], harness)
      try await harness.python(insert)
      try await harness.waitForRows(1)
      try await waitForCopies(targets[1], harness)
      try await waitForCopies(targets[2], harness)
      #expect(await harness.control.status().first?.targets.map(\.name) == ["kept", "new"])
    }
    #expect(try copies(targets[0]).count == 1)
    #expect(harness.log.count("target old: nothing is sent to it any more") == 1, "\(harness.log.lines)")
    // One writer record a start.
    let records = try FolderStore(harness.folder.path("kept")).listAll(ListQuery()).objects.filter {
      $0.key.contains("/writers/")
    }
    #expect(records.count == 1)
  }

  @Test("What a target does not have yet stays in the repository for 7 days")
  func retention() async throws {
    let time = ManualTime()
    let harness = try AgentHarness(now: { time.now() })
    try await harness.createDatabase()
    let target = try target(harness)
    let settings = AgentHarness.settings { $0.retention = RetentionPolicy(keepLast: 1) }
    let worker = DatabaseWorker(
      AgentDatabase(name: "app", engine: harness.engine, settings: settings, targets: [target]),
      KeptConnection(harness.engine.environment), harness.log.logger)
    let order = HousekeepingOrder(retention: settings.retention)
    func keepHouse() -> Bool { worker.housekeeping.run(order, Progress()).hasChanged }
    func store() throws {
      time.advance(seconds: 60)
      _ = try harness.engine.create(CreateRequest(settings.archive, for: BackupReason(.scheduled)))
    }
    for _ in 0..<3 { try store() }
    #expect(!keepHouse())
    #expect(try harness.points().count == 3)
    _ = try Replicator(engine: harness.engine, target: target, store: FolderStore(harness.folder.path("nas"))).run()
    #expect(keepHouse())
    #expect(try harness.points().count == 1 && copies(target).count == 3)
    for _ in 0..<2 { try store() }
    #expect(keepHouse())
    #expect(try harness.points().count == 2)
    time.advance(seconds: 8 * 86400)
    #expect(keepHouse())
    #expect(try harness.points().count == 1)
  }

  @Test("A full target is an alarm until it has space", .enabled(if: AgentAlarmTests.mayMount))
  func full() async throws {
    let time = ManualTime()
    let harness = try AgentHarness(now: { time.now() })
    try await harness.python(
      "c = sqlite3.connect(path); c.execute('CREATE TABLE t(s)'); "
        + "c.executemany('INSERT INTO t VALUES (?)', [(os.urandom(100000),)] * 10); c.commit(); c.close()")
    let target = try target(harness)
    let path = harness.folder.path("nas")
    #expect(try Shell.run("mount", ["-t", "tmpfs", "-o", "size=3m", "tmpfs", path]).status == 0)
    defer { _ = try? Shell.run("umount", ["-l", path]) }
    let ballast = "\(path)/ballast"
    #expect(try Shell.run("dd", ["if=/dev/zero", "of=\(ballast)", "bs=1M", "count=4"]).status != 0)
    try await harness.withAgent(configuration(harness, [target])) { _ in
      let alarm = try await alarm("target_full", harness)
      #expect(alarm.hint?.contains("free space in the target") == true)
      #expect(try harness.points().count == 1)
      try SystemFileOperations().unlink(ballast)
      harness.control.backUpNow()
      try await waitForCalm(harness)
      try await waitForCopies(target, harness)
    }
    #expect(harness.log.count("target nas: it has space again") == 1, "\(harness.log.lines)")
    #expect(harness.log.lines.count { $0.hasPrefix("error: ") } == 1, "\(harness.log.lines)")
  }
}
