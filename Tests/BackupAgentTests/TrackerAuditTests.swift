import BackupEngine
import BackupPolicy
import TestSupport
import Testing

@testable import BackupAgent

/// A full finds pages that a tracker missed.
@Suite(.ownThread) struct TrackerAuditTests {
  private final class World {
    let bed: TestBed
    let application: DatabaseApplication
    let log = LogRecorder(.debug)
    var backup: DatabaseWorker
    /// The findings of the newest full.
    var audit: AuditOutcome?

    /// - Parameter blind: whether the tracker reports only page 1.
    init(blind: Bool) throws {
      bed = try TestBed()
      try bed.makeDatabase(rows: 2000, bytes: 300)
      application = try DatabaseApplication(bed.database, "PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = OFF")
      let kept = KeptConnection(bed.environment())
      let follower = ChangeFollower(bed.engine()) { blind ? [1] : $0.pages.sorted() }
      backup = DatabaseWorker(bed.engine(), AgentHarness.settings(), log.logger, kept, follower: follower)
    }

    func store(_ id: Int) throws -> PointMetadata? {
      bed.time.advance(milliseconds: 1000)
      try application.run("UPDATE entries SET text = randomblob(100) WHERE id IN (\(id), \(id + 400))")
      try application.run("CREATE TABLE t\(id)(a)")
      guard case .stored(let point) = try backup.storeChange(Progress()).ending.get() else { return nil }
      return point
    }

    func storeFull() throws -> PointMetadata? {
      bed.time.advance(milliseconds: 1000)
      let attempt = backup.storeFull(for: .scheduled, Progress())
      audit = attempt.audit
      guard case .stored(let point) = try attempt.ending.get() else { return nil }
      return point
    }
  }

  @Test func aPageThatTheTrackerMissedIsFoundByTheNextFull() throws {
    let world = try World(blind: true)
    let first = try #require(try world.store(1))
    let incremental = try #require(try world.store(100))
    #expect(first.kind == .full && incremental.kind == .incremental && incremental.pagesStored! < 4)
    // The digest is consistent, and SQLite finds no fault.
    #expect(try world.bed.engine().verify(incremental.id.text).verified)
    let full = try #require(try world.storeFull())
    let objection = try DatabaseTruth(world.application).objection(to: ChainImage(world.bed.engine(), full.id).bytes)
    #expect(objection == nil)
    #expect(world.log.count("error: tracker miss: ") == 1, "\(world.log.lines)")
    #expect(world.log.count("\(incremental.id) may lack them") == 1, "\(world.log.lines)")
    guard case .missed(let miss) = world.audit else {
      Issue.record("no miss was told")
      return
    }
    #expect(miss.suspects == [incremental.id] && miss.since == incremental.id && !miss.pages.isEmpty)
    let statuses = try world.bed.engine().list().reversed().map(\.metadata.status)
    #expect(statuses == [.completed, .suspect, .verified])
    // The backup was verified before. That result is dropped, and a new verification does not make
    // it less suspect.
    let digest = try #require(incremental.digest)
    let memo = try world.bed.folder.read("backups/.state/checks.json").map { String(decoding: $0, as: UTF8.self) }
    #expect(memo?.contains(digest) == false)
    #expect(try world.bed.engine().verify(incremental.id.text).verified)
    #expect(try world.bed.engine().point(incremental.id.text).metadata.status == .suspect)
    // No incremental builds on it.
    _ = try world.bed.engine().delete(full.id.text)
    #expect(try world.store(300)?.kind == .full)
    #expect(world.log.count("storing a full backup: \(incremental.id) is suspect") == 1, "\(world.log.lines)")
  }

