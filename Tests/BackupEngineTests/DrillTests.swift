import BackupEngine
import BackupPolicy
import Glibc
import SQLitePages
import Synchronization
import TestSupport
import Testing

/// Helpers for drills.
extension TestBed {
  fileprivate func drill(
    _ reference: String = "latest", _ secret: Secret = .key, _ assertions: [DrillAssertion] = [],
    files: any FileOperations = UnflushedFileOperations(), quick: Bool = false
  ) throws -> DrillRecord {
    time.advance(milliseconds: 1000)
    let engine = engine(secret, files: files)
    return try engine.drill(
      engine.point(reference), DrillRequest(assertions: assertions, isQuick: quick))
  }

  fileprivate func history() throws -> [DrillRecord] { try engine().drillFigures().drills }

  /// All decrypted files that are left in this host's scratch folder.
  fileprivate func scratch() throws -> [String] {
    let files = SystemFileOperations()
    return try files.status("\(stateFolder)/scratch") == nil ? [] : files.list("\(stateFolder)/scratch")
  }

  fileprivate func flip(_ point: PointMetadata, fromEnd distance: Int = 40) throws {
    let files = SystemFileOperations()
    var bytes = try files.contents(archivePath(point)) ?? []
    bytes[bytes.count - distance] ^= 1
    _ = try folder.write("backups/\(point.filename)", bytes)
  }

  fileprivate var drillFolder: String { "\(backups)/.metadata/drills" }
}

@Suite("A drill", .ownThread)
struct DrillTests {
  private static let known = DrillAssertion(
    name: "rows and a marker", sql: "SELECT count(*), (SELECT text FROM marker) FROM entries", expect: "60|3")

  @Test(
    "A passed drill proves any point of a chain, records its times, and leaves nothing decrypted",
    arguments: [TestBed.Secret.key, .none])
  func passes(secret: TestBed.Secret) throws {
    let bed = try TestBed()
    var request = CreateRequest()
    request.archive.encrypt = secret != .none
    let points = try bed.makeChain(secret, request)
    #expect(try bed.engine(secret).drillFigures().newestProven == nil)
    let record = try bed.drill("latest", secret, [Self.known])
    #expect(record.passed && record.number == 1 && record.subject.id == points[3].id && record.subject.archives == 4)
    #expect(record.checks.map(\.name) == ["restore", "sqlite_integrity_check", "foreign_key_check", "row_counts"])
    #expect(record.checks.last?.outcome == .skipped, "an incremental carries no counts")
    #expect(record.restoreMS ?? -1 >= 0 && record.checkMS ?? -1 >= 0 && record.notes == [])
    let full = try bed.drill(points[0].id.text, secret)
    #expect(full.passed && full.checks.last?.outcome == .passed && full.checks.last?.detail == "2 tables")
    let figures = try bed.engine(secret).drillFigures()
    #expect(figures.newestProven?.id == points[3].id && figures.newestProven?.proved == record.started)
    #expect(Set(figures.proofs.keys) == [points[0].id, points[3].id] && figures.drills.map(\.number) == [2, 1])
    #expect(try bed.scratch() == [])
    let drilled = try bed.engine(secret).point(points[3].id.text).metadata
    #expect(drilled.verified && drilled.status == .verified && drilled.verificationDate == record.started)
  }

