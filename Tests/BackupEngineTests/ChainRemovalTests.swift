import BackupEngine
import BackupPolicy
import TestSupport
import Testing

@Suite("removing in a chain")
struct ChainRemovalTests {
  @Test("what others need is not deleted, and the hint names them in an order that works")
  func refused() throws {
    let bed = try TestBed()
    let points = try bed.makeChain(incrementals: 3)
    for index in 0..<3 {
      let error = #expect(throws: HoldfastError.self) { try bed.service().delete(points[index].id.text) }
      #expect(error?.code == .refused && error?.code.exitCode == 8)
      let order = points[(index + 1)...].reversed().map(\.id.text).joined(separator: ", ")
      #expect(error?.hint?.contains(order) == true, "\(String(describing: error?.hint))")
    }
    #expect(try bed.service().list().count == 4)
    for point in points.reversed() {
      #expect(try bed.service().delete(point.id.text) == point.id)
      for left in try bed.service().list() { #expect(try bed.service().verify(left.id.text).verified) }
    }
    #expect(try bed.service().list().isEmpty)
  }

  @Test("with its children a point goes, and nothing else")
  func withChildren() throws {
    let bed = try TestBed()
    let points = try bed.makeChain(incrementals: 3)
    _ = try bed.service().delete(points[2].id.text, withChildren: true)
    #expect(try bed.service().list().map(\.id) == [points[1].id, points[0].id])
    #expect(try bed.service().verify(points[1].id.text).verified)
  }

  @Test("cleanup removes whole chains and keeps what a kept point needs")
  func cleanup() throws {
    let bed = try TestBed()
    let old = try bed.makeChain(incrementals: 3)
    bed.time.advance(seconds: 60)
    let full = try bed.service().create(CreateRequest())
    try bed.change("UPDATE marker SET text = 'new'")
    let young = try bed.storeIncremental()
    // A verified point of the old chain would be kept, and all that it needs.
    #expect(try bed.service().verify(old[2].id.text).verified)
    _ = try bed.service().cleanup(RetentionPolicy(keepLast: 1))
    #expect(Set(try bed.service().list().map(\.id)) == Set([full.id, young.id] + old.prefix(3).map(\.id)))
    #expect(try bed.service().verify(young.id.text).verified)
    let decision = try bed.service().cleanup(RetentionPolicy(keepLast: 1))
    #expect(decision.remove.map(\.id) == old.prefix(3).reversed().map(\.id))
    #expect(try bed.service().list().map(\.id) == [young.id, full.id])
  }
}
