import BackupEngine
import BackupPolicy
import SQLitePages
import TestSupport
import Testing

/// Carries out the plan of `undo`.
@discardableResult
private func undo(_ engine: Engine) throws -> RestoreOutcome {
  switch try engine.planUndo() {
  case .plan(let plan): return try engine.restore(plan)
  case .refuse(let refusal): throw refusal.error
  }
}

@Suite("Undo", .ownThread)
struct UndoTests {
  /// A point with 60 rows and the marker "first", restored into a database with 80 rows and "second".
  private func restored(journal: String = "wal") throws -> (bed: TestBed, point: PointID, safety: PointID) {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 60, bytes: 300, journal: journal)
    let point = try bed.engine().create(CreateRequest()).id
    bed.time.advance(seconds: 60)
    try bed.change("UPDATE marker SET text = 'second'; INSERT INTO entries(text) SELECT text FROM entries LIMIT 20")
    let safety = try #require(try restoreInPlace(bed.engine(), point).safetyBackupID)
    bed.time.advance(seconds: 60)
    return (bed, point, safety)
  }

  private func refusal(_ engine: Engine) throws -> RestoreRefusal {
    guard case .refuse(let refusal) = try engine.planUndo() else { throw BrokenPromise("not refused") }
    return refusal
  }

  private func warnings(_ bed: TestBed) throws -> [String] {
    guard case .plan(let plan) = try bed.engine().planUndo() else { throw BrokenPromise("refused") }
    return plan.warnings
  }

  @Test(
    "Undo restores the content before the restore, row for row, and a second undo takes back the first",
    arguments: ["wal", "delete"])
  func twice(journal: String) throws {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 60, bytes: 300, journal: journal)
    let point = try bed.engine().create(CreateRequest()).id
    try bed.change("UPDATE marker SET text = 'second'; INSERT INTO entries(text) SELECT text FROM entries LIMIT 20")
    let (first, second) = (bed.folder.path("first.db"), bed.folder.path("second.db"))
    try bed.reference(to: second)
    try restore(bed.engine(), point, to: first)
    // An application that stays open through all of it.
    let reader = try DatabaseConnection(path: bed.database, access: .writer)
    #expect(try reader.text("SELECT text FROM marker") == "second")
    _ = try restoreInPlace(bed.engine(), point)
    for expected in ["second", "first", "second"] {
      bed.time.advance(seconds: 1)
      #expect(try undo(bed.engine()).plan.install == .live)
      #expect(try reader.text("SELECT text FROM marker") == expected)
      #expect(try sameRows(bed.database, expected == "first" ? first : second))
    }
  }

  @Test("Undo warns of writes since the restore, and of nothing else", arguments: ["wal", "delete"])
  func changes(journal: String) throws {
    let (bed, _, _) = try restored(journal: journal)
    #expect(try warnings(bed) == [])
    // Opening, checkpointing and closing write pages, and change nothing.
    try bed.change("PRAGMA wal_checkpoint(TRUNCATE)")
    #expect(try warnings(bed) == [])
    try bed.change("UPDATE entries SET text = 'changed' WHERE id = 7")
    let warnings = try warnings(bed)
    #expect(warnings.count == 1 && warnings[0].contains("was written to since the restore at 2023-11-16T14:31:22"))
    try undo(bed.engine())
    #expect(try bed.marker() == "second")
    // Nothing is lost by it.
    try undo(bed.engine())
    let connection = try DatabaseConnection(path: bed.database, access: .observer)
    #expect(try connection.text("SELECT text FROM entries WHERE id = 7") == "changed")
  }

  @Test("Undo is refused if nothing was restored, or if the restore kept nothing")
  func nothing() throws {
    let bed = try TestBed()
    try bed.makeDatabase()
    let point = try bed.engine().create(CreateRequest()).id
    #expect(try refusal(bed.engine()).reason.contains("no restore into \(bed.database) is recorded"))
    try restore(bed.engine(), point, to: bed.folder.path("elsewhere.db"))
    #expect(try refusal(bed.engine()).code == .refused)
    let request = RestoreRequest(pointID: point, target: .database(path: bed.database), safetyBackup: false)
    guard case .plan(let plan) = try bed.engine().planRestore(request) else { throw BrokenPromise("refused") }
    _ = try bed.engine().restore(plan)
    #expect(try refusal(bed.engine()).reason.contains("kept no copy of the previous content"))
  }

  @Test("Undo is refused if the safety backup is gone, or is a copy of damaged files")
  func gone() throws {
    let (bed, point, safety) = try restored()
    _ = try bed.engine().delete(safety.text)
    let missing = try refusal(bed.engine())
    #expect(
      missing.code == .pointNotFound && missing.reason.contains("\(safety), the backup from before the restore of "))
    try bed.makeGarbage()
    _ = try restoreInPlace(bed.engine(), point)
    #expect(try refusal(bed.engine()).reason.contains("was damaged"))
  }

  @Test("Undo is refused if a later backup has the ID of the safety backup")
  func usedAgain() throws {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 60, bytes: 300)
    let point = try bed.engine().create(CreateRequest()).id
    bed.time.advance(seconds: 60)
    try bed.change("UPDATE marker SET text = 'second'")
    let safety = try #require(try restoreInPlace(bed.engine(), point).safetyBackupID)
    _ = try bed.engine().delete(safety.text)
    try bed.change("UPDATE marker SET text = 'later'")
    // The ID comes again within the same second, or after the clock was set back.
    #expect(try bed.engine().create(CreateRequest()).id == safety)
    let refusal = try refusal(bed.engine())
    #expect(refusal.code == .pointNotFound && refusal.reason.contains("\(safety) is another backup now"))
    #expect(try bed.marker() == "later")
  }

  /// Turns the log of restores into one of an older version.
  private func makeOlder(_ bed: TestBed) throws {
    let path = "backups/.metadata/restores.json"
    let text = String(decoding: try #require(try bed.folder.read(path)), as: UTF8.self)
    #expect(text.contains("\"completed\" : true"))
    let newer = ["\"completed\"", "\"rewritten_bytes\"", "\"sequence\"", "\"safety_sequence\"", "\"safety_digest\""]
    let old = text.split(separator: "\n").filter { line in !newer.contains { line.contains($0) } }
    try bed.folder.write(path, Array(old.joined(separator: "\n").utf8))
  }

  @Test(
    "Undo is refused if the record of an older version does not prove which backup it means",
    arguments: [BackupType.manual, .safety])
  func unprovenRecord(type: BackupType) throws {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 60, bytes: 300)
    let point = try bed.engine().create(CreateRequest()).id
    bed.time.advance(seconds: 60)
    try bed.change("UPDATE marker SET text = 'second'")
    let safety = try #require(try restoreInPlace(bed.engine(), point).safetyBackupID)
    try makeOlder(bed)
    guard case .plan = try bed.engine().planUndo() else { throw BrokenPromise("refused") }
    _ = try bed.engine().delete(safety.text)
    try bed.change("UPDATE marker SET text = 'later'")
    // A manual backup was never the safety backup, whatever the clock said.
    if type == .safety { bed.time.advance(milliseconds: 1) }
    #expect(try bed.engine().create(CreateRequest(for: BackupReason(type))).id == safety)
    let refusal = try refusal(bed.engine())
    #expect(refusal.code == .pointNotFound && refusal.reason.contains("may be a later backup with the same ID"))
    #expect(refusal.hint.contains("holdfast show \(safety)"))
    #expect(try bed.marker() == "later")
  }

  @Test("Undo concerns this database, also through links, and never another one")
  func otherDatabase() throws {
    let (bed, point, safety) = try restored()
    let other = bed.folder.path("other.db")
    try bed.makeDatabase(at: other, rows: 5, marker: "other")
    let engine = bed.engine(database: other)
    #expect(try refusal(engine).reason.contains("other.db"))
    #expect(throws: HoldfastError.self) { try restoreInPlace(engine, point) }
    _ = try Shell.run("ln", ["-s", bed.database, bed.folder.path("link.db")])
    for path in [bed.database, bed.folder.path("link.db")] {
      guard case .plan(let plan) = try bed.engine(database: path).planUndo() else { throw BrokenPromise("refused") }
      #expect(plan.pointID == safety && plan.target == bed.database)
    }
    #expect(try bed.marker(at: other) == "other" && bed.marker() == "first")
  }

  @Test("Undo reads a log of older versions, and reports if the log is damaged")
  func log() throws {
    let (bed, _, safety) = try restored()
    try makeOlder(bed)
    let path = "backups/.metadata/restores.json"
    guard case .plan(let plan) = try bed.engine().planUndo() else { throw BrokenPromise("refused") }
    #expect(plan.pointID == safety && plan.warnings == [])
    try bed.folder.write(path, Array("[".utf8))
    let error = #expect(throws: HoldfastError.self) { try bed.engine().planUndo() }
    #expect(error?.code == .failed && error?.message.contains("restores.json is damaged") == true)
    #expect(error?.hint?.contains("holdfast list") == true)
  }

  @Test("If the database is gone, undo puts it back")
  func missing() throws {
    let (bed, _, _) = try restored()
    for suffix in ["", "-wal", "-shm"] { try SystemFileOperations().unlink(bed.database + suffix) }
    #expect(try undo(bed.engine()).plan.install == .replace)
    #expect(try bed.marker() == "second")
  }

  @Test("Undo does not take back a restore that failed")
  func failed() throws {
    let (bed, point, safety) = try restored()
    let writer = try DatabaseConnection(path: bed.database, access: .writer)
    try writer.execute("BEGIN IMMEDIATE")
    let error = #expect(throws: HoldfastError.self) { try restoreInPlace(bed.engine(), point) }
    #expect(error?.code == .busy)
    try writer.execute("ROLLBACK")
    guard case .plan(let plan) = try bed.engine().planUndo() else { throw BrokenPromise("refused") }
    #expect(plan.pointID == safety && plan.warnings == [])
  }
}

