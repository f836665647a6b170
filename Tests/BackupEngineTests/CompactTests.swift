import BackupEngine
import BackupPolicy
import Synchronization
import TestSupport
import Testing

@Suite("Compaction", .ownThread)
struct CompactTests {
  @Test(
    "A run becomes one link, and every remaining point restores to the same bytes",
    arguments: TestBed.Secret.allCases)
  func merges(_ secret: TestBed.Secret) throws {
    let bed = try TestBed()
    let request = CreateRequest.change(encrypt: secret != .none)
    let points = try bed.makeChain(secret, request, incrementals: 6)
    let before = try points.map { try bed.restored($0.id, secret) }
    bed.time.advance(seconds: 2 * 3600)
    let plan = try bed.engine(secret).planCompaction(CompactionPolicy())
    #expect(plan.steps.count == 1)
    #expect(plan.steps.first?.survivor == points[6].id)
    #expect(plan.steps.first?.removed == points[1...5].map(\.id))
    let outcome = try bed.engine(secret).compact(CompactionPolicy())
    #expect(outcome.skipped.isEmpty && outcome.done.map(\.step) == plan.steps)
    let left = try bed.engine(secret).list()
    #expect(left.map(\.id) == [points[6].id, points[0].id])
    #expect(left[0].metadata.parentID == points[0].id && left[0].problems == [])
    #expect(try bed.restored(points[6].id, secret) == before[6])
    #expect(try bed.restored(points[0].id, secret) == before[0])
    #expect(try bed.recovered(points[6].id) == before[6])
    for point in left { #expect(try bed.engine(secret).verify(point.id.text).verified) }
    #expect(try bed.engine(secret).planCompaction(CompactionPolicy()).steps.isEmpty)
  }
}

extension CreateRequest {
  /// As the agent stores a change.
  static func change(encrypt: Bool = true) -> CreateRequest {
    var request = CreateRequest()
    request.reason.type = .change
    request.archive.encrypt = encrypt
    return request
  }
}

extension CompactTests {
  /// Two hours after a full and four changes: the first three are merged into the last.
  private func makeOldChain(_ secret: TestBed.Secret = .key) throws -> (TestBed, [PointMetadata]) {
    let bed = try TestBed()
    let points = try bed.makeChain(secret, .change(encrypt: secret != .none), incrementals: 4)
    bed.time.advance(seconds: 2 * 3600)
    return (bed, points)
  }

