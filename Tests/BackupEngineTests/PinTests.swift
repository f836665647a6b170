import BackupEngine
import BackupPolicy
import Synchronization
import TestSupport
import Testing

@Suite("Pins", .ownThread)
struct PinTests {
  /// The backup that `guard` stores before it runs a command.
  private func makeGuard(_ bed: TestBed, _ secret: TestBed.Secret = .key) throws -> PointID {
    var request = CreateRequest()
    request.archive.encrypt = secret != .none
    return try bed.engine(secret).createGuard(request).id
  }

  private func isPinned(_ bed: TestBed, _ id: PointID, _ secret: TestBed.Secret = .key) throws -> Bool {
    try bed.engine(secret).point(id.text).metadata.pinned
  }

  private func remove(_ bed: TestBed, _ name: String) throws {
    try SystemFileOperations().unlink(bed.folder.path("backups/.metadata/\(name)"))
  }

  @Test("A guard point is the newest of the database's own history, and no incremental builds on it")
  func latest() throws {
    let bed = try TestBed()
    try bed.makeDatabase()
    let engine = bed.engine()
    let full = try engine.create(CreateRequest()).id
    bed.time.advance(seconds: 60)
    let guarding = try makeGuard(bed)
    #expect(try engine.point("latest").id == guarding)
    bed.time.advance(seconds: 60)
    try bed.change("DELETE FROM entries WHERE id = 1")
    let incremental = try bed.storeIncremental()
    #expect(incremental.kind == .incremental && incremental.parentID == full)
    #expect(try engine.verify(incremental.id.text).verified)
  }

  @Test("Without a sound point, latest reports that there is none")
  func nothingSound() throws {
    let bed = try TestBed()
    try bed.makeDatabase()
    let none = #expect(throws: HoldfastError.self) { try bed.engine().point("latest") }
    #expect(none?.message.contains("there is no backup") == true)
    let point = try bed.engine().create(CreateRequest())
    try bed.folder.write("backups/\(point.filename)", [])
    let unsound = #expect(throws: HoldfastError.self) { try bed.engine().point("latest") }
    #expect(unsound?.code == .verificationFailed)
    #expect(unsound?.message.hasPrefix("the only backup cannot be used: \(point.id): ") == true)
  }

  @Test("A guard point with a time limit stays until then, and then follows the rules")
  func limitedPin() throws {
    let bed = try TestBed()
    try bed.makeDatabase()
    let engine = bed.engine()
    let guarding = try engine.createGuard(CreateRequest(), keeping: .seconds(20 * 86400)).id
    let other = try engine.createGuard(CreateRequest()).id
    // Another pin rewrites the ledger, and keeps every end.
    try engine.setPin(true, of: other.text)
    for _ in 0..<2 {
      bed.time.advance(seconds: 9 * 86400)
      _ = try engine.verify(try engine.create(CreateRequest()).id.text)
    }
    var rules = RetentionRules()
    rules.keepLast = 1
    #expect(try !engine.planCleanup(RetentionPolicy(rules)).remove.map(\.id).contains(guarding))
    bed.time.advance(seconds: 3 * 86400)
    let removed = try engine.planCleanup(RetentionPolicy(rules)).remove.map(\.id)
    #expect(removed.contains(guarding) && !removed.contains(other))
  }

  @Test("Cleanup, lack of room and delete leave a pinned point until it is unpinned")
  func removal() throws {
    let bed = try TestBed()
    try bed.makeDatabase()
    let engine = bed.engine()
    let points = try (0..<4).map { _ in
      bed.time.advance(seconds: 86400)
      return try engine.create(CreateRequest()).id
    }
    try engine.setPin(true, of: points[0].text)
    let policies = [RetentionPolicy(keepLast: 1), RetentionPolicy(minFreeSpace: .percent(99))]
    for policy in policies {
      let kept = try engine.planCleanup(policy).keep.first
      #expect(kept?.id == points[0] && kept?.reasons.contains("pinned") == true)
    }
    let refusal = #expect(throws: HoldfastError.self) { try engine.delete(points[0].text) }
    #expect(refusal?.code == .refused && refusal?.hint == "run holdfast unpin \(points[0]) first")
    _ = try engine.cleanup(policies[0])
    #expect(try engine.list().map(\.id) == [points[3], points[0]])
    try engine.setPin(false, of: points[0].text)
    _ = try engine.cleanup(policies[0])
    #expect(try engine.list().map(\.id) == [points[3]])
  }

