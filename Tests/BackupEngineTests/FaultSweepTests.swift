import BackupEngine
import BackupPolicy
import SQLitePages
import TestSupport
import Testing

/// The point contains 60 rows and the marker "first"; the database then moves on to 80 rows and
/// "second".
private func makePoint(_ bed: TestBed) throws -> PointID {
  try bed.makeDatabase(rows: 60, bytes: 300)
  let point = try bed.engine().create(CreateRequest()).id
  bed.time.advance(milliseconds: 60000)
  return point
}

private func moveOn(_ bed: TestBed) throws {
  try bed.change(
    """
    UPDATE marker SET text = 'second';
    WITH RECURSIVE n(i) AS (SELECT 61 UNION ALL SELECT i + 1 FROM n WHERE i < 80)
    INSERT INTO entries SELECT i, hex(randomblob(100)) FROM n
    """)
}

private let create = FaultSweep(
  prepare: { bed in
    try bed.makeDatabase(rows: 60, bytes: 300)
    return nil
  },
  work: { engine, _ in _ = try engine.create(CreateRequest()) },
  check: { bed, finished in
    try bed.requireSoundRepository(points: finished ? 1...1 : 0...1)
    try bed.requireDatabase(["first"])
  })

private let createInRollbackMode = FaultSweep(
  prepare: { bed in
    try bed.makeDatabase(rows: 60, bytes: 300, journal: "delete")
    return try bed.engine().create(CreateRequest()).id
  },
  work: { engine, _ in _ = try engine.create(CreateRequest()) },
  check: { bed, finished in
    try bed.requireSoundRepository(points: finished ? 2...2 : 1...2)
    try bed.requireDatabase(["first"])
  })

private let restoreLive = FaultSweep(
  prepare: { bed in
    let point = try makePoint(bed)
    try moveOn(bed)
    return point
  },
  work: { engine, point in try restoreInPlace(engine, point!) },
  check: { bed, finished in try bed.requireRestored(finished) })

/// Another page size: the file is replaced. The application crashed and left a `-wal` with the marker "second".
private let restoreByReplacing = FaultSweep(
  prepare: { bed in
    let point = try makePoint(bed)
    try bed.replaceDatabase(pageSize: 8192, leavingWAL: true)
    return point
  },
  work: { engine, point in try restoreInPlace(engine, point!) },
  check: { bed, finished in try bed.requireRestored(finished) })

/// The database is garbage with a `-wal` beside it: its files are kept raw and replaced.
private let restoreOverGarbage = FaultSweep(
  prepare: { bed in
    let point = try makePoint(bed)
    try bed.makeGarbage()
    return point
  },
  work: { engine, point in try restoreInPlace(engine, point!) },
  check: { bed, finished in try bed.requireRestoredOverGarbage(finished) })

extension TestBed {
  /// Replaces the database by one of another page size; optionally as a crashed application leaves
  /// it.
  func replaceDatabase(pageSize: Int, leavingWAL: Bool) throws {
    let script = """
      import os, sqlite3, sys
      path = sys.argv[1]
      for suffix in ("", "-wal", "-shm"):
        if os.path.exists(path + suffix): os.unlink(path + suffix)
      c = sqlite3.connect(path, isolation_level=None)
      c.execute("pragma page_size=\(pageSize)"); c.execute("pragma journal_mode=wal")
      c.execute("create table marker(text)"); c.execute("insert into marker values('before')")
      c.execute("create table entries(id integer primary key, text)")
      c.executemany("insert into entries values(?, ?)", [(i, os.urandom(100).hex()) for i in range(80)])
      c.execute("pragma wal_checkpoint(truncate)")
      c.execute("update marker set text='second'")
      os._exit(0) if \(leavingWAL ? "True" : "False") else c.close()
      """
    let result = try Python.run(script: script, arguments: [database])
    guard result.status == 0 else { throw BrokenPromise(result.stderr) }
  }

  /// Replaces the database by garbage, and its log also.
  func makeGarbage() throws {
    _ = try folder.write("app.db", Array("this was a database once".utf8))
    _ = try folder.write("app.db-wal", Array("and this its log".utf8))
  }

