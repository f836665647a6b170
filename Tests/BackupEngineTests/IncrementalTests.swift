import BackupEngine
import BackupPolicy
import TestSupport
import Testing

@Suite("an incremental comes back")
struct IncrementalTests {
  @Test("full, change, incremental, restore")
  func first() throws {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 2000, bytes: 300)
    let service = bed.service()
    _ = try service.create(CreateRequest())
    bed.time.advance(milliseconds: 1000)
    try bed.change("UPDATE entries SET text = 'changed' WHERE id % 100 = 0")
    guard case .stored(let point, _) = try service.store(CreateRequest(), kind: .incremental) else {
      throw BrokenPromise("nothing was stored")
    }
    #expect(point.kind == "incremental")
    let verification = try service.verify(point.id.text)
    #expect(verification.verified, "\(verification.checks)")
    try restore(service, point.id, to: bed.folder.path("out.db"))
    #expect(try sameRows(bed.database, bed.folder.path("out.db")))
    guard case .unchanged(let since) = try service.store(CreateRequest(), kind: .incremental) else {
      throw BrokenPromise("an unchanged database was stored")
    }
    #expect(since == point.id)
  }
}
