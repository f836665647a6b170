import BackupEngine
import BackupPolicy
import TestSupport
import Testing

/// A machine whose wall clock is set, and its effect on everything that uses the age of a backup.
@Suite("A clock that jumps", .ownThread)
struct ClockJumpTests {
  private let bed: TestBed

  init() throws {
    bed = try TestBed()
  }

  private static let nineDays: Int64 = 9 * 86400

  /// - Parameter ahead: seconds by which the wall clock is wrong.
  private func engine(ahead: Int64 = 0, boot: String = "first") -> Engine {
    var environment = bed.environment()
    let time = bed.time
    let wall: @Sendable () -> Timestamp = { time.now().adding(seconds: ahead) }
    environment.now = wall
    environment.clock = { ClockReading(wall: wall(), elapsed: time.now().milliseconds, boot: boot) }
    environment.clockIsSynchronized = { false }
    return Engine(
      database: bed.database, folder: bed.backups, credentials: TestBed.credentials(.key), environment: environment)
  }

  private func makeFulls(_ type: BackupType, _ count: Int) throws {
    var request = CreateRequest()
    request.reason.type = type
    for _ in 0..<count {
      bed.time.advance(seconds: 1)
      _ = try engine().create(request)
    }
    #expect(engine().recordClock() == nil)
  }

  private func requireRefused(_ body: () throws -> Void) {
    let error = #expect(throws: HoldfastError.self) { try body() }
    #expect(error?.code.exitCode == 8 && error?.hint?.contains("--trust-clock") == true, "\(String(describing: error))")
  }

  @Test("Compaction merges no point that is minutes old, whatever clock stamped it")
  func compaction() throws {
    _ = try bed.makeChain(.key, .change(), incrementals: 5)
    #expect(engine().recordClock() == nil)
    let wrong = engine(ahead: Self.nineDays)
    #expect(wrong.recordClock() != nil)
    try bed.change("UPDATE marker SET text = 'wrong'")
    _ = try wrong.store(.change(), kind: .incremental)
    for _ in 0..<3 {
      #expect(try wrong.compact(CompactionPolicy(), clock: .waiting).done.isEmpty)
      bed.time.advance(seconds: 600)
    }
    requireRefused { _ = try wrong.planCompaction(CompactionPolicy()) }
    requireRefused { _ = try wrong.compact(CompactionPolicy()) }
    #expect(try wrong.list().count == 7)
    // Points that are old by the observed time are merged all the same.
    bed.time.advance(seconds: 2 * 3600)
    #expect(try wrong.compact(CompactionPolicy(), clock: .waiting).done.first?.step.removed.count == 4)
    #expect(try wrong.compact(CompactionPolicy(), clock: .trusting).done.isEmpty == false)
    #expect(wrong.recordClock() == nil)
  }

  @Test("A day of a running machine, or the right time, ends the doubt")
  func ends() throws {
    _ = try bed.makeChain(.key, .change(), incrementals: 3)
    #expect(engine().recordClock() == nil)
    let wrong = engine(ahead: Self.nineDays)
    #expect(wrong.recordClock() != nil)
    #expect(engine().recordClock() == nil)
    #expect(wrong.recordClock() != nil)
    bed.time.advance(seconds: 86400)
    #expect(wrong.recordClock() == nil)
    #expect(try wrong.compact(CompactionPolicy()).done.count == 1)
  }

  @Test("Rules by age, the grace of a safety backup and the hold of an anomaly wait, and rules that count do not")
  func retention() throws {
    try bed.makeDatabase(rows: 2000, bytes: 300)
    try makeFulls(.safety, 2)
    try makeFulls(.manual, 4)
    try bed.change("DELETE FROM entries")
    try makeFulls(.manual, 3)
    #expect(try engine().list().contains { $0.metadata.status == .anomalous })
    let wrong = engine(ahead: 40 * 86400)
    let before = try engine().list().map(\.id)
    for policy in [RetentionPolicy(retentionDays: 3), RetentionPolicy(keepLast: 20), RetentionPolicy(keepLast: 3)] {
      let right = try engine().planCleanup(policy).remove
      #expect(try wrong.planCleanup(policy, clock: .waiting).remove == right)
      #expect(try wrong.holds(policy).count == 1)
      requireRefused { _ = try wrong.planCleanup(policy) }
      requireRefused { _ = try wrong.cleanup(policy) }
    }
    #expect(try engine().list().map(\.id) == before)
    // Rules that only count do not depend on the clock.
    let counting = RetentionPolicy(keepLast: 3, safetyGrace: .seconds(100 * 86400), anomalyHold: .zero)
    let right = try engine().planCleanup(counting).remove
    #expect(!right.isEmpty && wrong.recordClock() != nil)
    #expect(try wrong.cleanup(counting).remove == right)
    #expect(try engine().list().count == before.count - right.count)
  }

