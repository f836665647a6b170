import BackupEngine
import BackupPolicy
import TestSupport
import Testing

/// A full and some incrementals of changes; the last one leaves the database as it was.
private func makeWorld(_ bed: TestBed, _ secret: TestBed.Secret = .key, incrementals: Int) throws {
  try bed.makeDatabase(rows: 60, bytes: 300)
  let request = CreateRequest.change(encrypt: secret != .none)
  _ = try bed.engine(secret).create(request)
  for marker in ["one", "two", "first"].suffix(incrementals) {
    try bed.change(
      "UPDATE marker SET text = '\(marker)'; UPDATE entries SET text = '\(marker)' || text WHERE id % 9 = 3")
    try bed.storeIncremental(secret, request)
  }
  bed.time.advance(seconds: 2 * 3600)
}

/// Two hours later all but the last are merged into it.
private func merging(_ secret: TestBed.Secret = .key, incrementals: Int = 2) -> FaultSweep {
  FaultSweep(
    prepare: { bed in
      try makeWorld(bed, secret, incrementals: incrementals)
      return nil
    },
    work: { _ = try $0.compact(CompactionPolicy()) },
    // If a point cannot be read for a moment, it is left alone without a failure: the next run
    // merges it.
    check: { bed, _ in
      try bed.requireSoundRepository(points: 2...4, secret)
      try bed.requireDatabase(["first"])
      try bed.requireNewest(points: 2, secret)
    }, secret: secret)
}

/// All incrementals are too old, and a newer chain exists.
private let removing = FaultSweep(
  prepare: { bed in
    try makeWorld(bed, incrementals: 3)
    _ = try bed.engine().create(.change())
    bed.time.advance(seconds: 30 * 86400)
    return nil
  },
  work: { _ = try $0.compact(CompactionPolicy()) },
  check: { bed, _ in
    try bed.requireSoundRepository(points: 2...5)
    try bed.requireNewest(points: 2, .key)
  })

extension FaultSweep {
  fileprivate init(
    prepare: @escaping @Sendable (TestBed) throws -> PointID?, work: @escaping @Sendable (Engine) throws -> Void,
    check: @escaping @Sendable (TestBed, _ finished: Bool) throws -> Void, secret: TestBed.Secret = .key
  ) {
    self.init(
      prepare: prepare,
      work: { engine, _ in
        try work(
          Engine(
            database: engine.database, folder: engine.folder, credentials: TestBed.credentials(secret),
            environment: engine.environment))
      }, check: check)
  }
}

extension TestBed {
  /// The newest point equals the database, the next compaction finishes the work, and the next
  /// incremental builds on it.
  fileprivate func requireNewest(points: Int, _ secret: TestBed.Secret) throws {
    let engine = engine(secret)
    let outcome = try engine.compact(CompactionPolicy())
    guard outcome.skipped.isEmpty else { throw BrokenPromise("left alone: \(outcome.skipped)") }
    let left = try engine.list()
    guard left.count == points, left.allSatisfy({ $0.problems.isEmpty }) else {
      throw BrokenPromise("\(left.map { ($0.id, $0.problems) }) are left")
    }
    try change("UPDATE marker SET text = 'third'")
    let next = try storeIncremental(secret, .change(encrypt: secret != .none))
    guard try restored(next.id, secret) == image() else { throw BrokenPromise("the next incremental misses something") }
  }
}

@Suite("Faults at every step of a compaction", .ownThread)
struct CompactFaultTests {
  @Test(
    "A fault at any step of a merge leaves all points whole",
    arguments: [FaultSweep.Kind.killed, .inputOutputError, .diskStaysFull])
  func merge(_ kind: FaultSweep.Kind) throws { try merging().sweep(kind) }

  @Test("A fault at any step of a merge without encryption leaves all points whole")
  func mergePlain() throws { try merging(.none).sweep(.killed) }

  @Test(
    "A fault at any step of removing the end of a chain leaves all points whole", arguments: [FaultSweep.Kind.killed])
  func remove(_ kind: FaultSweep.Kind) throws { try removing.sweep(kind) }

  @Test("A power loss in a merge leaves all points whole", arguments: [TestBed.Secret.none, .key])
  func powerLost(_ secret: TestBed.Secret) throws {
    try merging(secret).powerLoss(seeds: 4..<(secret == .none ? 8 : 6))
  }

  @Test("A power loss in a removal leaves all points whole")
  func powerLostRemoving() throws { try removing.powerLoss(seeds: 4..<10) }
}