  @Test("A drill fails if an archive of its chain changed by a bit, and the point is no longer proven")
  func damaged() throws {
    let bed = try TestBed()
    let points = try bed.makeChain()
    #expect(try bed.drill().passed)
    try bed.flip(points[1])
    let record = try bed.drill(points[3].id.text)
    let failure = try #require(record.failure)
    #expect(failure.step == .restore && failure.code.exitCode == 3, "\(failure)")
    #expect(record.restoreMS == nil && record.checks.map(\.outcome) == [.failed])
    let figures = try bed.engine().drillFigures()
    #expect(figures.newestProven == nil && figures.drills.first?.failure == failure && figures.failures == 1)
    #expect(figures.summary.failure?.words.contains("\(points[3].id)") == true)
    #expect(
      try bed.engine().point(points[3].id.text).metadata.status == .failed, "a verification told whose fault it is")
    #expect(try bed.scratch() == [])
  }

  @Test("A drill fails if an assertion has another answer or cannot be asked, and the history contains no answer")
  func assertions() throws {
    let bed = try TestBed()
    _ = try bed.makeChain(incrementals: 0)
    let asked = [
      DrillAssertion(name: "enough", sql: "SELECT count(*) >= 60 FROM entries;", expect: "1"),
      DrillAssertion(sql: "SELECT text FROM marker", expect: "a word that nobody may read"),
      DrillAssertion(name: "gone", sql: "SELECT * FROM missing", expect: ""),
    ]
    let record = try bed.drill("latest", .key, asked)
    #expect(record.answers.map(\.passed) == [true, false, false])
    #expect(record.answers[1].answer == "0" && record.answers[2].error == "no such table: missing")
    #expect(record.failure?.step == .assertions && record.failure?.code == .verificationFailed)
    #expect(record.failure?.message == "assertion 2 does not have the expected answer, and 1 more")
    let kept = try #require(try bed.history().first)
    #expect(kept.failure == record.failure && kept.answers.map(\.label) == ["enough", "assertion 2", "gone"])
    let text = try Shell.run("cat", [bed.drillFolder + "/drill_20231116_143023.json"]).stdout
    #expect(!text.contains("nobody may read") && !text.contains("SELECT") && text.contains("assertion 2"))
    #expect(try bed.engine().drillFigures().newestProven == nil)
    #expect(try bed.engine().point("latest").metadata.verified, "the archive is sound all the same")
  }

  @Test("A drill fails if a table has other rows than were counted when the point was stored")
  func rowCounts() throws {
    let bed = try TestBed()
    let point = try bed.makeChain(incrementals: 0)[0]
    let path = ".metadata/\(point.id).json"
    let text = String(decoding: try #require(try bed.folder.read("backups/" + path)), as: UTF8.self)
    _ = try bed.folder.write(
      "backups/" + path, Array(text.replacing("\"entries\" : 60", with: "\"entries\" : 61").utf8))
    let failure = try bed.drill().failure
    #expect(failure?.step == .rowCounts)
    #expect(
      failure?.message
        == "counting its rows failed: entries has 60 rows, but 61 rows were counted when the backup was stored")
  }

  @Test("A drill with a wrong key, or without one, also fails, and does not accuse the point")
  func wrongKey() throws {
    let bed = try TestBed()
    let point = try bed.makeChain(incrementals: 0)[0]
    #expect(try bed.drill().passed)
    let engine = bed.engine(Credentials(key: SecretBytes([UInt8](repeating: 7, count: 32))))
    #expect(try engine.drill(engine.point("latest"), DrillRequest()).failure?.code == .wrongKey)
    #expect(try bed.drill("latest", .none).failure?.code == .keyMissing)
    let figures = try bed.engine().drillFigures()
    #expect(figures.failures == 2 && figures.newestProven?.id == point.id && figures.summary.failure != nil)
  }

  @Test("A drill without room for the database does not begin, and is in the history")
  func noRoom() throws {
    let bed = try TestBed()
    _ = try bed.makeChain(incrementals: 0)
    let record = try bed.drill(files: UnflushedFileOperations(free: 1000))
    #expect(record.failure?.code == .noSpace && record.failure?.step == .restore)
    #expect(try bed.history().first?.failure?.code == .noSpace && bed.scratch() == [])
  }

  @Test("A drill of a copy of damaged files, or of an unauthenticated point, is refused and not recorded")
  func refused() throws {
    let bed = try TestBed()
    let sealed = try bed.makeChain(incrementals: 0)[0]
    let planted = PointMetadata(id: PointID("backup_20240101_000000")!, filename: "", created: sealed.created).id
    _ = try bed.folder.write("backups/\(planted).db", try bed.image())
    #expect(throws: HoldfastError.self) { try bed.drill(planted.text) }
    #expect(try bed.history() == [])
  }

  @Test("A drill ends soon after a stop request, in the middle of a query, and is not recorded")
  func interrupted() throws {
    let bed = try TestBed()
    _ = try bed.makeChain(incrementals: 0)
    let endless = DrillAssertion(
      sql: "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n", expect: "0")
    let asking = Asking()
    let progress = Progress { activity, _, _ in asking.note(activity) }
    let stopper = try Workers.start("a thread that stops the drill") {
      for _ in 0..<60_000 where !asking.hasBegun { usleep(1000) }
      usleep(20000)
      progress.stop()
    }
    defer { pthread_join(stopper, nil) }
    do {
      let engine = bed.engine()
      _ = try engine.drill(engine.point("latest"), DrillRequest(assertions: [endless]), progress: progress)
      Issue.record("it ended by itself")
    } catch let error as HoldfastError {
      #expect(error.code == .interrupted)
    }
    #expect(try bed.history() == [] && bed.scratch() == [])
  }

  @Test("A drill takes any sound point at random, except safety backups")
  func random() throws {
    let bed = try TestBed()
    let points = try bed.makeChain()
    var safety = CreateRequest()
    safety.reason.type = .safety
    bed.time.advance(milliseconds: 1000)
    _ = try bed.engine().create(safety)
    var generator = SeededGenerator(seed: 7)
    let drawn = try (0..<60).map { _ in try bed.engine().randomPoint(using: &generator).id }
    #expect(Set(drawn) == Set(points.map(\.id)), "seed 7")
  }
}

/// Records whether a drill has reached its assertions.
private final class Asking: Sendable {
  private let flag = Atomic(false)
  var hasBegun: Bool { flag.load(ordering: .relaxed) }
  func note(_ activity: String) {
    if activity == "asserting" { flag.store(true, ordering: .relaxed) }
  }
}
