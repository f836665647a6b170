import BackupEngine
import BackupPolicy
import SQLitePages
import TestSupport
import Testing

/// The choice of a point by its time, and of a whole point if others are damaged.
@Suite("Choosing a point", .ownThread)
struct ChoosingTests {
  @Test("A time selects a point of a chain with its state, and nothing older than the oldest")
  func byTime() throws {
    let bed = try TestBed()
    let points = try bed.makeChain(incrementals: 4)
    for (index, point) in points.enumerated() {
      let (found, choice) = try bed.engine().point(notAfter: point.created.adding(seconds: 0), zone: .utc)
      #expect(found.id == point.id && choice.behind == 0)
      let later = try bed.engine().point(
        notAfter: Timestamp(milliseconds: point.created.milliseconds + 999), zone: .utc)
      #expect(later.point.id == point.id && later.choice.behind == 999)
      let path = bed.folder.path("at-\(index).db")
      try restore(bed.engine(), found.id, to: path)
      #expect(try bed.marker(at: path) == "\(index)")
    }
    let before = Timestamp(milliseconds: points[0].created.milliseconds - 1)
    let error = #expect(throws: HoldfastError.self) { try bed.engine().point(notAfter: before, zone: .utc) }
    #expect(error?.code == .pointNotFound && error?.message.contains(points[0].id.text) == true)
  }

  @Test("The ID of a backup that is gone never selects another backup of its second")
  func goneID() throws {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 10)
    let gone = try bed.engine().create(CreateRequest()).id
    try bed.change("UPDATE marker SET text = 'second'")
    let other = try bed.engine().create(CreateRequest()).id
    #expect(other.text == "\(gone)_001")
    _ = try bed.engine().delete(gone.text)
    let repository = try bed.engine().repository()
    let error = #expect(throws: HoldfastError.self) { try repository.point(gone.text) }
    #expect(error?.code == .pointNotFound && error?.hint?.contains("the nearest one is \(other);") == true)
    #expect(throws: HoldfastError.self) { try bed.engine().delete(gone.text) }
    // Less than a whole ID is a prefix.
    #expect(try repository.point(String(gone.text.dropLast())).id == other)
    #expect(try repository.points().map(\.id) == [other])
  }

  @Test("A backup that is removed while it is read is reported, and no drill is recorded", arguments: [0, 2])
  func removedMeanwhile(_ index: Int) throws {
    let bed = try TestBed()
    let id = try bed.makeChain(incrementals: 2)[index].id
    let engine = bed.engine()
    let point = try engine.repository().point(id.text)
    let request = RestoreRequest(pointID: id, target: .newFile(path: bed.folder.path("other.db")))
    guard case .plan(let plan) = try engine.planRestore(request) else { throw BrokenPromise("refused") }
    for link in try engine.repository().points().reversed() where index == 0 || link.id == id {
      _ = try bed.engine().delete(link.id.text)
    }
    for attempt in 0..<3 {
      let error = #expect(throws: HoldfastError.self, "\(attempt)") {
        switch attempt {
        case 0: _ = try engine.drill(point, DrillRequest())
        case 1: _ = try engine.restore(plan)
        default: try engine.scratch(point, progress: Progress()).close()
        }
      }
      #expect(error?.code == .pointNotFound && error?.hint != nil, "\(attempt): \(String(describing: error))")
    }
    #expect(try engine.drillFigures().drills.isEmpty)
  }

  @Test("A choice by time passes over broken, unknown and safety points and names them")
  func passedOver() throws {
    let bed = try TestBed()
    let points = try bed.makeChain(incrementals: 3)
    bed.time.advance(seconds: 10)
    let safety = try #require(try restoreInPlace(bed.engine(), points[1].id).safetyBackupID)
    try SystemFileOperations().unlink(bed.archivePath(points[2]))
    let (found, choice) = try bed.engine().point(notAfter: bed.time.now(), zone: .utc)
    #expect(found.id == points[1].id)
    #expect(
      choice.warnings == [
        "\(safety) is nearer and was skipped: it is a safety backup",
        "\(points[3].id) is nearer and was skipped: \(points[2].id), which it depends on, is not usable: it is missing",
        "\(points[2].id) is nearer and was skipped: the archive \(points[2].filename) is missing",
      ])
  }

  @Test("A refusal names the newest whole point, if the list knew the damage or the restore found it")
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
    // If the damage is recorded, the refusal comes before anything is read.
    #expect(try !bed.engine().verify(points[2].id.text).verified)
    for index in [4, 3, 2] {
      let request = RestoreRequest(pointID: points[index].id, target: .database(path: bed.database))
      guard case .refuse(let refusal) = try bed.engine().planRestore(request) else {
        throw BrokenPromise("a restore of \(index) is planned")
      }
      #expect(refusal.hint.contains("holdfast restore \(points[1].id) "), "\(index): \(refusal.hint)")
    }
    #expect(throws: Never.self) { try bed.restored(points[1].id) }
  }

  @Test("A verification names the damaged link and the newest whole point")
  func verification() throws {
    let bed = try TestBed()
    let points = try bed.makeChain(incrementals: 3)
    try damage(bed, points[1])
    let verification = try bed.engine().verify(points[3].id.text)
    #expect(!verification.verified && verification.brokenLink == points[1].id)
    let whole = try bed.engine().newestWhole(besides: [points[3].id, points[1].id])
    #expect(whole == points[0].id)
    // The link itself has no record: without its name the points in between would seem whole.
    #expect(try bed.engine().newestWhole(besides: [points[3].id]) == points[2].id)
    #expect(try bed.engine().newestWhole(besides: [points[0].id]) == nil)
  }

  @Test("A safety point is the newest whole one only if there is no other")
  func safetyIsLast() throws {
    let bed = try TestBed()
    let points = try bed.makeChain(incrementals: 1)
    bed.time.advance(seconds: 10)
    let safety = try #require(try restoreInPlace(bed.engine(), points[0].id).safetyBackupID)
    #expect(try bed.engine().newestWhole(besides: [points[1].id]) == points[0].id)
    #expect(try bed.engine().newestWhole(besides: [points[0].id]) == safety)
  }

  @Test("A restore reads the point first and its full last, and there is no chain if a link is missing")
  func chain() throws {
    let bed = try TestBed()
    let points = try bed.makeChain(incrementals: 3)
    let links = try #require(try bed.engine().chain(of: bed.engine().point(points[2].id.text))).links
    #expect(links.map(\.id) == [points[2], points[1], points[0]].map(\.id))
    #expect(links.map(\.metadata.pagesStored).allSatisfy { ($0 ?? 0) > 0 })
    try SystemFileOperations().unlink(bed.archivePath(points[1]))
    #expect(try bed.engine().chain(of: bed.engine().point(points[2].id.text)) == nil)
    #expect(try bed.engine().chain(of: bed.engine().point(points[1].id.text)) == nil)
    #expect(try bed.engine().chain(of: bed.engine().point(points[0].id.text))?.links.count == 1)
  }

  private func damage(_ bed: TestBed, _ point: PointMetadata) throws {
    let path = "backups/\(point.filename)"
    var bytes = try bed.folder.read(path) ?? []
    bytes[bytes.count / 2] ^= 16
    _ = try bed.folder.write(path, bytes)
  }
}
