import BackupEngine
import BackupPolicy
import Testing
import TestSupport

/// Points that reveal an accident, the points that they hold, and the end of a hold.
@Suite("Anomalous points", .ownThread)
struct AnomalyTests {
  private func create(_ bed: TestBed, _ change: (inout CreateRequest) -> Void = { _ in }) throws -> PointMetadata {
    bed.time.advance(milliseconds: 1000)
    var request = CreateRequest()
    change(&request)
    return try bed.engine(request.archive.encrypt ? .key : .none).create(request)
  }

  private func cleanUp(_ bed: TestBed, keep count: Int) throws -> [PointID] {
    try bed.engine().cleanup(RetentionPolicy(keepLast: count)).keep.map(\.id)
  }

  private func restore(_ bed: TestBed, _ id: PointID) throws {
    bed.time.advance(milliseconds: 1000)
    let request = RestoreRequest(pointID: id, target: .database(path: bed.database))
    guard case .plan(let plan) = try bed.engine().planRestore(request) else { throw HoldfastError(.failed, "refused") }
    _ = try bed.engine().restore(plan)
  }

  @Test(
    "A DELETE of all rows makes the next full from cron anomalous, and the points before it stay",
    arguments: [true, false])
  func fulls(encrypted: Bool) throws {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 2000, bytes: 300)
    let points = try (0..<3).map { _ in try create(bed) { $0.archive.encrypt = encrypted } }
    #expect(points.allSatisfy { $0.status == .completed && $0.anomalies == [] && $0.tables == 2 })
    try bed.change("DELETE FROM entries")
    let odd = try create(bed) { $0.archive.encrypt = encrypted }
    #expect(odd.status == .anomalous && odd.anomalies.first?.contains("lost most of its content") == true)
    // The change is reported, not the state.
    let later = try (0..<3).map { _ in try create(bed) { $0.archive.encrypt = encrypted } }
    #expect(later.allSatisfy { $0.status == .completed && $0.anomalies == [] })
    let listed = try bed.engine().point(odd.id.text).metadata
    #expect(listed.status == .anomalous && listed.anomalies == odd.anomalies)
    let newest = try #require(later.last?.id)
    func warnings() throws -> [String] {
      let request = RestoreRequest(pointID: newest, target: .newFile(path: bed.folder.path("out.db")))
      guard case .plan(let plan) = try bed.engine().planRestore(request) else { throw BrokenPromise("no plan") }
      return plan.warnings.filter { $0.contains("anomalous") }
    }
    #expect(try warnings().first?.contains("the newest backup before that is \(points[2].id), ") == true)
    let held = points.suffix(2).map(\.id) + [odd.id]
    #expect(try cleanUp(bed, keep: 2) == held + later.suffix(2).map(\.id))
    let acceptance = try bed.engine().accept(odd.id.text)
    #expect(acceptance.anomalies == odd.anomalies && !acceptance.wasAccepted && acceptance.point.status == .completed)
    #expect(try bed.engine().accept(odd.id.text).wasAccepted)
    #expect(try warnings().isEmpty)
    #expect(try cleanUp(bed, keep: 2) == later.suffix(2).map(\.id))
  }

  @Test("An incremental can also be anomalous, and the next one builds on it", arguments: [true, false])
  func incrementals(encrypted: Bool) throws {
    let bed = try TestBed()
    var request = CreateRequest()
    request.archive.encrypt = encrypted
    let secret = encrypted ? TestBed.Secret.key : .none
    var points = try bed.makeChain(secret, request, incrementals: 2, rows: 2000)
    try bed.change("DELETE FROM entries")
    let odd = try bed.storeIncremental(secret, request)
    #expect(odd.status == .anomalous && odd.anomalies.count == 1)
    try bed.change("UPDATE marker SET text = 'after'")
    let next = try bed.storeIncremental(secret, request)
    #expect(next.parentID == odd.id && next.status == .completed)
    points += [odd, next]
    #expect(try bed.restored(next.id, secret) == bed.image())
    // The archive alone contains everything: only the acceptance is lost with the metadata.
    _ = try bed.engine().accept(odd.id.text)
    #expect(try bed.engine().point(odd.id.text).metadata.status == .completed)
    try SystemFileOperations().unlink("\(bed.backups)/.metadata/\(odd.id).json")
    let derived = try bed.engine().point(odd.id.text).metadata
    #expect(derived.status == .anomalous && derived.anomalies == odd.anomalies && derived.tables == odd.tables)
    #expect(derived.freePages == odd.freePages)
  }

  @Test("A gradual loss in one session is reported when it reaches half")
  func slices() throws {
    let bed = try TestBed()
    _ = try bed.makeChain(incrementals: 0, rows: 2000)
    var told: [Int] = []
    for slice in 1...8 {
      try bed.change("DELETE FROM entries WHERE id > \(2000 - slice * 200)")
      if try bed.storeIncremental().status == .anomalous { told.append(slice) }
    }
    #expect(told.count == 1 && (4...7).contains(told[0]), "\(told)")
  }

  @Test("A backup is anomalous if it has no former table, although the size and number of tables fit")
  func strangers() throws {
    let bed = try TestBed()
    _ = try bed.makeChain(incrementals: 1, rows: 500)
    try bed.change("ALTER TABLE entries RENAME TO posts; ALTER TABLE marker RENAME TO sign")
    let odd = try bed.storeIncremental()
    #expect(odd.anomalies == ["shares no table with the database before"])
    try bed.change("CREATE TABLE more(a); UPDATE sign SET text = 'x'")
    #expect(try bed.storeIncremental().anomalies == [])
  }

  @Test("A restore of a small old state holds nothing, and an accident after it does", arguments: [true, false])
  func restores(live: Bool) throws {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 300, bytes: 300)
    let small = try create(bed)
    try bed.change(Self.growth)
    _ = try create(bed)
    if !live {
      for suffix in ["", "-wal", "-shm"] { try SystemFileOperations().unlink(bed.database + suffix) }
    }
    try restore(bed, small.id)
    try bed.change("UPDATE marker SET text = 'restored'")
    let after = try create(bed)
    #expect(after.anomalies == [] && after.status == .completed)
    // The mark is used up: the same change again, without a restore.
    try bed.change(Self.growth)
    #expect(try create(bed).status == .completed)
    try bed.change("DELETE FROM entries WHERE id > 300")
    #expect(try create(bed).status == .anomalous)
  }

  /// Entries of `restores.json`.
  private func journalEntries(_ bed: TestBed) throws -> Int {
    guard let bytes = try bed.folder.read("backups/.metadata/restores.json") else { return 0 }
    guard case .array(let entries) = JSONValue(parsing: bytes) else { throw BrokenPromise("a damaged journal") }
    return entries.count
  }

  @Test("A restore that fails removes its mark, and one into another file leaves no mark")
  func failedRestore() throws {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 300, bytes: 300)
    let small = try create(bed)
    try bed.change(Self.growth)
    _ = try create(bed)
    _ = try bed.restored(small.id)
    #expect(try journalEntries(bed) == 0)
    let application = try DatabaseApplication(bed.database)
    defer { application.close() }
    try application.run("BEGIN IMMEDIATE")
    let error = #expect(throws: HoldfastError.self) { try restore(bed, small.id) }
    #expect(error?.code == .busy)
    try application.run("COMMIT")
    #expect(try journalEntries(bed) == 0)
    try bed.change("DELETE FROM entries WHERE id > 300")
    #expect(try create(bed).status == .anomalous)
  }

  private static let growth =
    "INSERT INTO entries(text) SELECT hex(randomblob(300)) FROM entries, (SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4)"

  @Test("A restore excuses only content similar to the restored content")
  func accidentAtTheRestore() throws {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 1000, bytes: 300)
    let first = try create(bed)
    try bed.change("UPDATE marker SET text = 'second'")
    _ = try create(bed)
    try restore(bed, first.id)
    try bed.change("DELETE FROM entries")
    #expect(try create(bed).status == .anomalous)
  }

  @Test("A restore that failed, or was killed an hour ago, excuses nothing")
  func staleMarks() throws {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 300, bytes: 300)
    let small = try create(bed)
    try bed.change(Self.growth)
    let large = try create(bed)
    let mark = """
      {"backup_id": "\(small.id)", "target": "\(bed.database)", "begun_at": "\(bed.time.now().iso8601)", "sequence": null}
      """
    func shrink(after seconds: Int64) throws -> BackupStatus {
      try bed.folder.write("backups/.state/restoring.json", Array(mark.utf8))
      bed.time.advance(milliseconds: seconds * 1000)
      try bed.change("DELETE FROM entries WHERE id > 300")
      defer {
        // Back to the large state, and to a point of it.
        try? restore(bed, large.id)
        _ = try? create(bed)
      }
      return try create(bed).status
    }
    #expect(try shrink(after: 600) == .completed)
    #expect(try shrink(after: 3600) == .anomalous)
  }

  @Test("The mark of an older version's restore excuses it, and its journal alone does not", arguments: [true, false])
  func olderMark(isThere: Bool) throws {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 300, bytes: 300)
    let small = try create(bed)
    try bed.change(Self.growth)
    _ = try create(bed)
    try restore(bed, small.id)
    let path = "backups/.metadata/restores.json"
    let text = String(decoding: try #require(try bed.folder.read(path)), as: UTF8.self)
    let old = text.split(separator: "\n").filter { !$0.contains("\"sequence\"") }
    #expect(old.count == text.split(separator: "\n").count - 1)
    try bed.folder.write(path, Array(old.joined(separator: "\n").utf8))
    let mark = """
      {"backup_id": "\(small.id)", "target": "\(bed.database)",
      "begun_at": "\(bed.time.now().iso8601)", "sequence": 1000}
      """
    if isThere { try bed.folder.write("backups/.state/restoring.json", Array(mark.utf8)) }
    #expect(try create(bed).status == (isThere ? .completed : .anomalous))
  }

  @Test("A flaw that SQLite finds holds nothing, but the newest backup without a flaw stays")
  func integrity() throws {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 500, bytes: 300, journal: "delete")
    let sound = try create(bed)
    #expect(try bed.engine().verify(sound.id.text).findings == [])
    // A b-tree page of the table is overwritten in the file.
    let pages = try #require(try bed.folder.read("app.db")).count / 4096
    var bytes = try #require(try bed.folder.read("app.db"))
    for offset in ((pages - 3) * 4096)..<((pages - 2) * 4096) { bytes[offset] = 0xAB }
    try bed.folder.write("app.db", bytes)
    let broken = try create(bed)
    let verification = try bed.engine().verify(broken.id.text)
    #expect(verification.verified && !verification.findings.isEmpty)
    #expect(try bed.engine().point(broken.id.text).metadata.openAnomalies == [])
    let later = try create(bed)
    _ = try bed.engine().verify(later.id.text)
    #expect(try cleanUp(bed, keep: 1) == [sound.id, later.id])
  }

  @Test("A backup that verifies stays anomalous, and an accepted one is verified", arguments: [true, false])
  func verification(encrypted: Bool) throws {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 2000, bytes: 300)
    _ = try create(bed) { $0.archive.encrypt = encrypted }
    try bed.change("DELETE FROM entries")
    let odd = try create(bed) { $0.archive.encrypt = encrypted }
    #expect(try bed.engine().verify(odd.id.text).verified)
    var metadata = try bed.engine().point(odd.id.text).metadata
    #expect(metadata.status == .anomalous && metadata.verified)
    metadata = try bed.engine().accept(odd.id.text).point
    #expect(metadata.status == .verified && metadata.acceptedAt == bed.time.now())
    #expect(try bed.engine().point(odd.id.text).metadata == metadata)
    #expect(try bed.engine().verify(odd.id.text).verified)
    #expect(try bed.engine().point(odd.id.text).metadata.status == .verified)
  }

  @Test("Accept fails if there is nothing to accept")
  func refusals() throws {
    let bed = try TestBed()
    try bed.makeDatabase()
    let point = try create(bed)
    let error = #expect(throws: HoldfastError.self) { try bed.engine().accept(point.id.text) }
    #expect(
      error?.code == .refused && error?.code.exitCode == 8 && error?.message.contains("it is not anomalous") == true)
    #expect(throws: HoldfastError.self) { try bed.engine().accept("backup_20010101_000000") }
  }

  @Test("If metadata denies the anomaly in the archive's header, the header decides")
  func denial() throws {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 2000, bytes: 300)
    _ = try create(bed)
    try bed.change("DELETE FROM entries")
    let odd = try create(bed)
    let path = "\(bed.backups)/.metadata/\(odd.id).json"
    let script = """
      import json, sys
      d = json.load(open(sys.argv[1]))
      d.update(anomalies=[], status='completed')
      json.dump(d, open(sys.argv[1], 'w'))
      """
    #expect(try Python.run(script: script, arguments: [path]).status == 0)
    let point = try bed.engine().point(odd.id.text)
    #expect(point.metadata.status == .anomalous && point.problems.contains { $0.contains("anomalies") })
  }
}
