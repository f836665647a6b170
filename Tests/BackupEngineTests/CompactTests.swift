import BackupEngine
import BackupPolicy
import TestSupport
import Testing

@Suite("compaction")
struct CompactTests {
  @Test(
    "a run becomes one link, and every point that stays restores to the bytes it had",
    arguments: TestBed.Secret.allCases)
  func merges(_ secret: TestBed.Secret) throws {
    let bed = try TestBed()
    let request = CreateRequest.change(encrypt: secret != .none)
    let points = try bed.makeChain(secret, request, incrementals: 6)
    let before = try points.map { try bed.restored($0.id, secret) }
    bed.time.advance(seconds: 2 * 3600)
    let plan = try bed.service(secret).planCompaction(ThinningPolicy())
    #expect(plan.steps.count == 1)
    #expect(plan.steps.first?.survivor == points[6].id)
    #expect(plan.steps.first?.removed == points[1...5].map(\.id))
    let outcome = try bed.service(secret).compact(ThinningPolicy())
    #expect(outcome.skipped.isEmpty && outcome.done.map(\.step) == plan.steps)
    let left = try bed.service(secret).list()
    #expect(left.map(\.id) == [points[6].id, points[0].id])
    #expect(left[0].metadata.parentID == points[0].id && left[0].problems == [])
    #expect(try bed.restored(points[6].id, secret) == before[6])
    #expect(try bed.restored(points[0].id, secret) == before[0])
    #expect(try bed.recovered(points[6].id) == before[6])
    for point in left { #expect(try bed.service(secret).verify(point.id.text).verified) }
    #expect(try bed.service(secret).planCompaction(ThinningPolicy()).steps.isEmpty)
  }
}

extension CreateRequest {
  /// As the agent stores a change.
  static func change(encrypt: Bool = true) -> CreateRequest {
    var request = CreateRequest()
    request.backupType = "change"
    request.encrypt = encrypt
    return request
  }
}
