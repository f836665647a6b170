import BackupEngine
import BackupPolicy
import SQLitePages
import TestSupport
import Testing

/// A point by its time, and which one is whole where others are not.
@Suite("choosing a point", .ownThread)
struct ChoosingTests {
  @Test("by time: a point of a chain, its state of then, and nothing older than the oldest")
  func byTime() throws {
    let bed = try TestBed()
    let points = try bed.makeChain(incrementals: 4)
    for (index, point) in points.enumerated() {
      let (found, choice) = try bed.service().point(notAfter: point.created.adding(seconds: 0), zone: .utc)
      #expect(found.id == point.id && choice.behind == 0)
      let later = try bed.service().point(
        notAfter: Timestamp(milliseconds: point.created.milliseconds + 999), zone: .utc)
      #expect(later.point.id == point.id && later.choice.behind == 999)
      let path = bed.folder.path("at-\(index).db")
      try restore(bed.service(), found.id, to: path)
      #expect(try bed.marker(at: path) == "\(index)")
    }
    let before = Timestamp(milliseconds: points[0].created.milliseconds - 1)
    let error = #expect(throws: HoldfastError.self) { try bed.service().point(notAfter: before, zone: .utc) }
    #expect(error?.code == .pointNotFound && error?.message.contains(points[0].id.text) == true)
  }

  @Test("by time: what is broken, unknown or put aside by a restore is passed over and named")
  func passedOver() throws {
    let bed = try TestBed()
    let points = try bed.makeChain(incrementals: 3)
    bed.time.advance(seconds: 10)
    let safety = try #require(try restoreInPlace(bed.service(), points[1].id).safetyBackupID)
    try SystemFileOperations().unlink(bed.archivePath(points[2]))
    let (found, choice) = try bed.service().point(notAfter: bed.time.now(), zone: .utc)
    #expect(found.id == points[1].id)
    #expect(
      choice.warnings == [
        "\(safety) is nearer and was passed over: it is a safety backup",
        "\(points[3].id) is nearer and was passed over: it needs \(points[2].id), and that is missing",
        "\(points[2].id) is nearer and was passed over: the archive \(points[2].filename) is missing",
      ])
  }

  @Test("a refusal names the newest point that is whole, whether the list knew of the damage or the restore found it")
  func refusalHint() throws {
    let bed = try TestBed()
    let points = try bed.makeChain(incrementals: 4)
    try damage(bed, points[2])
    for index in [4, 3, 2] {
      let error = #expect(throws: HoldfastError.self) { try bed.restored(points[index].id) }
      #expect(error?.code.exitCode == 3)
      let hint = error?.hint ?? ""
      #expect(hint.contains("holdfast restore \(points[1].id) "), "\(index): \(hint)")
    }
    // Recorded, the refusal comes before anything is read.
    #expect(try !bed.service().verify(points[2].id.text).verified)
    for index in [4, 3, 2] {
      let request = RestoreRequest(pointID: points[index].id, target: .database(path: bed.database))
      guard case .refuse(let refusal) = try bed.service().planRestore(request) else {
        throw BrokenPromise("a restore of \(index) is planned")
      }
      #expect(refusal.hint.contains("holdfast restore \(points[1].id) "), "\(index): \(refusal.hint)")
    }
    #expect(throws: Never.self) { try bed.restored(points[1].id) }
  }

  @Test("a verification names the link at fault, and what is whole besides")
  func verification() throws {
    let bed = try TestBed()
    let points = try bed.makeChain(incrementals: 3)
    try damage(bed, points[1])
    let verification = try bed.service().verify(points[3].id.text)
    #expect(!verification.verified && verification.brokenLink == points[1].id)
    let whole = try bed.service().newestWhole(besides: [points[3].id, points[1].id])
    #expect(whole == points[0].id)
    // Nothing is recorded of the link itself: without its name the points in between would seem whole.
    #expect(try bed.service().newestWhole(besides: [points[3].id]) == points[2].id)
    #expect(try bed.service().newestWhole(besides: [points[0].id]) == nil)
  }

  @Test("a point that a restore put aside is the newest whole one only where there is no other")
  func safetyIsLast() throws {
    let bed = try TestBed()
    let points = try bed.makeChain(incrementals: 1)
    bed.time.advance(seconds: 10)
    let safety = try #require(try restoreInPlace(bed.service(), points[0].id).safetyBackupID)
    #expect(try bed.service().newestWhole(besides: [points[1].id]) == points[0].id)
    #expect(try bed.service().newestWhole(besides: [points[0].id]) == safety)
  }

  @Test("what a restore reads: the point first, its full last; nothing where a link is missing")
  func chain() throws {
    let bed = try TestBed()
    let points = try bed.makeChain(incrementals: 3)
    let links = try #require(try bed.service().chain(of: bed.service().point(points[2].id.text))).links
    #expect(links.map(\.id) == [points[2], points[1], points[0]].map(\.id))
    #expect(links.map(\.metadata.pagesStored).allSatisfy { ($0 ?? 0) > 0 })
    try SystemFileOperations().unlink(bed.archivePath(points[1]))
    #expect(try bed.service().chain(of: bed.service().point(points[2].id.text)) == nil)
    #expect(try bed.service().chain(of: bed.service().point(points[1].id.text)) == nil)
    #expect(try bed.service().chain(of: bed.service().point(points[0].id.text))?.links.count == 1)
  }

  private func damage(_ bed: TestBed, _ point: PointMetadata) throws {
    let path = "backups/\(point.filename)"
    var bytes = try bed.folder.read(path) ?? []
    bytes[bytes.count / 2] ^= 16
    _ = try bed.folder.write(path, bytes)
  }
}
