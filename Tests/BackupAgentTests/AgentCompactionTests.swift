import BackupEngine
import BackupPolicy
import Glibc
import TestSupport
import Testing

@testable import BackupAgent

/// Whether this is the agent's housekeeping thread, for work that no change waits for.
private var isHousekeeping: Bool {
  guard let file = fopen("/proc/thread-self/comm", "re") else { return false }
  defer { fclose(file) }
  var name = [UInt8](repeating: 0, count: 16)
  let count = fread(&name, 1, name.count, file)
  return String(decoding: name.prefix(count), as: UTF8.self) == "holdfast-keep\n"
}

/// The agent compacts old incrementals by itself, and its next backups build on the result.
@Suite(.ownThread) struct AgentCompactionTests {
  private static let insert = "c = sqlite3.connect(path); c.execute(\"INSERT INTO t(s) VALUES ('x')\"); c.commit()"

  /// Makes a full and five incrementals of changes, each with one more row.
  ///
  /// - Parameter insert: the statement whose rows each of them contains.
  private func makeChain(
    _ time: ManualTime, files: (any FileOperations)? = nil, clock: (@Sendable () -> ClockReading)? = nil,
    insert: String = insert
  ) async throws -> AgentHarness {
    let harness = try AgentHarness(files: files, now: { time.now() }, clock: clock)
    try await harness.createDatabase()
    try await harness.python(
      "c = sqlite3.connect(path); c.execute(\"CREATE TABLE ballast(b)\");"
        + " c.executemany(\"INSERT INTO ballast VALUES (?)\", [(os.urandom(900),) for _ in range(2000)]); c.commit()")
    let session = FollowedDatabase(harness.engine, KeptConnection(harness.engine.environment))
    _ = try harness.engine.create(CreateRequest(AgentHarness.settings().archive, for: BackupReason(.change)))
    for _ in 1...5 {
      time.advance(seconds: 1)
      try await harness.python(insert)
      _ = try session.store().outcome.get()
    }
    #expect(try harness.points().map(\.kind) == [.full] + [BackupKind](repeating: .incremental, count: 5))
    return harness
  }

  @Test func oldIncrementalsAreMergedAfterABackup() async throws {
    let time = ManualTime()
    let harness = try await makeChain(time)
    let before = try harness.points()
    time.advance(seconds: 2 * 3600)
    try await harness.withAgent { _ in
      try await harness.python(Self.insert)
      try await harness.log.wait(for: "merged 4 backups into \(before[5].id)")
      try await harness.python(Self.insert)
      try await harness.waitForRows(7)
    }
    let points = try harness.points()
    #expect(points.prefix(2).map(\.id) == [before[0].id, before[5].id])
    #expect(points[1].parentID == before[0].id && points[2].parentID == before[5].id)
    #expect(try harness.rows.count(before[5].id, harness.engine) == 5)
    #expect(try await harness.everyPointVerifies())
    #expect(harness.log.count("error: ") == 0, "\(harness.log.lines)")
  }

  @Test func whatARuleNamesIsNotMergedAway() async throws {
    let time = ManualTime()
    let harness = try await makeChain(time)
    let before = try harness.points()
    time.advance(seconds: 20 * 86400)
    var daily = RetentionPolicy()
    daily.rules.keepDaily = 30
    try await harness.withAgent(AgentHarness.settings { $0.retention = daily }) { _ in
      try await harness.python(Self.insert)
      try await harness.log.wait(for: "merged 4 backups into \(before[5].id)")
    }
    let points = try harness.points()
    #expect(points.prefix(2).map(\.id) == [before[0].id, before[5].id] && points.count == 3)
    #expect(try harness.rows.count(before[5].id, harness.engine) == 5)
  }

  @Test func whatATargetWaitsForIsNotMergedAway() async throws {
    let time = ManualTime()
    let harness = try await makeChain(time)
    let before = try harness.points()
    time.advance(seconds: 2 * 3600)
    let promised = [before[2].id: ["a rule on nas, which does not have it yet"]]
    let outcome = try await offPool { [engine = harness.engine] in
      try engine.compact(CompactionPolicy(), promised: promised)
    }
    #expect(try harness.points().map(\.id) == [before[0].id, before[2].id, before[5].id])
    #expect(outcome.kept == [RetentionVerdict(id: before[2].id, reasons: promised[before[2].id] ?? [])])
  }

  @Test func aClockThatJumpedIsAnAlarmAndMakesNothingOld() async throws {
    let (time, elapsed) = (ManualTime(), ManualTime())
    let harness = try await makeChain(time) {
      ClockReading(wall: time.now(), elapsed: elapsed.now().milliseconds, boot: "one")
    }
    #expect(harness.engine.recordClock() == nil)
    time.advance(seconds: 9 * 86400)
    try await harness.withAgent { _ in
      try await harness.log.wait(for: "error: the clock was set")
      try await harness.python(Self.insert)
      try await harness.waitForRows(6)
    }
    let settings = AgentHarness.settings()
    let work = DatabaseWorker(
      AgentDatabase(name: "app", engine: harness.engine, settings: settings),
      KeptConnection(harness.engine.environment), harness.log.logger)
    let order = HousekeepingOrder(retention: RetentionPolicy(retentionDays: 3), compaction: settings.compaction)
    let result = work.housekeeping.run(order, Progress())
    #expect(result.clockDoubt != nil && result.isFinished == true)
    #expect(try harness.points().count == 7, "\(harness.log.lines)")
  }

