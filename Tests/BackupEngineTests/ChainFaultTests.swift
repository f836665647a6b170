import BackupEngine
import BackupPolicy
import SQLitePages
import TestSupport
import Testing

/// A full with 60 rows and the marker "first", then a change to 80 rows and "second": small enough for thousands of runs.
private func makeWorld(_ bed: TestBed, journal: String) throws -> PointID {
  try bed.makeDatabase(rows: 60, bytes: 300, journal: journal)
  let full = try bed.engine().create(CreateRequest()).id
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
    work: { engine, _ in
      let outcome = try engine.store(CreateRequest(), kind: .incremental)
      guard case .stored(let point, _) = outcome, point.kind == .incremental else { throw BrokenPromise("\(outcome)") }
    },
    check: { bed, finished in
      try bed.requireSoundRepository(points: finished ? 2...2 : 1...2)
      try bed.requireDatabase(["second"])
      try bed.requireNextIncremental()
    })
}

/// The full and an incremental exist; a restore through the chain's newest point moved the database
/// back to "first".
private let restoreChain = FaultSweep(
  prepare: { bed in
    _ = try makeWorld(bed, journal: "wal")
    let point = try bed.storeIncremental().id
    bed.time.advance(milliseconds: 60_000)
    try bed.change("UPDATE marker SET text = 'first'; DELETE FROM entries WHERE id > 60")
    return point
  },
  work: { engine, point in try restoreInPlace(engine, point!) },
  check: { bed, finished in
    try bed.requireSoundRepository(points: finished ? 3...3 : 2...3)
    try bed.requireDatabase(finished ? ["second"] : ["first", "second"])
  })

/// An incremental that contains 60 rows and the marker "first".
private func makeIncremental(_ bed: TestBed) throws -> PointID {
  try bed.makeDatabase(rows: 60, bytes: 300, marker: "base")
  _ = try bed.engine().create(CreateRequest())
  try bed.change("UPDATE marker SET text = 'first'; UPDATE entries SET text = 'changed' WHERE id % 7 = 0")
  let point = try bed.storeIncremental().id
  bed.time.advance(milliseconds: 60_000)
  return point
}

/// Another page size, and a `-wal` of a crashed application: an incremental's image replaces the
/// file.
private let restoreBesideWAL = FaultSweep(
  prepare: { bed in
    let point = try makeIncremental(bed)
    try bed.replaceDatabase(pageSize: 8192, leavingWAL: true)
    return point
  },
  work: { engine, point in try restoreInPlace(engine, point!) },
  check: { bed, finished in try bed.requireRestored(finished, points: 2) })

private let restoreOverGarbage = FaultSweep(
  prepare: { bed in
    let point = try makeIncremental(bed)
    try bed.makeGarbage()
    return point
  },
  work: { engine, point in try restoreInPlace(engine, point!) },
  check: { bed, finished in try bed.requireRestoredOverGarbage(finished, points: 2) })

/// Of a full and three incrementals, removes the second and its dependants.
private let deleteWithChildren = FaultSweep(
  prepare: { bed in try bed.makeChain(incrementals: 3, rows: 30)[1].id },
  work: { engine, point in _ = try engine.delete(point!.text, withChildren: true) },
  // A listed point verifies, so it has all the points that it needs.
  check: { bed, finished in try bed.requireSoundRepository(points: finished ? 1...1 : 1...4) })

extension TestBed {
  /// Whatever the fault left behind, the next incremental equals the database.
  fileprivate func requireNextIncremental() throws {
    try change("UPDATE marker SET text = 'third'")
    time.advance(milliseconds: 1000)
    guard case .stored(let point, let reason) = try engine().store(CreateRequest(), kind: .incremental) else {
      throw BrokenPromise("nothing was stored")
    }
    guard point.kind == .incremental else { throw BrokenPromise("a full was stored: \(reason)") }
    guard try restored(point.id) == image() else { throw BrokenPromise("the next incremental misses something") }
  }
}

@Suite("Faults at every step of a chain", .ownThread)
struct ChainFaultTests {
  @Test(
    "A fault at any step of an incremental leaves all points whole",
    arguments: [FaultSweep.Kind.killed, .inputOutputError, .diskStaysFull])
  func storing(_ kind: FaultSweep.Kind) throws { try storeIncremental("wal").sweep(kind) }

  @Test("A fault at any step of an incremental in rollback mode leaves all points whole")
  func storingInRollbackMode() throws { try storeIncremental("delete").sweep(.killed) }

  @Test("A fault at any step of a restore through a chain leaves the database whole")
  func restoring() throws { try restoreChain.sweep(.killed) }

  @Test(
    "A fault at any step of a restore of an incremental beside a left-over WAL leaves the database whole")
  func replacing() throws { try restoreBesideWAL.sweep(.killed) }

  @Test("A fault at any step of a restore of an incremental over garbage leaves the files whole")
  func replacingGarbage() throws { try restoreOverGarbage.sweep(.killed) }

  @Test(
    "A fault at any step of a removal with children leaves all points whole",
    arguments: [FaultSweep.Kind.killed, .inputOutputError])
  func removing(_ kind: FaultSweep.Kind) throws { try deleteWithChildren.sweep(kind) }

  @Test("A power loss in a restore of an incremental beside a left-over WAL leaves the database whole")
  func powerLostReplacing() throws { try restoreBesideWAL.powerLoss(seeds: 0..<1) }

  @Test("A power loss in a restore of an incremental over garbage leaves the files whole")
  func powerLostReplacingGarbage() throws { try restoreOverGarbage.powerLoss(seeds: 0..<2) }

  @Test("A power loss in a removal with children leaves all points whole")
  func powerLostRemoving() throws { try deleteWithChildren.powerLoss(seeds: 0..<3) }

  @Test("A power loss in an incremental leaves all points whole")
  func powerLostStoring() throws { try storeIncremental("wal").powerLoss(seeds: 0..<5) }

  @Test("A power loss in a restore through a chain leaves the database whole")
  func powerLostRestoring() throws { try restoreChain.powerLoss(seeds: 0..<2) }
}
