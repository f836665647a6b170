import BackupEngine
import BackupPolicy
import SQLitePages
import TestSupport
import Testing

/// The table of page hashes is a cache: whatever happens to it, no changed page is missed.
@Suite("Page digests", .ownThread)
struct PageDigestsTests {
  enum Mishap: String, CaseIterable {
    case deleted, empty, cutShort, flippedBit, ofAnOlderPoint, halfUpdated, ofAnotherRepository
  }

  private let table = "backups/.state/page-digests"

  @Test(
    "If the table is lost, damaged or of another state, the next incremental is still correct",
    arguments: Mishap.allCases)
  func mishap(_ mishap: Mishap) throws {
    let bed = try TestBed()
    _ = try bed.makeChain(incrementals: 1)
    let old = try bed.folder.read(table) ?? []
    try bed.change("UPDATE entries SET text = 'second' WHERE id > 50")
    try bed.storeIncremental()
    let new = try bed.folder.read(table) ?? []
    #expect(old != new && old.count == new.count)
    try spoil(bed, mishap, old, new)
    try bed.change("UPDATE entries SET text = 'third' WHERE id < 10")
    let point = try bed.storeIncremental()
    #expect(try bed.restored(point.id) == bed.image())
    #expect(try bed.engine().verify(point.id.text).verified)
    // It was made anew, equal to a table that was never touched.
    let mended = try bed.folder.read(table) ?? []
    try SystemFileOperations().unlink(bed.folder.path(table))
    try bed.change("UPDATE marker SET text = 'x'")
    try bed.storeIncremental()
    try bed.change("UPDATE marker SET text = '\(mishap.rawValue)'")
    let last = try bed.storeIncremental()
    #expect(try bed.restored(last.id) == bed.image())
    #expect(try bed.folder.read(table)?.count == mended.count)
  }

  private func spoil(_ bed: TestBed, _ mishap: Mishap, _ old: [UInt8], _ new: [UInt8]) throws {
    let path = bed.folder.path(table)
    try SystemFileOperations().unlink(path)
    var bytes = new
    switch mishap {
    case .deleted: return
    case .empty: bytes = []
    case .cutShort: bytes.removeLast(8)
    case .flippedBit: bytes[4096 + 16 * 3] ^= 1
    case .ofAnOlderPoint: bytes = old
    case .halfUpdated: bytes = Array(old.prefix(4096)) + new.dropFirst(4096)
    case .ofAnotherRepository:
      let stranger = try TestBed()
      _ = try stranger.makeChain(incrementals: 2)
      bytes = try stranger.folder.read(table) ?? []
    }
    _ = try bed.folder.write(table, bytes)
  }

  @Test("A full stores the same table as a rebuild does", arguments: [TestBed.Secret.key, .none])
  func rebuilt(_ secret: TestBed.Secret) throws {
    let bed = try TestBed()
    var request = CreateRequest()
    request.archive.encrypt = secret != .none
    let points = try bed.makeChain(secret, request, incrementals: 2, rows: 6000)
    let updated = try bed.folder.read(table) ?? []
    try SystemFileOperations().unlink(bed.folder.path(table))
    guard case .unchanged(let id) = try bed.engine(secret).store(request, kind: .incremental) else {
      throw BrokenPromise("an unchanged database was stored")
    }
    #expect(id == points[2].id)
    #expect(try bed.folder.read(table) == updated)
    #expect(updated.count == 4096 + 16 * Int(points[2].pageCount!))
  }

  @Test("A safety backup leaves the table alone")
  func safety() throws {
    let bed = try TestBed()
    let points = try bed.makeChain(incrementals: 1)
    let before = try bed.folder.read(table)
    try restoreInPlace(bed.engine(), points[0].id)
    #expect(try bed.folder.read(table) == before)
    // Restored content is a change like any other.
    let next = try bed.storeIncremental()
    #expect(next.parentID == points[1].id)
    #expect(try bed.restored(next.id) == bed.image())
  }
}
