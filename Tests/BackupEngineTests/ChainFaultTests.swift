import BackupEngine
import BackupPolicy
import SQLitePages
import TestSupport
import Testing

/// A full with 60 rows and the marker "first", then a change to 80 rows and "second": small enough for thousands of runs.
private func makeWorld(_ bed: TestBed, journal: String) throws -> PointID {
  try bed.makeDatabase(rows: 60, bytes: 300, journal: journal)
  let full = try bed.service().create(CreateRequest()).id
  bed.time.advance(milliseconds: 60_000)
  try bed.change(
    """
    UPDATE marker SET text = 'second';
    WITH RECURSIVE n(i) AS (SELECT 61 UNION ALL SELECT i + 1 FROM n WHERE i < 80)
    INSERT INTO entries SELECT i, hex(randomblob(100)) FROM n
    """)
  return full
}

private func storeIncremental(_ journal: String) -> FaultSweep {
  FaultSweep(
    prepare: { try makeWorld($0, journal: journal) },
    work: { service, _ in
      let outcome = try service.store(CreateRequest(), kind: .incremental)
      guard case .stored(let point, _) = outcome, point.kind == "incremental" else { throw BrokenPromise("\(outcome)") }
    },
    check: { bed, finished in
      try bed.requireSoundRepository(points: finished ? 2...2 : 1...2)
      try bed.requireDatabase(["second"])
      try bed.requireNextIncremental()
    })
}

/// The full and an incremental are there; the database moved back to "first" by a restore through the chain's newest point.
private let restoreChain = FaultSweep(
  prepare: { bed in
    _ = try makeWorld(bed, journal: "wal")
    let point = try bed.storeIncremental().id
    bed.time.advance(milliseconds: 60_000)
    try bed.change("UPDATE marker SET text = 'first'; DELETE FROM entries WHERE id > 60")
    return point
  },
  work: { service, point in try restoreInPlace(service, point!) },
  check: { bed, finished in
    try bed.requireSoundRepository(points: finished ? 3...3 : 2...3)
    try bed.requireDatabase(finished ? ["second"] : ["first", "second"])
  })

extension TestBed {
  /// Whatever was left behind, the next incremental is exactly the database.
  fileprivate func requireNextIncremental() throws {
    try change("UPDATE marker SET text = 'third'")
    time.advance(milliseconds: 1000)
    guard case .stored(let point, let reason) = try service().store(CreateRequest(), kind: .incremental) else {
      throw BrokenPromise("nothing was stored")
    }
    guard point.kind == "incremental" else { throw BrokenPromise("a full was stored: \(reason)") }
    guard try restored(point.id) == image() else { throw BrokenPromise("the next incremental misses something") }
  }
}

@Suite("a fault at every step of a chain")
struct ChainFaultTests {
  @Test("of an incremental", arguments: [FaultSweep.Kind.killed, .inputOutputError, .diskStaysFull])
  func storing(_ kind: FaultSweep.Kind) throws { try storeIncremental("wal").sweep(kind) }

  @Test("of an incremental in rollback mode")
  func storingInRollbackMode() throws { try storeIncremental("delete").sweep(.killed) }

  @Test("of a restore through a chain")
  func restoring() throws { try restoreChain.sweep(.killed) }

  @Test("power lost, of an incremental")
  func powerLostStoring() throws { try storeIncremental("wal").powerLoss(seeds: 0..<5) }

  @Test("power lost, of a restore through a chain")
  func powerLostRestoring() throws { try restoreChain.powerLoss(seeds: 0..<2) }
}
