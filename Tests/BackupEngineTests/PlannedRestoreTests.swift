import BackupPolicy
import SQLitePages
import TestSupport
import Testing

@testable import BackupEngine

/// The steps that were printed are the steps that are carried out.
@Suite("A planned restore", .ownThread)
struct PlannedRestoreTests {
  private func plan(_ service: Engine, _ request: RestoreRequest) throws -> RestorePlan {
    switch try service.planRestore(request) {
    case .plan(let plan): return plan
    case .refuse(let refusal): throw refusal.error
    }
  }

  private func expectSame(_ bed: TestBed, _ request: RestoreRequest) throws -> RestorePlan {
    let plan = try plan(bed.service(), request)
    #expect(try bed.service().restore(plan).plan == plan)
    return plan
  }

  private func world() throws -> (bed: TestBed, point: PointID) {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 60, bytes: 300)
    let point = try bed.service().create(CreateRequest()).id
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
    #expect(try bed.service().verify(point.text).verified)
    let plan = try plan(bed.service(), RestoreRequest(pointID: point, target: .database(path: bed.database)))
    #expect(!plan.steps.contains { $0.kind == .integrityCheck })
    try SystemFileOperations().unlink("\(bed.backups)/.state/checks.json")
    let outcome = try bed.service().restore(plan)
    #expect(outcome.plan.steps.contains { $0.kind == .integrityCheck })
    #expect(try bed.marker() == "first")
  }

  @Test("A restore opens the repository once for the plan and the run")
  func opening() throws {
    let (bed, point) = try world()
    let service = bed.service().keepingOpen()
    let repository = try service.repository()
    try service.requireKey(to: service.point(point.text))
    let plan = try plan(service, RestoreRequest(pointID: point, target: .database(path: bed.database)))
    _ = try service.restore(plan)
    #expect(try service.repository() === repository)
    #expect(try bed.service().repository() !== repository)
    #expect(try bed.marker() == "first")
  }
}