  private func requireWhole(_ bed: TestBed, _ points: [PointMetadata], secret: TestBed.Secret = .key) throws {
    let left = try bed.engine(secret).list()
    #expect(left.map(\.id) == points.reversed().map(\.id))
    for point in left { #expect(try bed.engine(secret).verify(point.id.text).verified, "\(point.id)") }
  }

  @Test(
    "A link that cannot be read is reported, and its whole run stays untouched",
    arguments: [(TestBed.Secret.key, true), (.none, true), (.none, false)])
  func damage(_ secret: TestBed.Secret, compress: Bool) throws {
    let bed = try TestBed()
    var request = CreateRequest.change(encrypt: secret != .none)
    request.archive.compress = compress
    let points = try bed.makeChain(secret, request, incrementals: 4)
    bed.time.advance(seconds: 2 * 3600)
    var bytes = try #require(try bed.folder.read("backups/\(points[2].filename)"))
    // Within the pages, behind the head that a listing reads.
    bytes[bytes.count - 500] ^= 1
    try bed.folder.write("backups/\(points[2].filename)", bytes)
    let before = try bed.folder.read("backups/\(points[4].filename)")
    let outcome = try bed.engine(secret).compact(CompactionPolicy())
    #expect(outcome.done.isEmpty && outcome.skipped.count == 1)
    #expect(outcome.skipped.first?.error.message.contains("\(points[2].id)") == true, "\(outcome.skipped)")
    #expect(outcome.skipped.first?.error.code.exitCode == 3)
    #expect(try bed.engine(secret).list().count == 5)
    #expect(try bed.folder.read("backups/\(points[4].filename)") == before)
    #expect(try bed.restored(points[1].id, secret).count > 0)
  }

  @Test("Without the key, or with another one, nothing happens")
  func wrongKey() throws {
    let (bed, points) = try makeOldChain()
    let none = #expect(throws: HoldfastError.self) { try bed.engine(.none).compact(CompactionPolicy()) }
    #expect(none?.code == .keyMissing)
    let other = Credentials(key: SecretBytes([UInt8](repeating: 9, count: 32)))
    let wrong = #expect(throws: HoldfastError.self) { try bed.engine(other).compact(CompactionPolicy()) }
    #expect(wrong?.code == .wrongKey)
    try requireWhole(bed, points)
  }

  @Test("A point under a password and a key opens with either of them after a merge")
  func slots() throws {
    let (bed, points) = try makeOldChain(.both)
    let before = try bed.restored(points[4].id, .both)
    #expect(try bed.engine(.key).compact(CompactionPolicy()).done.count == 1)
    #expect(try bed.restored(points[4].id, .password) == before)
    #expect(try bed.restored(points[4].id, .key) == before)
  }

  @Test("Two merges with the same result never seal two payloads with one key")
  func freshKeys() throws {
    let (bed, points) = try makeOldChain()
    let copy = try Shell.run("cp", ["-r", bed.backups, bed.folder.path("copy")])
    #expect(copy.status == 0)
    #expect(try bed.engine().compact(CompactionPolicy()).done.count == 1)
    let one = try bed.folder.read("backups/\(points[4].filename)")
    _ = try Shell.run("rm", ["-r", bed.backups])
    _ = try Shell.run("mv", [bed.folder.path("copy"), bed.backups])
    #expect(try bed.engine().compact(CompactionPolicy()).done.count == 1)
    let two = try bed.folder.read("backups/\(points[4].filename)")
    // One key and the same payload would give the same bytes behind the head.
    #expect(one?.suffix(500) != two?.suffix(500))
  }

  /// The first point after the clock was set back is younger than its predecessor claims, and so
  /// are the next ones.
  @Test("If a clock that was set back stamped a point, the point stays until the clock has caught up")
  func clockSetBack() throws {
    let bed = try TestBed()
    _ = try bed.makeChain(.key, .change(), incrementals: 1)
    func store(_ marker: String) throws -> PointMetadata {
      try bed.change("UPDATE marker SET text = '\(marker)'")
      return try bed.storeIncremental(.key, .change())
    }
    let start = bed.time.now()
    bed.time.set(start.adding(seconds: -3000))
    let doubtful = try (0..<4).map { try store("back \($0)") }
    bed.time.set(start.adding(seconds: 600))
    let sound = try (0..<4).map { try store("on \($0)") }
    bed.time.advance(seconds: 2 * 3600)
    let gone = try bed.engine().planCompaction(CompactionPolicy()).steps.flatMap(\.removed)
    #expect(gone == sound.dropLast().map(\.id))
    #expect(Set(gone).isDisjoint(with: doubtful.map(\.id)))
  }

  @Test("A merge neither ends a hold nor begins one", arguments: [true, false])
  func anomaly(isAccepted: Bool) throws {
    let bed = try TestBed()
    let points = try bed.makeChain(.key, .change(), incrementals: 2, rows: 2000)
    try bed.change("DELETE FROM entries")
    let odd = try bed.storeIncremental(.key, .change())
    try #require(odd.status == .anomalous)
    bed.time.advance(seconds: 2 * 3600)
    if isAccepted { _ = try bed.engine().accept(odd.id.text) }
    let outcome = try bed.engine().compact(CompactionPolicy())
    #expect(outcome.done.map(\.step.survivor) == [isAccepted ? odd.id : points[2].id])
    let after = try bed.engine().point(odd.id.text).metadata
    #expect(after.status == (isAccepted ? .completed : .anomalous) && after.anomalies == odd.anomalies)
    #expect((after.acceptedAt != nil) == isAccepted)
    #expect(try bed.engine().holds(RetentionPolicy(keepLast: 1)).isEmpty == isAccepted)
  }

  @Test("A middle point stays if another program built a point on it meanwhile")
  func builtOnMeanwhile() throws {
    let (bed, points) = try makeOldChain()
    let aside = try bed.hide(points[4])
    try bed.change("UPDATE marker SET text = 'a branch'")
    let branch = try bed.storeIncremental(.key, .change())
    let branchAside = try bed.hide(branch)
    try bed.bringBack(points[4], aside)
    #expect(branch.parentID == points[3].id)
    let once = Once()
    let progress = Progress { activity, _, _ in
      guard activity == "reading", once.begin() else { return }
      do { try bed.bringBack(branch, branchAside) } catch { Issue.record(error) }
    }
    let outcome = try bed.engine().compact(CompactionPolicy(), progress: progress)
    #expect(outcome.skipped.first?.error.code == .factsChanged, "\(outcome)")
    #expect(outcome.skipped.first?.error.message.contains("was created from it meanwhile") == true, "\(outcome)")
    // The next round saw it: the points before the branch could be merged.
    #expect(outcome.done.map(\.step.survivor) == [points[3].id])
    try requireWhole(bed, [points[0], points[3], points[4], branch])
  }

  @Test("A point that was replaced meanwhile is left alone")
  func replacedMeanwhile() throws {
    let (bed, points) = try makeOldChain()
    let once = Once()
    let progress = Progress { activity, _, _ in
      guard activity == "reading", once.begin() else { return }
      do { try bed.bringBack(points[4], bed.hide(points[4])) } catch { Issue.record(error) }
    }
    let outcome = try bed.engine().compact(CompactionPolicy(), progress: progress)
    #expect(outcome.skipped.first?.error.code == .factsChanged && outcome.done.isEmpty, "\(outcome)")
    try requireWhole(bed, points)
  }

  @Test("A point is left alone if a fact about it was recorded meanwhile")
  func recordedMeanwhile() throws {
    let (bed, points) = try makeOldChain()
    let once = Once()
    let progress = Progress { activity, _, _ in
      guard activity == "reading", once.begin() else { return }
      do { _ = try bed.engine().verify(points[2].id.text, depth: .quick) } catch { Issue.record(error) }
    }
    let outcome = try bed.engine().compact(CompactionPolicy(), progress: progress)
    #expect(outcome.skipped.first?.error.code == .factsChanged && outcome.done.isEmpty, "\(outcome)")
    try requireWhole(bed, points)
  }

  @Test("A session continues after its own compaction and after that of another program")
  func session() throws {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 100, bytes: 300)
    _ = try bed.engine().create(.change())
    let faults = StepFaults()
    let session = ChangeFollower(bed.engine(files: faults))
    var round = 0
    func next() throws -> (PointMetadata, [String]) {
      round += 1
      bed.time.advance(seconds: 1)
      try bed.change("UPDATE marker SET text = '\(round)'")
      let before = faults.count
      guard case .stored(let point, _) = try session.store(.change(), .unknown, of: bed.database) else {
        throw BrokenPromise("nothing was stored")
      }
      #expect(try bed.restored(point.id) == bed.image(), "\(round)")
      return (point, Array(faults.steps.dropFirst(before)))
    }
    for _ in 1...3 { _ = try next() }
    bed.time.advance(seconds: 2 * 3600)
    _ = try next()
    let own = try bed.engine(files: faults).compact(CompactionPolicy(), within: session)
    #expect(own.done.count == 1 && session.weight?.incrementals == 2)
    let (_, steps) = try next()
    #expect(!steps.contains { $0.contains(" list ") && $0.hasSuffix("/backups") }, "it listed the repository: \(steps)")
    let bytes = try bed.engine().list().filter(\.isIncremental).reduce(0) { $0 + $1.metadata.compressedSize }
    #expect(session.weight?.incrementals == 3 && session.weight?.incrementalBytes == bytes)
    bed.time.advance(seconds: 3 * 3600)
    #expect(try bed.engine().compact(CompactionPolicy()).done.isEmpty == false)
    _ = try next()
    // Another program stores a point, and this session merges some before it probes again.
    try bed.change("UPDATE marker SET text = 'another'")
    let others = try bed.storeIncremental(.key, .change())
    bed.time.advance(seconds: 3 * 3600)
    #expect(try bed.engine(files: faults).compact(CompactionPolicy(), within: session).done.isEmpty == false)
    #expect(try next().0.parentID == others.id)
    #expect(try bed.engine().list().allSatisfy { $0.problems.isEmpty })
  }

