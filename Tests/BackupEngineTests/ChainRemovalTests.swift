import BackupEngine
import BackupPolicy
import TestSupport
import Testing

@Suite("Removing points of a chain", .ownThread)
struct ChainRemovalTests {
  @Test("A point that others need is not deleted, and the hint names the others in an order that works")
  func refused() throws {
    let bed = try TestBed()
    let points = try bed.makeChain(incrementals: 3)
    for index in 0..<3 {
      let error = #expect(throws: HoldfastError.self) { try bed.engine().delete(points[index].id.text) }
      #expect(error?.code == .refused && error?.code.exitCode == 8)
      let order = points[(index + 1)...].reversed().map(\.id.text).joined(separator: ", ")
      #expect(error?.hint?.contains(order) == true, "\(String(describing: error?.hint))")
    }
    #expect(try bed.engine().list().count == 4)
    for point in points.reversed() {
      #expect(try bed.engine().delete(point.id.text) == point.id)
      for left in try bed.engine().list() { #expect(try bed.engine().verify(left.id.text).verified) }
    }
    #expect(try bed.engine().list().isEmpty)
  }

  @Test("A point is removed with its children and nothing else")
  func withChildren() throws {
    let bed = try TestBed()
    let points = try bed.makeChain(incrementals: 3)
    _ = try bed.engine().delete(points[2].id.text, withChildren: true)
    #expect(try bed.engine().list().map(\.id) == [points[1].id, points[0].id])
    #expect(try bed.engine().verify(points[1].id.text).verified)
  }

  @Test("The plan lists the points and their order, and stops if another point was stored since")
  func plan() throws {
    let bed = try TestBed()
    let points = try bed.makeChain(incrementals: 3)
    let plan = try bed.engine().planDelete(points[1].id.text, withChildren: true)
    #expect(plan.points.map(\.id) == [points[3], points[2], points[1]].map(\.id))
    #expect(plan.archiveBytes == points[1...].reduce(0) { $0 + $1.compressedSize })
    let refusal = #expect(throws: HoldfastError.self) { try bed.engine().planDelete(points[1].id.text) }
    #expect(refusal?.message == "cannot delete \(points[1].id): 2 backups need it")
    #expect(refusal?.hint?.contains("holdfast delete --with-children \(points[1].id)") == true)
    try bed.change("UPDATE marker SET text = 'since'")
    let since = try bed.storeIncremental()
    let error = #expect(throws: HoldfastError.self) { try bed.engine().delete(plan) }
    #expect(error?.code == .factsChanged && error?.message.contains(since.id.text) == true)
    #expect(try bed.engine().list().count == 5)
    for point in try bed.engine().list() { #expect(try bed.engine().verify(point.id.text).verified) }
  }

  @Test("Many children are removed in batches, and a child that is already gone is no error")
  func batches() throws {
    let bed = try TestBed()
    var points = try bed.makeChain(incrementals: 2, rows: 20)
    let session = ChangeFollower(bed.engine())
    for step in 3...40 {
      try bed.change("UPDATE marker SET text = '\(step)'")
      bed.time.advance(milliseconds: 1000)
      guard case .stored(let point, _) = try session.store(CreateRequest(), .unknown, of: bed.database) else {
        throw BrokenPromise("step \(step): nothing was stored")
      }
      points.append(point)
    }
    let plan = try bed.engine().planDelete(points[2].id.text, withChildren: true)
    #expect(try bed.engine().delete(points[40].id.text) == points[40].id)
    try bed.engine().delete(plan)
    #expect(try bed.engine().list().map(\.id) == [points[1].id, points[0].id])
    #expect(try bed.engine().verify(points[1].id.text).verified)
  }

  @Test("Cleanup removes whole chains and keeps all points that a kept point needs")
  func cleanup() throws {
    let bed = try TestBed()
    let old = try bed.makeChain(incrementals: 3)
    bed.time.advance(seconds: 60)
    let full = try bed.engine().create(CreateRequest())
    try bed.change("UPDATE marker SET text = 'new'")
    let young = try bed.storeIncremental()
    // If a point of the old chain is verified, it is kept with all points that it needs.
    #expect(try bed.engine().verify(old[2].id.text).verified)
    _ = try bed.engine().cleanup(RetentionPolicy(keepLast: 1))
    #expect(Set(try bed.engine().list().map(\.id)) == Set([full.id, young.id] + old.prefix(3).map(\.id)))
    #expect(try bed.engine().verify(young.id.text).verified)
    let decision = try bed.engine().cleanup(RetentionPolicy(keepLast: 1))
    #expect(decision.remove.map(\.id) == old.prefix(3).reversed().map(\.id))
    #expect(try bed.engine().list().map(\.id) == [young.id, full.id])
  }
}