// MARK: - Faults

/// A restore at "first" over "second", which the work takes back.
private let undoing = FaultSweep(
  prepare: { bed in
    try bed.makeDatabase(rows: 60, bytes: 300)
    let point = try bed.engine().create(CreateRequest()).id
    bed.time.advance(milliseconds: 60000)
    try bed.change(
      """
      UPDATE marker SET text = 'second';
      WITH RECURSIVE n(i) AS (SELECT 61 UNION ALL SELECT i + 1 FROM n WHERE i < 80)
      INSERT INTO entries SELECT i, hex(randomblob(100)) FROM n
      """)
    _ = try restoreInPlace(bed.engine(), point)
    bed.time.advance(milliseconds: 60000)
    return point
  },
  work: { engine, _ in try undo(engine) },
  check: { bed, finished in
    try bed.requireSoundRepository(points: finished ? 3...3 : 2...3)
    try bed.requireDatabase(finished ? ["second"] : ["first", "second"])
    // At whatever step it stopped, the next one leads to the other state: it was undone, or it was
    // not.
    let before = try bed.marker()
    bed.time.advance(milliseconds: 60000)
    try undo(bed.engine())
    try bed.requireDatabase([before == "first" ? "second" : "first"])
  })

@Suite("Faults at every step of an undo", .ownThread)
struct UndoFaultTests {
  @Test(
    "A fault at any step of an undo leaves the database whole", arguments: [FaultSweep.Kind.killed, .inputOutputError])
  func fault(_ kind: FaultSweep.Kind) throws { try undoing.sweep(kind, near: "restores.json") }

  @Test("A power loss in an undo leaves the database whole")
  func powerLost() throws { try undoing.powerLoss(seeds: 0..<2, near: "restores.json") }
}