  /// Either the garbage is complete, or the database is restored without its log.
  ///
  /// - Parameter before: the number of points before.
  func requireRestoredOverGarbage(_ finished: Bool, points before: Int = 1) throws {
    try requireSoundRepository(points: finished ? before + 1...before + 1 : before...before + 1)
    let content = try folder.read("app.db") ?? []
    if !finished, content == Array("this was a database once".utf8) {
      let wal = try folder.read("app.db-wal") ?? movedAsideWAL()
      guard wal == Array("and this its log".utf8) else { throw BrokenPromise("the -wal is lost") }
    } else {
      guard try folder.read("app.db-wal") == nil else {
        throw BrokenPromise("an old -wal is beside the new file")
      }
      try requireDatabase(["first"])
    }
  }

  func movedAsideWAL() throws -> [UInt8]? {
    let name = try SystemFileOperations().list(folder.path).first { $0.hasPrefix("app.db-wal.before-") }
    return try name.flatMap { try folder.read($0) }
  }

  /// The database is the old or the restored one, and if it is the restored one, the safety backup
  /// contains the old one.
  ///
  /// - Parameter before: the number of points before.
  func requireRestored(_ finished: Bool, points before: Int = 1) throws {
    try requireSoundRepository(points: finished ? before + 1...before + 1 : before...before + 1)
    try requireDatabase(finished ? ["first"] : ["first", "second"])
    if try marker() == "first" { try requireSafetyBackup() }
  }

  /// The newest safety backup contains the state before the restore.
  fileprivate func requireSafetyBackup() throws {
    guard let safety = try engine().list().first(where: { $0.metadata.backupType == .safety }) else {
      throw BrokenPromise("there is no safety backup")
    }
    let path = folder.path("safety.db")
    try? SystemFileOperations().unlink(path)
    try restore(engine(), safety.id, to: path)
    guard try marker(at: path) == "second" else { throw BrokenPromise("the safety backup holds something else") }
  }
}

@Suite("Faults at every step", .ownThread)
struct FaultSweepTests {
  @Test("A fault at any step of a backup leaves all points whole", arguments: FaultSweep.Kind.allCases)
  func creating(_ kind: FaultSweep.Kind) throws { try create.sweep(kind) }

  @Test("A fault at any step of a backup in rollback mode leaves all points whole", arguments: FaultSweep.Kind.allCases)
  func creatingInRollbackMode(_ kind: FaultSweep.Kind) throws { try createInRollbackMode.sweep(kind) }

  @Test("A fault at any step of a live restore leaves the database whole", arguments: FaultSweep.Kind.allCases)
  func restoringLive(_ kind: FaultSweep.Kind) throws { try restoreLive.sweep(kind) }

  @Test(
    "A fault at any step of a restore beside a left-over WAL leaves the database whole",
    arguments: FaultSweep.Kind.allCases)
  func replacing(_ kind: FaultSweep.Kind) throws { try restoreByReplacing.sweep(kind) }

  @Test("A fault at any step of a restore over garbage leaves the files whole", arguments: FaultSweep.Kind.allCases)
  func replacingGarbage(_ kind: FaultSweep.Kind) throws { try restoreOverGarbage.sweep(kind) }

  @Test("A power loss in a backup leaves all points whole")
  func powerLostCreating() throws { try create.powerLoss(seeds: 0..<12) }

  @Test("A power loss in a backup in rollback mode leaves all points whole")
  func powerLostCreatingInRollbackMode() throws { try createInRollbackMode.powerLoss(seeds: 0..<8) }

  @Test("A power loss in a live restore leaves the database whole")
  func powerLostRestoringLive() throws { try restoreLive.powerLoss(seeds: 0..<7) }

  @Test("A power loss in a restore beside a left-over WAL leaves the database whole")
  func powerLostReplacing() throws { try restoreByReplacing.powerLoss(seeds: 0..<7) }

  @Test("A power loss in a restore over garbage leaves the files whole")
  func powerLostReplacingGarbage() throws { try restoreOverGarbage.powerLoss(seeds: 0..<7) }
}