  @Test(
    "A point is verified and restored although others merge its chain, whenever it takes a lock", arguments: 1...4)
  func readers(at lock: Int) throws {
    for secret in [TestBed.Secret.key, .none] {
      for reads in [true, false] {
        let (bed, points) = try makeOldChain(secret)
        let image = try bed.image()
        let locks = Mutex(0)
        let files = UnflushedFileOperations(beforeLock: { exclusive in
          let number = locks.withLock { count in
            count += exclusive ? 0 : 1
            return count
          }
          guard !exclusive, number == lock else { return }
          do { _ = try bed.engine(secret).compact(CompactionPolicy()) } catch { Issue.record(error) }
        })
        let engine = bed.engine(secret, files: files)
        let isRight =
          try reads ? bed.reads(engine, points[4].id) == image : engine.verify(points[4].id.text).verified
        #expect(isRight, "\(secret), \(reads ? "restored" : "verified"), at lock \(lock)")
        let restored = try bed.restored(points[4].id, secret)
        #expect(restored == image)
      }
    }
  }

  @Test("A merged point without encryption stays trusted in a sealed repository")
  func trust() throws {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 60, bytes: 300)
    _ = try bed.engine().create(CreateRequest())
    _ = try bed.engine().create(.change(encrypt: false))
    for step in 1...3 {
      try bed.change("UPDATE marker SET text = '\(step)'")
      try bed.storeIncremental(.key, .change(encrypt: false))
    }
    bed.time.advance(seconds: 2 * 3600)
    #expect(try bed.engine().compact(CompactionPolicy()).done.count == 1)
    let points = try bed.engine().list()
    #expect(points.count == 3 && points.allSatisfy { $0.isAuthenticated && $0.problems.isEmpty })
    let restored = try bed.restored(points[0].id)
    #expect(try restored == bed.image())
  }
}

