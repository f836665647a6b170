import BackupEngine
import BackupPolicy
import SQLitePages
import TestSupport
import Testing

@Suite("Restoring a point of a chain", .ownThread)
struct ChainRestoreTests {
  @Test("Each point of a chain of 150 incrementals is restored")
  func longChain() throws {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 60, bytes: 300, marker: "0")
    var points = [try bed.engine().create(CreateRequest())]
    var images = [try bed.image()]
    let application = try DatabaseApplication(bed.database)
    let session = ChangeFollower(bed.engine())
    for step in 1...150 {
      try application.run("UPDATE entries SET text = text || '\(step)' WHERE id = \(step % 60 + 1)")
      bed.time.advance(milliseconds: 1000)
      guard case .stored(let point, _) = try session.store(CreateRequest(), .unknown, of: bed.database) else {
        throw BrokenPromise("step \(step): nothing was stored")
      }
      points.append(point)
      images.append(try application.image())
    }
    application.close()
    #expect(try bed.engine().chain(of: bed.engine().point("latest"))?.links.count == 151)
    for index in [150, 128] { #expect(try bed.restored(points[index].id) == images[index], "\(index)") }
    #expect(try bed.recovered(points[150].id) == images[150])
  }

  @Test(
    "After a live restore, applications with the database open continue and see the point",
    arguments: ["wal", "delete"])
  func live(journal: String) throws {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 400, bytes: 300, journal: journal)
    _ = try bed.engine().create(CreateRequest())
    try bed.change("UPDATE marker SET text = 'point'; DELETE FROM entries WHERE id > 300")
    let point = try bed.storeIncremental()
    try bed.change("UPDATE marker SET text = 'later'; DELETE FROM entries WHERE id > 100")
    try bed.storeIncremental()
    bed.time.advance(seconds: 60)
    let writer = try DatabaseConnection(path: bed.database, access: .writer)
    let reader = try DatabaseConnection(path: bed.database, access: .writer)
    defer { [writer, reader].forEach { $0.close() } }
    #expect(try reader.text("SELECT text FROM marker") == "later")
    let before = try SystemFileOperations().status(bed.database)?.inode
    let outcome = try restoreInPlace(bed.engine(), point.id)
    #expect(outcome.plan.install == .live)
    #expect(try SystemFileOperations().status(bed.database)?.inode == before)
    #expect(try reader.text("SELECT text FROM marker") == "point")
    #expect(try reader.integer("SELECT count(*) FROM entries") == 300)
    try writer.execute("INSERT INTO entries VALUES (5000, 'after')")
    #expect(try reader.integer("SELECT count(*) FROM entries") == 301)
    #expect(try writer.text("PRAGMA journal_mode") == journal)
    #expect(try bed.integrity() == .passed)
    // The content before the restore is kept as a whole, and the next incremental contains the
    // final state.
    try restore(bed.engine(), try #require(outcome.safetyBackupID), to: bed.folder.path("safety.db"))
    #expect(try bed.marker(at: bed.folder.path("safety.db")) == "later")
    let next = try bed.storeIncremental()
    #expect(try bed.restored(next.id) == bed.image())
  }

  /// `DIGEST KIND SQLITE` of each check that passed.
  private func memo(_ bed: TestBed) throws -> Set<String> {
    guard let bytes = try bed.folder.read("backups/.state/checks.json"),
      case .object(let keys) = JSONValue(parsing: bytes)
    else { return [] }
    return Set(keys.keys.map { $0.split(separator: " ").dropLast().joined(separator: " ") })
  }

  private func integrity(_ verification: Verification) -> Check? {
    verification.checks.first { $0.name == Check.Name.integrity }
  }

  @Test(
    "If its full passed the full check, a digest from incrementals gets the quick check, and only once")
  func quickCheck() throws {
    let bed = try TestBed()
    let points = try bed.makeChain(incrementals: 2)
    let digests = points.map { $0.digest ?? "" }
    #expect(try bed.engine().verify(points[0].id.text).verified)
    #expect(try memo(bed) == ["\(digests[0]) integrity_check"])
    let first = try bed.engine().verify(points[2].id.text)
    #expect(first.verified && integrity(first)?.detail == nil)
    #expect(try memo(bed) == ["\(digests[0]) integrity_check", "\(digests[2]) quick_check"])
    let second = try bed.engine().verify(points[2].id.text)
    #expect(integrity(second)?.detail == "passed before for the same content")
    // With `recheck` it runs all the same.
    let again = try bed.engine().verify(points[2].id.text, recheck: true)
    #expect(again.verified && integrity(again)?.detail == nil)
    // A restore runs the checks that did not run yet, and records them for later.
    _ = try bed.restored(points[1].id)
    #expect(
      try memo(bed) == ["\(digests[0]) integrity_check", "\(digests[1]) quick_check", "\(digests[2]) quick_check"])
    let known = try bed.engine().verify(points[1].id.text)
    #expect(integrity(known)?.detail == "passed before for the same content")
  }

  @Test("If the full was never checked, an incremental gets the full check")
  func fullCheck() throws {
    let bed = try TestBed()
    let points = try bed.makeChain(incrementals: 1)
    #expect(try bed.engine().verify(points[1].id.text).verified)
    #expect(try memo(bed) == ["\(points[1].digest ?? "") integrity_check"])
  }

  @Test("A full with the content of an incremental is not satisfied by its quick check")
  func fullAfterQuick() throws {
    let bed = try TestBed()
    // Without a key the digest of a content is always the same.
    var request = CreateRequest()
    request.archive.encrypt = false
    let points = try bed.makeChain(.none, request, incrementals: 1)
    for point in points { #expect(try bed.engine(.none).verify(point.id.text).verified) }
    bed.time.advance(seconds: 60)
    let full = try bed.engine(.none).create(request)
    #expect(full.kind == .full && full.digest == points[1].digest)
    let verification = try bed.engine(.none).verify(full.id.text)
    #expect(verification.verified && integrity(verification)?.detail == nil)
    #expect(try memo(bed).contains("\(full.digest ?? "") integrity_check"))
  }

  @Test("The check finds damage that only an incremental contains, and the damage is restored unchanged")
  func damagedContent() throws {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 400, bytes: 300, journal: "delete")
    let full = try bed.engine().create(CreateRequest())
    #expect(try bed.engine().verify(full.id.text).verified)
    var bytes = try bed.folder.read("app.db") ?? []
    // A page of the table, below the header of the B-tree and behind it, so that the quick check
    // also finds it.
    let page = bytes.count / 4096 - 2
    for index in 4096 * page..<4096 * (page + 1) { bytes[index] = 0x5a }
    _ = try bed.folder.write("app.db", bytes)
    let point = try bed.storeIncremental()
    let verification = try bed.engine().verify(point.id.text)
    // The archive contains the page as it was read: the flaw is in the database.
    #expect(verification.verified && !verification.findings.isEmpty && integrity(verification)?.outcome != .passed)
    #expect(try !memo(bed).contains { $0.hasPrefix(point.digest ?? "-") })
    #expect(try bed.restored(point.id) == bytes)
  }
}
