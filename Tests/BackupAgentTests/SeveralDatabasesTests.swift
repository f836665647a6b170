import BackupEngine
import BackupPolicy
import Glibc
import Testing
import TestSupport

@testable import BackupAgent

/// Several databases in one agent, in one folder.
@Suite(.ownThread) struct SeveralDatabasesTests {
  /// Databases `one` and `two` beside the harness's own, each with a repository of its own.
  private struct Bed {
    let harness: AgentHarness
    private let engines: [String: Engine]

    init() throws {
      let harness = try AgentHarness()
      self.harness = harness
      engines = Dictionary(
        uniqueKeysWithValues: ["one", "two", "three"].map { name in
          (
            name,
            Engine(
              database: harness.folder.path("data/\(name).db"), folder: harness.folder.path("backups-\(name)"),
              credentials: harness.engine.credentials, environment: harness.engine.environment)
          )
        })
    }

    func engine(_ name: String) throws -> Engine { try #require(engines[name]) }

    func configuration(
      _ names: [String], _ change: (inout AgentSettings) -> Void = { _ in }
    ) throws -> AgentConfiguration {
      AgentConfiguration(
        databases: try names.map {
          AgentDatabase(
            name: $0, engine: try engine($0),
            settings: AgentHarness.settings {
              $0.pollInterval = 3_600_000
              change(&$0)
            })
        })
    }

    func insert(_ name: String, rows: Int = 1) async throws {
      let path = harness.folder.path("data/\(name).db")
      try await offPool {
        let result = try Python.run(
          script: """
            import os, sqlite3, sys
            c = sqlite3.connect(sys.argv[1])
            c.execute("PRAGMA journal_mode=wal")
            c.execute("CREATE TABLE IF NOT EXISTS t(n INTEGER PRIMARY KEY, s)")
            c.executemany("INSERT INTO t(s) VALUES (?)", [("x",)] * int(sys.argv[2]))
            c.commit()
            os._exit(0)
            """, arguments: [path, "\(rows)"])
        #expect(result.status == 0, "\(result.stderr)")
      }
    }

    /// Acquires the lock of a repository that no agent guards. If another test starts a child just
    /// then, the child has a copy of all descriptors until it becomes its program.
    func lock(_ name: String) async throws -> AgentLock {
      let lock = AgentLock(try engine(name))
      try await harness.eventually("the lock of \(name)") { (try? lock.ensure()) != nil }
      return lock
    }

    func points(_ name: String) throws -> [StoredPoint] {
      let engine = try engine(name)
      return try SystemFileOperations().status(engine.folder) == nil ? [] : engine.list()
    }

    func waitForRows(_ name: String, _ count: Int64) async throws {
      try await harness.eventually("a point of \(name) with \(count) rows") {
        try points(name).first.map { try harness.rows.count($0.id, engine(name)) } == count
      }
    }
  }

  @Test func eachIsBackedUpForItsOwnChangesAlone() async throws {
    let bed = try Bed()
    for name in ["one", "two"] { try await bed.insert(name) }
    try await bed.harness.withAgent(bed.configuration(["one", "two"])) { _ in
      for name in ["one", "two"] { try await bed.waitForRows(name, 1) }
      try await bed.insert("one", rows: 4)
      try await bed.waitForRows("one", 5)
      try await Task.sleep(for: .milliseconds(1000))
      #expect(try bed.points("one").count == 2)
      #expect(try bed.points("two").count == 1, "\(bed.harness.log.lines)")
      bed.harness.control.backUpNow("two")
      try await bed.harness.eventually("a manual point") { try bed.points("two").count == 2 }
      #expect(try bed.points("two").first?.metadata.backupType == .manual)
      bed.harness.control.backUpNow()
      try await bed.harness.eventually("two manual points") {
        let counts = [try bed.points("one").count, try bed.points("two").count]
        return counts == [3, 3]
      }
    }
    #expect(bed.harness.log.count("info: one: stored backup_") == 3)
    #expect(bed.harness.log.count("info: two: stored backup_") == 3)
  }

  @Test func aMissingOneDoesNotKeepTheOthersFromTheirBackups() async throws {
    let bed = try Bed()
    try await bed.insert("two")
    try await bed.harness.withAgent(bed.configuration(["one", "two"])) { _ in
      try await bed.waitForRows("two", 1)
      try await bed.harness.log.wait(for: "two: stored backup_")
      let status = await bed.harness.control.status()
      #expect(status.map(\.name) == ["one", "two"])
      #expect(status[0].alarms.map(\.kind) == ["missing"] && status[0].lastPoint == nil)
      let newest = try bed.points("two").first?.id
      #expect(status[1].alarms == [] && status[1].lastPoint == newest)
      #expect(status[1].trigger.decisions.contains { $0.kind == .start(.change) })
      try await bed.insert("one")
      try await bed.waitForRows("one", 1)
    }
  }