/// An action that happens once, by the first caller.
private final class Once: Sendable {
  private let begun = Mutex(false)
  var isBegun: Bool { begun.withLock { $0 } }
  func begin() -> Bool {
    begun.withLock { begun in
      defer { begun = true }
      return !begun
    }
  }
}

extension TestBed {
  /// Moves a point's files out of the repository; returns their new place.
  fileprivate func hide(_ point: PointMetadata) throws -> String {
    let aside = folder.path("aside-\(point.id)")
    try SystemFileOperations().makeFolders(aside)
    try SystemFileOperations().rename(archivePath(point), to: "\(aside)/archive")
    try SystemFileOperations().rename("\(backups)/.metadata/\(point.id).json", to: "\(aside)/json")
    return aside
  }

  /// Restores a point through this engine.
  fileprivate func reads(_ engine: Engine, _ id: PointID) throws -> [UInt8]? {
    let path = folder.path("read.db")
    guard case .plan(let plan) = try engine.planRestore(RestoreRequest(pointID: id, target: .newFile(path: path)))
    else {
      return nil
    }
    _ = try engine.restore(plan)
    return try folder.read("read.db")
  }

  fileprivate func bringBack(_ point: PointMetadata, _ aside: String) throws {
    try SystemFileOperations().rename("\(aside)/archive", to: archivePath(point))
    try SystemFileOperations().rename("\(aside)/json", to: "\(backups)/.metadata/\(point.id).json")
  }
}