  @Test("The alarm about a clock that is set right again ends without a backup")
  func rightClock() async throws {
    let (time, elapsed) = (ManualTime(), ManualTime())
    let harness = try await makeChain(time) {
      ClockReading(wall: time.now(), elapsed: elapsed.now().milliseconds, boot: "one")
    }
    #expect(harness.engine.recordClock() == nil)
    time.advance(seconds: 9 * 86400)
    try await harness.withAgent(AgentHarness.settings { $0.pollInterval = 100 }) { _ in
      try await harness.log.wait(for: "error: the clock was set")
      time.advance(seconds: -9 * 86400)
      try await harness.log.wait(for: "the clock is trusted again")
    }
    #expect(try harness.points().count == 6)
  }

  /// The backup itself removes nothing, so it does not wait for a removal.
  @Test func retentionIsNoPartOfABackup() async throws {
    let time = ManualTime()
    let harness = try await makeChain(time)
    time.advance(seconds: 2 * 86400)
    let settings = AgentHarness.settings { $0.retention = RetentionPolicy(keepLast: 1) }
    let work = DatabaseWorker(
      AgentDatabase(name: "app", engine: harness.engine, settings: settings),
      KeptConnection(harness.engine.environment), harness.log.logger)
    _ = work.runBackup(BackupOrder(trigger: .scheduled, reason: "a test"), Progress(), ConnectionTerms())
    #expect(try harness.points().count == 7)
    _ = work.housekeeping.run(HousekeepingOrder(retention: settings.retention), Progress())
    #expect(try harness.points().map(\.kind) == [.full])
  }

  @Test func whereItIsSwitchedOffEverythingStays() async throws {
    let time = ManualTime()
    let harness = try await makeChain(time)
    time.advance(seconds: 2 * 3600)
    try await harness.withAgent(AgentHarness.settings { $0.compaction = nil }) { _ in
      try await harness.python(Self.insert)
      try await harness.waitForRows(6)
    }
    #expect(try harness.points().count == 7)
  }

  /// A compaction may take minutes. Here it pauses until the change that arrived meanwhile is
  /// stored.
  @Test func aChangeDoesNotWaitForAMerge() async throws {
    let time = ManualTime()
    let (begun, mayEnd) = (Flag(), Flag())
    let files = SlowFiles { _ in
      guard isHousekeeping else { return }
      begun.set()
      for _ in 0..<30000 where !mayEnd.isSet { usleep(1000) }
    }
    let large =
      "c = sqlite3.connect(path); c.execute(\"INSERT INTO t(s) VALUES (hex(randomblob(100000)))\"); c.commit()"
    let harness = try await makeChain(time, files: files, insert: large)
    let before = try harness.points()
    time.advance(seconds: 2 * 3600)
    try await harness.withAgent { _ in
      defer { mayEnd.set() }
      try await harness.python(Self.insert)
      try await harness.eventually("a merge") { begun.isSet }
      for rows in Int64(7)...8 {
        try await harness.python(Self.insert)
        try await harness.waitForRows(rows)
      }
      #expect(harness.log.count("merged") == 0, "\(harness.log.lines)")
      mayEnd.set()
      try await harness.log.wait(for: "merged 4 backups into \(before[5].id)")
      try await harness.python(Self.insert)
      try await harness.waitForRows(9)
    }
    let points = try harness.points()
    #expect(points.prefix(2).map(\.id) == [before[0].id, before[5].id])
    let rows = try points.map { try harness.rows.count($0.id, harness.engine) }
    #expect(rows == [0, 5, 6, 7, 8, 9], "\(harness.log.lines)")
    #expect(try await harness.everyPointVerifies())
    #expect(harness.log.count("error: ") == 0, "\(harness.log.lines)")
  }

  /// At most once a minute, unless it was interrupted; never without a backup before it.
  @Test func theRhythm() {
    var rhythm = HousekeepingRhythm()
    func begins(_ time: Int64) -> Bool { rhythm.begin(at: time) }
    #expect(!begins(0))
    rhythm.recordBackup()
    #expect(begins(1000) && !begins(1000))
    rhythm.end(isFinished: true)
    rhythm.recordBackup()
    #expect(!begins(60_999) && begins(61_000))
    rhythm.end(isFinished: false)
    #expect(!begins(61_100))
    rhythm.recordBackup()
    #expect(begins(61_200))
    rhythm.end(isFinished: true)
    rhythm.recordBackup()
    #expect(!begins(62_000) && begins(200_000))
    rhythm.end(isFinished: true)
    rhythm.recordBackup(atOnce: true)
    #expect(begins(200_001) && !begins(200_002))
  }
}