  @Test func aReloadAddsDropsAndChanges() async throws {
    let bed = try Bed()
    for name in ["one", "two", "three"] { try await bed.insert(name) }
    for _ in 0..<2 { _ = try bed.engine("two").create(CreateRequest()) }
    let first = try bed.configuration(["one", "two"])
    let second = try bed.configuration(["two", "three"]) { $0.retention = RetentionPolicy(keepLast: 1) }
    try await bed.harness.withAgent(first, reload: { second }) { _ in
      for name in ["one", "two"] { try await bed.waitForRows(name, 1) }
      bed.harness.control.reload()
      try await bed.harness.log.wait(for: "the configuration was reloaded")
      try await bed.waitForRows("three", 1)
      for name in ["one", "two", "three"] { try await bed.insert(name) }
      for name in ["two", "three"] { try await bed.waitForRows(name, 2) }
      try await bed.harness.eventually("retention") {
        try bed.points("two").filter { $0.metadata.backupType == .manual }.count == 1
      }
      #expect(await bed.harness.control.status().map(\.name) == ["two", "three"])
      #expect(try bed.points("one").count == 1)
      // Another agent may now guard it.
      let other = try await bed.lock("one")
      defer { other.release() }
      #expect(throws: HoldfastError.self) { try AgentLock(try bed.engine("two")).ensure() }
    }
    #expect(bed.harness.log.count("one is no longer watched") == 1)
  }

  @Test func aDatabaseThatIsRenamedWithItsPathContinuesInItsRepository() async throws {
    let bed = try Bed()
    try await bed.insert("one")
    let old = try bed.engine("one")
    let moved = Engine(
      database: bed.harness.folder.path("data/two.db"), folder: old.folder, credentials: old.credentials,
      environment: old.environment)
    let settings = AgentHarness.settings { $0.pollInterval = 3_600_000 }
    let second = AgentConfiguration(databases: [AgentDatabase(name: "two", engine: moved, settings: settings)])
    try await bed.harness.withAgent(bed.configuration(["one"]), reload: { second }) { _ in
      try await bed.waitForRows("one", 1)
      #expect(try Shell.run("mv", [old.requireDatabase(), moved.requireDatabase()]).status == 0)
      bed.harness.control.reload()
      try await bed.harness.eventually("the watch of the new path") {
        bed.harness.log.count("watching \(bed.harness.folder.path("data/two.db"))") == 1
      }
      try await bed.insert("two", rows: 2)
      try await bed.harness.eventually("a backup under the new path") {
        try moved.list().first?.metadata.databasePath == bed.harness.folder.path("data/two.db")
      }
      #expect(await bed.harness.control.status().map(\.name) == ["two"])
    }
    #expect(bed.harness.log.count("was not reloaded") == 0, "\(bed.harness.log.lines)")
  }

  @Test func aReloadThatFailsLeavesEverythingAsItWas() async throws {
    let bed = try Bed()
    for name in ["one", "two", "three"] { try await bed.insert(name) }
    let taken = AgentLock(try bed.engine("three"))
    try taken.ensure()
    let bad = try bed.configuration(["two", "three"])
    let isUnreadable = Flag()
    try await bed.harness.withAgent(
      bed.configuration(["one", "two"]),
      reload: {
        if isUnreadable.isSet { throw HoldfastError(.usage, "holdfast.toml:3:1: no such key", hint: "debounce?") }
        return bad
      }
    ) { _ in
      for name in ["one", "two"] { try await bed.waitForRows(name, 1) }
      bed.harness.control.reload()
      try await bed.harness.log.wait(for: "error: the configuration was not reloaded: another agent")
      isUnreadable.set()
      bed.harness.control.reload()
      try await bed.harness.log.wait(
        for: "error: the configuration was not reloaded: holdfast.toml:3:1: no such key (hint: debounce?)")
      #expect(await bed.harness.control.status().map(\.name) == ["one", "two"])
      try await bed.insert("one")
      try await bed.waitForRows("one", 2)
    }
  }

  @Test func whatCannotBeMeantSoIsRefused() throws {
    let bed = try Bed()
    var twice = try bed.configuration(["one", "two"])
    twice.databases[1].name = "one"
    #expect(throws: HoldfastError.self) { try twice.validate() }
    var shared = try bed.configuration(["one"])
    shared.databases.append(AgentDatabase(name: "other", engine: try bed.engine("one"), settings: AgentSettings()))
    #expect(throws: HoldfastError.self) { try shared.validate() }
    #expect(throws: HoldfastError.self) { try AgentConfiguration(databases: []).validate() }
  }

  @Test func aSecondAgentOnAnyOfTheRepositoriesIsRefusedWithTheProcess() async throws {
    let bed = try Bed()
    for name in ["one", "two"] { try await bed.insert(name) }
    try await bed.harness.withAgent(bed.configuration(["two"])) { _ in
      let second = AgentService(
        try bed.configuration(["one", "two"]), control: try AgentControl(), reload: nil,
        logger: bed.harness.log.logger)
      let error = await #expect(throws: HoldfastError.self) { try await second.run() }
      #expect(error?.code == .busy)
      #expect(error?.message.contains("(process \(getpid()) on ") == true, "\(String(describing: error))")
      // It has released the first of them again.
      try await bed.lock("one").release()
    }
    try await bed.lock("two").release()
  }
}