  @Test("After a restart of the machine the backups themselves decide, and a damaged record proves nothing")
  func restart() throws {
    try bed.makeDatabase()
    try makeFulls(.manual, 3)
    let policy = RetentionPolicy(retentionDays: 3)
    for record in [
      nil, "{", "[]", #"{"believed": {"wall_ms": "x"}}"#,
      #"{"confirmed": true, "believed": {"wall_ms": 0, "elapsed_ms": -9223372036854775808, "boot_id": "second"}}"#,
      #"{"confirmed": true, "believed": {"wall_ms": 9223372036854775807, "elapsed_ms": 0, "boot_id": "second"}}"#,
    ] as [String?] {
      try SystemFileOperations().unlink("\(bed.stateFolder)/clock")
      if let record { try bed.folder.write("state/clock", Array(record.utf8)) }
      let wrong = engine(ahead: Self.nineDays, boot: "second")
      requireRefused { _ = try wrong.cleanup(policy) }
      #expect(try wrong.cleanup(policy, clock: .waiting).remove.isEmpty)
    }
    // A restart after a night raises no doubt.
    try SystemFileOperations().unlink("\(bed.stateFolder)/clock")
    bed.time.advance(seconds: 12 * 3600)
    #expect(try engine(boot: "third").cleanup(policy).remove.isEmpty)
    #expect(engine(boot: "third").recordClock() == nil)
  }

  @Test("If the clock goes to 1970 or 2031 and back, no point is removed by age, and the right clock is believed")
  func wrongYears() throws {
    try bed.makeDatabase()
    try makeFulls(.manual, 3)
    let policy = RetentionPolicy(retentionDays: 3)
    for ahead in [-50 * 365 * 86400, 7 * 365 * 86400] as [Int64] {
      let wrong = engine(ahead: ahead)
      #expect(wrong.recordClock() != nil)
      bed.time.advance(seconds: 1)
      _ = try wrong.create(CreateRequest())
      #expect(try wrong.cleanup(policy, clock: .waiting).remove.isEmpty)
      #expect(engine().recordClock() == nil)
      #expect(engine(boot: "other \(ahead)").recordClock() == nil)
      #expect(try engine().cleanup(policy).remove.isEmpty)
    }
    #expect(try engine().list().count == 5)
  }

  @Test("The same jump a second time raises a doubt again, for retention and for holds", arguments: [false, true])
  func again(restarts: Bool) throws {
    try bed.makeDatabase(rows: 2000, bytes: 300)
    try makeFulls(.manual, 4)
    try bed.change("DELETE FROM entries")
    try makeFulls(.manual, 3)
    let policy = RetentionPolicy(keepLast: 1)
    for round in 0..<3 {
      let wrong = engine(ahead: 40 * 86400, boot: restarts ? "wrong \(round)" : "first")
      #expect(wrong.recordClock() != nil, "\(round)")
      #expect(try wrong.holds(policy).count == 1, "\(round)")
      bed.time.advance(seconds: 300)
      _ = try wrong.create(CreateRequest())
      let right = engine(boot: restarts ? "right \(round)" : "first")
      #expect(right.recordClock() == nil, "\(round)")
      bed.time.advance(seconds: 300)
      _ = try right.create(CreateRequest())
    }
  }

  @Test("Planted plain backups do not confirm a clock that jumped ahead")
  func planted() throws {
    try bed.makeDatabase()
    try makeFulls(.manual, 1)
    let forger = try TestBed()
    try forger.makeDatabase()
    var plain = CreateRequest()
    plain.archive.encrypt = false
    for days in Int64(7)...9 {
      forger.time.set(bed.time.now().adding(seconds: days * 86400))
      let forged = try forger.engine(.none).create(plain)
      for path in ["backups/\(forged.filename)", "backups/.metadata/\(forged.id).json"] {
        _ = try bed.folder.write(path, forger.folder.read(path) ?? [])
      }
    }
    bed.time.advance(seconds: 60)
    #expect(engine(ahead: Self.nineDays, boot: "second").recordClock() != nil)
  }

  @Test("A confirmation of the clock is stored, however soon it comes")
  func trustedAtOnce() throws {
    try bed.makeDatabase()
    try makeFulls(.manual, 3)
    bed.time.advance(seconds: 10)
    let wrong = engine(ahead: 400 * 86400)
    #expect(try wrong.compact(CompactionPolicy(), clock: .trusting).done.isEmpty)
    #expect(wrong.recordClock() == nil)
  }
}
