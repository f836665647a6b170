import BackupEngine
import BackupPolicy
import SQLitePages
import TestSupport
import Testing

/// A full reports pages that changed since the newest point and were not listed as changed.
@Suite("The auditor", .ownThread)
struct AuditTests {
  /// A chain whose newest incremental lacks changed pages, because only page 2 was listed as
  /// changed.
  private static func makeBlindChain(_ bed: TestBed, journal: String = "wal") throws -> [PointID] {
    try bed.makeDatabase(rows: 80, bytes: 300, journal: journal)
    let full = try bed.engine().create(CreateRequest()).id
    bed.time.advance(milliseconds: 1000)
    try bed.change("UPDATE marker SET text = 'second'; UPDATE entries SET text = replace(text, 'quick', 'quack')")
    guard case .stored(let point, _) = try bed.storeIncremental(.superset([1, 2])) else {
      throw BrokenPromise("nothing was stored")
    }
    bed.time.advance(milliseconds: 1000)
    return [full, point.id]
  }

  private static func create(
    _ engine: Engine, _ changes: ChangedPages, _ request: CreateRequest = CreateRequest()
  ) throws -> (metadata: PointMetadata, audit: AuditOutcome) {
    let connection = try DatabaseConnection(path: engine.requireDatabase(), access: .observer)
    defer { connection.close() }
    let full = try ChangeFollower(engine).storeFull(request, .given(changes), on: connection)
    return (full.metadata, full.audit)
  }

  @Test("A missed page is found, the incrementals are marked, and the full is correct", arguments: ["wal", "delete"])
  func miss(journal: String) throws {
    let bed = try TestBed()
    let points = try Self.makeBlindChain(bed, journal: journal)
    let (full, audit) = try Self.create(bed.engine(), .superset([]))
    guard case .missed(let miss) = audit else { throw BrokenPromise("\(audit)") }
    #expect(miss.suspects == [points[1]] && miss.since == points[1] && !miss.pages.contains(1))
    #expect(miss.error.message.contains("\(points[1]) may lack them") && miss.error.hint != nil)
    #expect(try bed.engine().list().map(\.metadata.status) == [.completed, .suspect, .completed])
    #expect(try bed.restored(full.id) == bed.image())
    // The next full belongs to a chain without incrementals.
    bed.time.advance(milliseconds: 1000)
    #expect(try Self.create(bed.engine(), .superset([])).audit == .passed(since: full.id))
  }

  @Test("Pages that were listed as changed are no miss, however the database was rebuilt")
  func passed() throws {
    let bed = try TestBed()
    let points = try bed.makeChain(incrementals: 2, rows: 200)
    try bed.change("DELETE FROM entries WHERE id > 20; VACUUM")
    bed.time.advance(milliseconds: 1000)
    let everything = ChangedPages.superset(Array(1...points[2].pageCount!))
    let (smaller, audit) = try Self.create(bed.engine(), everything)
    #expect(audit == .passed(since: points[2].id))
    // Pages that the newest point did not have need not be listed.
    try bed.change("CREATE TABLE more(b); INSERT INTO more VALUES (randomblob(100000))")
    bed.time.advance(milliseconds: 1000)
    let growth = try Self.create(bed.engine(), .superset(Array(1...smaller.pageCount!)))
    #expect(growth.metadata.pageCount! > smaller.pageCount! + 10 && growth.audit == .passed(since: smaller.id))
  }

  @Test("If nothing can be compared, the audit reports nothing")
  func notAudited() throws {
    let bed = try TestBed()
    func expectNone(_ audit: AuditOutcome, _ line: Int = #line) throws {
      guard case .notAudited = audit else { throw BrokenPromise("line \(line): \(audit)") }
      bed.time.advance(milliseconds: 1000)
    }
    try bed.makeDatabase()
    try expectNone(Self.create(bed.engine(), .superset([])).audit)
    try bed.change("UPDATE marker SET text = 'x'")
    try expectNone(Self.create(bed.engine(), .unknown).audit)
    try bed.change("UPDATE marker SET text = 'y'")
    try SystemFileOperations().unlink("\(bed.backups)/.state/page-digests")
    try expectNone(Self.create(bed.engine(), .superset([])).audit)
    // Without encryption pages are hashed in another way.
    var plain = CreateRequest()
    plain.archive.encrypt = false
    try bed.change("UPDATE marker SET text = 'z'")
    try expectNone(Self.create(bed.engine(), .superset([]), plain).audit)
    #expect(try bed.engine().list().allSatisfy { $0.metadata.status == .completed })
  }

  @Test(
    "A fault at any step of a full does not lose the miss that it finds",
    arguments: [FaultSweep.Kind.killed, .inputOutputError])
  func faults(_ kind: FaultSweep.Kind) throws {
    let sweep = FaultSweep(
      prepare: { try Self.makeBlindChain($0).last },
      work: { engine, _ in _ = try Self.create(engine, .superset([])) },
      check: { bed, finished in
        try bed.requireSoundRepository(points: finished ? 3...3 : 2...3)
        try bed.requireDatabase(["second"])
        let points = try bed.engine().list().reversed().map(\.metadata)
        // If the full exists, its mark exists also, or another full with the old table is still to
        // come.
        let isMarked = points[1].status == .suspect
        let table = try bed.folder.read("backups/.state/page-digests")
        let isTableLeft = table?.names(points[1].id) ?? false
        guard isMarked || points.count == 2 && isTableLeft || kind == .inputOutputError else {
          let state = points.map { "\($0.id) \($0.status)" }.joined(separator: ", ")
          throw BrokenPromise("the miss is forgotten: \(state); the table has \(table?.count ?? 0) bytes")
        }
      })
    try sweep.sweep(kind)
  }
}

extension [UInt8] {
  /// Whether a table of page hashes belongs to the point. By bytes: the checksum that follows the
  /// ID may look like a combining mark, and then a string would have another last character.
  fileprivate func names(_ point: PointID) -> Bool {
    let (head, name) = (prefix(256), Array(point.text.utf8))
    return head.indices.contains { head[$0...].starts(with: name) }
  }
}
