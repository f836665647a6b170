import BackupPolicy
import SQLitePages
import TestSupport
import Testing

@testable import BackupEngine

/// The steps that were printed are the steps that are carried out.
@Suite("A planned restore", .ownThread)
struct PlannedRestoreTests {
  private func plan(_ engine: Engine, _ request: RestoreRequest) throws -> RestorePlan {
    switch try engine.planRestore(request) {
    case .plan(let plan): return plan
    case .refuse(let refusal): throw refusal.error
    }
  }

  private func expectSame(_ bed: TestBed, _ request: RestoreRequest) throws -> RestorePlan {
    let plan = try plan(bed.engine(), request)
    #expect(try bed.engine().restore(plan).plan == plan)
    return plan
  }

  private func world() throws -> (bed: TestBed, point: PointID) {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 60, bytes: 300)
    let point = try bed.engine().create(CreateRequest()).id
    bed.time.advance(seconds: 60)
    try bed.change("UPDATE marker SET text = 'second'")
    return (bed, point)
  }

  @Test("A restore runs the steps of the plan, with or without a check that passed before")
  func steps() throws {
    let (bed, point) = try world()
    let request = RestoreRequest(pointID: point, target: .database(path: bed.database))
    #expect(try expectSame(bed, request).steps.contains { $0.kind == .integrityCheck })
    bed.time.advance(seconds: 60)
    // It passed with the first restore, and the plan knows.
    #expect(try !expectSame(bed, request).steps.contains { $0.kind == .integrityCheck })
    bed.time.advance(seconds: 60)
    var other = request
    other.recheck = true
    #expect(try expectSame(bed, other).steps.contains { $0.kind == .integrityCheck })
    bed.time.advance(seconds: 60)
    other = request
    other.verifyFirst = false
    other.safetyBackup = false
    _ = try expectSame(bed, other)
    for suffix in ["", "-wal", "-shm"] { try SystemFileOperations().unlink(bed.database + suffix) }
    #expect(try expectSame(bed, request).install == .replace)
    other.target = .newFile(path: bed.folder.path("new.db"))
    #expect(try expectSame(bed, other).install == .newFile)
  }

  @Test("A restore runs the check after all if the memo was lost since the plan")
  func lostMemo() throws {
    let (bed, point) = try world()
    #expect(try bed.engine().verify(point.text).verified)
    let plan = try plan(bed.engine(), RestoreRequest(pointID: point, target: .database(path: bed.database)))
    #expect(!plan.steps.contains { $0.kind == .integrityCheck })
    try SystemFileOperations().unlink("\(bed.backups)/.state/checks.json")
    let outcome = try bed.engine().restore(plan)
    #expect(outcome.plan.steps.contains { $0.kind == .integrityCheck })
    #expect(try bed.marker() == "first")
  }

  @Test("A restore opens the repository once for the plan and the run")
  func opening() throws {
    let (bed, point) = try world()
    let engine = bed.engine().keepingOpen()
    let repository = try engine.repository()
    try engine.requireKey(to: engine.point(point.text))
    let plan = try plan(engine, RestoreRequest(pointID: point, target: .database(path: bed.database)))
    _ = try engine.restore(plan)
    #expect(try engine.repository() === repository)
    #expect(try bed.engine().repository() !== repository)
    #expect(try bed.marker() == "first")
  }
}