  @Test("Delete refuses a point that a pinned point needs, and a point that was pinned since the plan")
  func deletion() throws {
    let bed = try TestBed()
    let points = try bed.makeChain(incrementals: 2)
    let engine = bed.engine()
    let plan = try engine.planDelete(points[1].id.text, withChildren: true)
    try engine.setPin(true, of: points[2].id.text)
    let refusal = #expect(throws: HoldfastError.self) { try engine.planDelete(points[1].id.text, withChildren: true) }
    #expect(
      refusal?.code == .refused && refusal?.message.contains("\(points[2].id), which needs it, is pinned") == true)
    let late = #expect(throws: HoldfastError.self) { try engine.delete(plan) }
    #expect(late?.code == .refused)
    #expect(try engine.list().count == 3)
  }

  @Test("A guard point is pinned if its records are lost, and unpinned only while a record says so")
  func lostGuardMetadata() throws {
    let bed = try TestBed()
    try bed.makeDatabase()
    let id = try makeGuard(bed)
    let metadata = try bed.engine().point(id.text).metadata
    #expect(metadata.pinned && metadata.verified && metadata.backupType == .guard)
    try remove(bed, "\(id).json")
    #expect(try isPinned(bed, id))
    try remove(bed, "pins.json")
    #expect(try isPinned(bed, id))
    try bed.engine().setPin(false, of: id.text)
    try remove(bed, "\(id).json")
    #expect(try !isPinned(bed, id))
    // A backup rewrites the lost metadata.
    _ = try bed.engine().create(CreateRequest())
    try remove(bed, "pins.json")
    #expect(try !isPinned(bed, id))
    try remove(bed, "\(id).json")
    #expect(try isPinned(bed, id))
  }

  @Test(
    "A plain guard point or any pinned point survives the loss of one of its two records"
  )
  func lostMetadata() throws {
    let bed = try TestBed()
    try bed.makeDatabase()
    let guarded = try makeGuard(bed, .none)
    try remove(bed, "\(guarded).json")
    #expect(try isPinned(bed, guarded, .none))
    let plain = try bed.engine(.none).create(.change(encrypt: false)).id
    try bed.engine(.none).setPin(true, of: plain.text)
    let before = try bed.folder.read("backups/.metadata/pins.json")
    #expect(try bed.engine(.none).setPin(true, of: plain.text).wasSo)
    #expect(try bed.folder.read("backups/.metadata/pins.json") == before)
    try remove(bed, "\(plain).json")
    #expect(try isPinned(bed, plain, .none) && isPinned(bed, guarded, .none))
  }

  @Test(
    "If a ledger is damaged, the next pin makes it anew from the metadata",
    arguments: ["", "{\"pinned\": 7}", "x"])
  func damagedLedger(_ text: String) throws {
    let bed = try TestBed()
    try bed.makeDatabase()
    let points = try (0..<3).map { _ in try bed.engine().create(CreateRequest()).id }
    try bed.engine().setPin(true, of: points[0].text)
    try bed.folder.write("backups/.metadata/pins.json", Array(text.utf8))
    #expect(try isPinned(bed, points[0]))
    try bed.engine().setPin(true, of: points[1].text)
    for id in points { try remove(bed, "\(id).json") }
    #expect(try points.map { try isPinned(bed, $0) } == [true, true, false])
  }

  @Test(
    "Keys of other versions survive, and a point that cannot be read now is pinned but not recorded as failed"
  )
  func rewriting() throws {
    let bed = try TestBed()
    try bed.makeDatabase()
    let point = try bed.engine().create(CreateRequest())
    let path = "backups/.metadata/\(point.id).json"
    let text = String(decoding: try #require(try bed.folder.read(path)), as: UTF8.self)
    try bed.folder.write(path, Array(text.replacing("{\n", with: "{\n  \"later\" : [1],\n", maxReplacements: 1).utf8))
    try bed.engine().setPin(true, of: point.id.text)
    let rewritten = JSONValue(parsing: try bed.folder.read(path) ?? [])
    guard case .object(let keys)? = rewritten else { throw BrokenPromise("no metadata") }
    #expect(keys["later"] == .array([.integer(1)]) && keys["pinned"] == .bool(true))

    let archive = try #require(try bed.folder.read("backups/\(point.filename)"))
    try bed.folder.write("backups/\(point.filename)", Array("not an archive".utf8))
    try bed.engine().setPin(false, of: point.id.text)
    try bed.folder.write("backups/\(point.filename)", archive)
    let healed = try bed.engine().point(point.id.text).metadata
    #expect(!healed.pinned && healed.status == .completed)
  }

  @Test("Compaction leaves a pinned link as it is, and merges the links on either side of it")
  func compaction() throws {
    let bed = try TestBed()
    let points = try bed.makeChain(.key, .change(), incrementals: 6)
    let before = try points.map { try bed.restored($0.id) }
    try bed.engine().setPin(true, of: points[3].id.text)
    let archive = try bed.folder.read("backups/\(points[3].filename)")
    bed.time.advance(seconds: 2 * 3600)
    #expect(try bed.engine().compact(CompactionPolicy()).skipped.isEmpty)
    let left = try bed.engine().list()
    #expect(left.map(\.id) == [6, 3, 2, 0].map { points[$0].id })
    #expect(try bed.folder.read("backups/\(points[3].filename)") == archive)
    for number in [6, 3, 2, 0] { #expect(try bed.restored(points[number].id) == before[number]) }
    try bed.engine().setPin(false, of: points[3].id.text)
    _ = try bed.engine().compact(CompactionPolicy())
    #expect(try bed.engine().list().map(\.id) == [points[6].id, points[0].id])
  }

  /// Pins a point when the compaction asks for the lock the `turn`-th time.
  private final class PinningHost: CompactionHost {
    let engine: Engine
    let id: PointID
    let turn: Int
    /// The process that pins is killed before it also writes the metadata.
    let isKilled: Bool
    private let turns = Mutex(0)

    init(_ engine: Engine, _ id: PointID, turn: Int, isKilled: Bool) {
      (self.engine, self.id, self.turn, self.isKilled) = (engine, id, turn, isKilled)
    }

    func maintain(touching points: Set<PointID>, _ body: () throws -> Void) throws {
      let now = turns.withLock {
        $0 += 1
        return $0
      }
      if now == turn { try pin() }
      try engine.repository().exclusively(patience: engine.environment.repositoryPatience, body)
    }

    private func pin() throws {
      guard isKilled else { return _ = try engine.setPin(true, of: id.text) }
      let ledger = JSONValue.object(["pinned": .array([.string(id.text)]), "unpinned": .array([])])
      try engine.environment.files.replace("\(engine.folder)/.metadata/pins.json", with: ledger.encoded())
    }

    func lighten(_ chain: PointID, incrementals: Int, bytes: Int64) {}
  }

  @Test("If a point is pinned while it is merged, it stays", arguments: [1, 2, 3], [true, false])
  func race(turn: Int, isKilled: Bool) throws {
    let bed = try TestBed()
    let points = try bed.makeChain(.key, .change(), incrementals: 4)
    bed.time.advance(seconds: 2 * 3600)
    let host = PinningHost(bed.engine(), points[2].id, turn: turn, isKilled: isKilled)
    _ = try bed.engine().compact(CompactionPolicy(), within: host)
    #expect(try bed.engine().list().map(\.id).contains(points[2].id))
    #expect(try isPinned(bed, points[2].id))
    for point in try bed.engine().list() { #expect(try bed.engine().verify(point.id.text).verified, "\(point.id)") }
  }

  @Test("A guard point of a flawed database has its findings recorded and is pinned")
  func damagedDatabase() throws {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 300)
    var bytes = try #require(try bed.folder.read("app.db"))
    for index in (4096 * 3)..<(4096 * 3 + 200) { bytes[index] = 0xff }
    try bed.folder.write("app.db", bytes)
    _ = try makeGuard(bed)
    let points = try bed.engine().list().map(\.metadata)
    #expect(points.map(\.pinned) == [true] && points.allSatisfy { $0.verified && !$0.findings.isEmpty })
  }
}

// MARK: - Faults

private func pinning(_ pinned: Bool) -> FaultSweep {
  FaultSweep(
    prepare: { bed in
      try bed.makeDatabase(rows: 60, bytes: 300)
      let id = try bed.engine().create(CreateRequest()).id
      if !pinned { try bed.engine().setPin(true, of: id.text) }
      bed.time.advance(seconds: 60)
      _ = try bed.engine().create(CreateRequest())
      return id
    },
    work: { engine, id in try engine.setPin(pinned, of: id!.text) },
    check: { bed, finished in
      try bed.requireSoundRepository(points: 2...2)
      let oldest = try bed.engine().list()[1].metadata
      guard !finished || oldest.pinned == pinned else { throw BrokenPromise("pinned is \(oldest.pinned)") }
      // The rules agree with the record.
      let kept = try bed.engine().planCleanup(RetentionPolicy(keepLast: 1)).keep
      guard kept.contains(where: { $0.id == oldest.id }) == oldest.pinned else {
        throw BrokenPromise("pinned is \(oldest.pinned), and kept are \(kept)")
      }
    })
}

private let guarding = FaultSweep(
  prepare: { bed in
    try bed.makeDatabase(rows: 60, bytes: 300)
    return nil
  },
  work: { engine, _ in _ = try engine.createGuard(CreateRequest()) },
  check: { bed, finished in
    if finished {
      let metadata = try bed.engine().list().first?.metadata
      guard metadata?.pinned == true else { throw BrokenPromise("no pinned point") }
    }
    try bed.requireSoundRepository(points: finished ? 1...1 : 0...1)
    try bed.requireDatabase(["first"])
  })

@Suite("Faults at every step of pinning", .ownThread)
struct PinFaultTests {
  @Test("A fault at any step of a pin leaves all points whole", arguments: [FaultSweep.Kind.killed, .inputOutputError])
  func pin(_ kind: FaultSweep.Kind) throws { try pinning(true).sweep(kind, near: ".metadata") }

  @Test("A fault at any step of an unpin leaves all points whole")
  func unpin() throws { try pinning(false).sweep(.inputOutputError, near: ".metadata") }

  /// Only the ledger records the pin of a plain archive without its metadata.
  private func makeForgotten(_ bed: TestBed) throws -> PointID {
    try bed.makeDatabase(rows: 60, bytes: 300)
    var request = CreateRequest()
    request.archive.encrypt = false
    let id = try bed.engine(.none).create(request).id
    try bed.engine(.none).setPin(true, of: id.text)
    try SystemFileOperations().unlink("\(bed.backups)/.metadata/\(id).json")
    bed.time.advance(seconds: 86400)
    _ = try bed.engine(.none).create(request)
    try SystemFileOperations().unlink("\(bed.backups)/.metadata/\(id).json")
    return id
  }

  @Test("If pins cannot be read, no point is removed, and a listing still works")
  func unread() throws {
    let bed = try TestBed()
    let id = try makeForgotten(bed)
    let engine = bed.engine(.none)
    try SystemFileOperations().unlink("\(bed.backups)/.metadata/pins.json")
    try SystemFileOperations().makeFolder("\(bed.backups)/.metadata/pins.json")
    #expect(throws: HoldfastError.self) { try engine.cleanup(RetentionPolicy(keepLast: 1)) }
    #expect(throws: HoldfastError.self) { try engine.delete(id.text) }
    #expect(throws: HoldfastError.self) { try engine.setPin(true, of: id.text) }
    #expect(try engine.list().count == 2)
  }

  @Test("A power loss in a pin leaves all points whole")
  func powerLost() throws { try pinning(true).powerLoss(seeds: 0..<5) }

  @Test("A power loss in a guard backup leaves all points whole")
  func powerLostGuarding() throws { try guarding.powerLoss(seeds: 2..<4, near: "pins.json") }
}
