import BackupPolicy
import SQLitePages
import Synchronization
import TestSupport
import Testing

@testable import BackupEngine

/// A request to stop that comes while content is installed: either nothing has changed and the
/// result is `interrupted`, or the restore is done and is no error.
@Suite("A restore that is interrupted", .ownThread)
struct InterruptedRestoreTests {
  /// Stops itself at the first report that fits.
  private final class Stopper: Sendable {
    let progress: Progress

    init(when fits: @escaping @Sendable (_ activity: String, _ done: Int64, _ total: Int64) -> Bool) {
      let box = Box()
      progress = Progress { if fits($0, $1, $2) { box.stop() } }
      box.progress.withLock { $0 = progress }
    }

    private final class Box: Sendable {
      let progress = Mutex<Progress?>(nil)
      func stop() { progress.withLock(\.self)?.stop() }
    }
  }

  /// A database of 12 MB, which is installed in two steps or more.
  private func world() throws -> (bed: TestBed, point: PointID) {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 3000, bytes: 7600)
    let point = try bed.engine().create(CreateRequest()).id
    bed.time.advance(seconds: 60)
    try bed.change("UPDATE marker SET text = 'second'")
    return (bed, point)
  }

  private func restore(_ bed: TestBed, _ request: RestoreRequest, _ progress: Progress) throws -> RestoreOutcome {
    let engine = bed.engine()
    switch try engine.planRestore(request) {
    case .plan(let plan): return try engine.restore(plan, progress: progress)
    case .refuse(let refusal): throw refusal.error
    }
  }

  @Test("If a restore is stopped before the last page, nothing has changed and there is nothing to undo")
  func early() throws {
    let (bed, point) = try world()
    let stopper = Stopper { activity, done, total in activity == "installing" && done > 0 && done < total }
    let request = RestoreRequest(pointID: point, target: .database(path: bed.database))
    let error = #expect(throws: HoldfastError.self) { try restore(bed, request, stopper.progress) }
    #expect(error?.code == .interrupted, "\(String(describing: error))")
    #expect(try bed.marker() == "second")
    #expect(try bed.integrity() == .passed)
    guard case .refuse = try bed.engine().planUndo() else {
      Issue.record("there is something to undo")
      return
    }
  }

  @Test("If a restore is stopped with the last page, it is done and can be undone")
  func late() throws {
    let (bed, point) = try world()
    let stopper = Stopper { activity, done, total in activity == "installing" && done == total && total > 0 }
    let request = RestoreRequest(pointID: point, target: .database(path: bed.database))
    let outcome = try restore(bed, request, stopper.progress)
    #expect(stopper.progress.isStopped && stopper.progress.isCompleting)
    #expect(try bed.marker() == "first")
    #expect(try bed.integrity() == .passed)
    guard case .plan(let undo) = try bed.engine().planUndo() else {
      Issue.record("there is nothing to undo")
      return
    }
    #expect(undo.pointID == outcome.safetyBackupID)
  }

  @Test(
    "If a restore to a file is stopped before the rename, nothing has changed, and after it all is done",
    arguments: [true, false])
  func newFile(early: Bool) throws {
    let (bed, point) = try world()
    let target = bed.folder.path("new.db")
    let request = RestoreRequest(pointID: point, target: .newFile(path: target))
    guard case .plan(let plan) = try bed.engine().planRestore(request) else {
      Issue.record("refused")
      return
    }
    let install = Int64(try #require(plan.steps.firstIndex { $0.kind == .installNew }))
    let stopper = Stopper { activity, done, _ in activity == "restoring" && done == (early ? install - 1 : install) }
    let result = Result { try bed.engine().restore(plan, progress: stopper.progress) }
    let exists = try SystemFileOperations().status(target) != nil
    #expect(stopper.progress.isStopped && exists != early)
    switch result {
    case .success: #expect(!early)
    case .failure(let error): #expect(early && (error as? HoldfastError)?.code == .interrupted, "\(error)")
    }
  }

  @Test("An interrupted cleanup reports its removals")
  func cleanup() throws {
    let bed = try TestBed()
    try bed.makeDatabase()
    for _ in 0..<40 {
      _ = try bed.engine().create(CreateRequest())
      bed.time.advance(seconds: 60)
    }
    let stopper = Stopper { activity, done, _ in activity == "removing" && done == 0 }
    var rules = RetentionRules()
    rules.keepLast = 1
    let error = #expect(throws: HoldfastError.self) {
      try bed.engine().cleanup(RetentionPolicy(rules), progress: stopper.progress)
    }
    let left = try bed.engine().list().count
    #expect(error?.code == .interrupted && left > 1 && left < 40)
    #expect(error?.message == "interrupted after \(40 - left) of 39 backups were removed")
  }
}