  @Test func whatIsFollowedIsNoMiss() throws {
    let world = try World(blind: false)
    for id in [1, 100, 200] { _ = try #require(try world.store(id)) }
    // It is in no incremental, and it was seen to change.
    try world.application.run("UPDATE entries SET text = randomblob(100) WHERE id = 700")
    let full = try #require(try world.storeFull())
    #expect(world.log.count("\(full.id): audited: every change since") == 1, "\(world.log.lines)")
    #expect(world.log.count("tracker miss") == 0)
    // The agent follows it from the full on.
    let next = try #require(try world.store(300))
    #expect(world.log.count("\(next.id): followed: same generation") == 1, "\(world.log.lines)")
  }

  /// Changes never wait for a full: the agent advises one and takes it when requested.
  @Test func aChainThatWeighsTooMuchGoesOnUntilTheFullThatIsAdvised() throws {
    let world = try World(blind: false)
    let first = try #require(try world.store(1))
    #expect(world.backup.advice == nil)
    try world.application.run("UPDATE entries SET text = randomblob(300) WHERE id < 1000")
    var kinds = try [100, 200, 300].map { try world.store($0)?.kind }
    let advice = try #require(world.backup.advice)
    #expect(advice.chain == first.id && advice.urgency == .whenQuiet)
    let listed = ChainWeight(try world.bed.engine().list()).flatMap { ChainPolicy.adviseFull($0) }
    #expect(listed == advice, "an agent that starts knows it as well")
    world.bed.time.advance(milliseconds: 1000)
    func endChain() throws -> BackupEnding {
      try world.backup.storeFull(for: .change, ending: advice.chain, Progress()).ending.get()
    }
    guard case .stored(let full) = try endChain() else {
      Issue.record("nothing was stored")
      return
    }
    kinds.append(full.kind)
    #expect(full.backupType == .change && world.backup.advice == nil)
    kinds.append(try world.store(400)?.kind)
    #expect(kinds == [.incremental, .incremental, .incremental, .full, .incremental])
    // Another program may have ended the chain by then.
    guard case .unchanged = try endChain() else {
      Issue.record("a second full was stored")
      return
    }
  }

  /// Two hashes are swapped: they add up to the same digest, and the pages seem to have changed
  /// unseen.
  private static let exchange = """
    with open(os.path.dirname(path) + "/../backups/.state/page-digests", "r+b") as table:
        table.seek(4096 + 16 * 4)
        two = table.read(32)
        table.seek(4096 + 16 * 4)
        table.write(two[16:] + two[:16])
    """

  @Test func theAgentCountsAMissAndRaisesAnAlarmUntilAFullFindsNone() async throws {
    let harness = try AgentHarness()
    try await harness.createDatabase()
    let application = try DatabaseApplication(
      harness.database, "CREATE TABLE ballast(b); INSERT INTO ballast VALUES (randomblob(900000))")
    try await harness.withAgent { _ in
      try await harness.waitForRows(0)
      try application.run("INSERT INTO t(s) VALUES ('x')")
      try await harness.waitForRows(1)
      try await harness.python(Self.exchange)
      harness.control.backUpNow()
      try await harness.log.wait(for: "error: tracker miss: 2 pages (5, 6) differ from backup_")
      let status = try await harness.status { $0.trackerMisses > 0 }
      #expect(status.trackerMisses == 1 && status.alarms.map(\.kind) == ["tracker_miss"])
    }
    try await harness.withAgent { _ in
      // Another agent has counted it, and its alarm goes on.
      let status = try await harness.status { $0.isReady }
      #expect(status.trackerMisses == 0 && status.alarms.map(\.kind) == ["tracker_miss"])
      harness.control.backUpNow()
      _ = try await harness.status { $0.alarms.isEmpty }
      #expect(harness.log.count("every change of \(harness.database) since the last full backup was detected") == 1)
    }
    #expect(try harness.points().map(\.status).filter { $0 == .suspect }.count == 1)
  }
}

extension AgentHarness {
  /// The status of the database as soon as `condition` is true.
  fileprivate func status(_ condition: (DatabaseStatus) -> Bool) async throws -> DatabaseStatus {
    for _ in 0..<3000 {
      if let status = await control.status().first, condition(status) { return status }
      try await Task.sleep(for: .milliseconds(10))
    }
    throw HoldfastError(.failed, "waited in vain; the log:\n\(log.lines.joined(separator: "\n"))")
  }
}
