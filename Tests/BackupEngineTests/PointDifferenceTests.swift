import BackupEngine
import BackupPolicy
import FoundationEssentials
import Glibc
import SQLitePages
import TestSupport
import Testing

/// Histories to try: `HOLDFAST_DIFF_SEEDS` for more.
private let seeds = 1...(getenv("HOLDFAST_DIFF_SEEDS").flatMap { UInt64(String(cString: $0)) } ?? 6)

@Suite("Differences between points", .ownThread)
struct PointDifferenceTests {
  private typealias Verdict = RandomHistory.Verdict

  /// A full and several incrementals of a random history, each with a copy of the database.
  private func history(_ seed: UInt64, pageSize: Int) throws -> (bed: TestBed, points: [PointID], files: [String]) {
    let bed = try TestBed()
    try RandomHistory.make(bed.database, seed: seed, pageSize: pageSize)
    var points = [try bed.engine().create(CreateRequest()).id]
    var files = [bed.folder.path("0.db")]
    try bed.reference(to: files[0])
    for step in 1...3 {
      try RandomHistory.change(bed.database, seed: seed &* 1000 &+ UInt64(step))
      bed.time.advance(milliseconds: 1000)
      switch try bed.engine().store(CreateRequest(), kind: .incremental) {
      case .stored(let point, _): points.append(point.id)
      case .unchanged(let id): points.append(id)
      }
      files.append(bed.folder.path("\(step).db"))
      try bed.reference(to: files[step])
    }
    return (bed, points, files)
  }

  /// Of whole databases.
  private func difference(_ bed: TestBed, _ left: PointID, _ right: PointID) throws -> DatabaseDifference {
    let engine = bed.engine()
    var request = DifferenceRequest()
    request.readsLittle = false
    return try engine.difference(.point(engine.point(left.text)), .point(engine.point(right.text)), request)
  }

  /// By the pages that differ, or nil if those are not sufficient.
  private func quickly(_ bed: TestBed, _ left: PointID, _ right: PointID) throws -> DatabaseDifference? {
    let engine = bed.engine()
    return try engine.quickDifference(
      engine.point(left.text), engine.point(right.text), DifferenceRequest())
  }

  private func requireSame(_ quick: DatabaseDifference, _ whole: DatabaseDifference, _ place: String) {
    #expect(quick.schema == whole.schema, "\(place)")
    #expect(quick.tables.map(\.name) == whole.tables.map(\.name), "\(place)")
    for (one, other) in zip(quick.tables, whole.tables) {
      #expect(one.rows == other.rows && one.key == other.key && one.skipped == other.skipped, "\(place), \(one.name)")
    }
  }

  private func verdicts(_ difference: DatabaseDifference) -> [String: Verdict] {
    Dictionary(
      uniqueKeysWithValues: difference.tables.map {
        ($0.name.description, Verdict(added: Int($0.added), removed: Int($0.removed), changed: Int($0.changed)))
      })
  }

  @Test("The difference of random histories equals that of Python and sqldiff", arguments: seeds)
  func random(seed: UInt64) throws {
    let (bed, points, files) = try history(seed, pageSize: seed.isMultiple(of: 3) ? 1024 : 512)
    for (left, right) in [(0, 1), (1, 2), (0, 3), (3, 1), (2, 2)] {
      let whole = try difference(bed, points[left], points[right])
      let ours = verdicts(whole)
      let place = "seed \(seed), \(left) to \(right)"
      if let quick = try quickly(bed, points[left], points[right]) {
        requireSame(quick, whole, place)
        #expect(verdicts(quick) == ours, "\(place)")
      }
      // If the pages are not sufficient, only whole databases are compared; wholePages() requires
      // that they mostly are.
      let judgement = try decode(RandomHistory.judge(files[left], files[right]))
      #expect(ours == judgement.rows, "\(place)")
      for (table, verdict) in judgement.sqldiff {
        #expect(ours[table] ?? Verdict(added: 0, removed: 0, changed: 0) == verdict, "sqldiff, \(place), \(table)")
      }
    }
  }

  private func decode(_ text: String) throws -> RandomHistory.Judgement {
    try JSONDecoder().decode(RandomHistory.Judgement.self, from: Data(text.utf8))
  }

  @Test("A difference lists keys and values of rows, and leaves out equal ones")
  func rows() throws {
    let bed = try TestBed()
    let points = try bed.makeChain(incrementals: 0)
    try bed.change(
      """
      UPDATE entries SET text = 'new' WHERE id = 7; DELETE FROM entries WHERE id = 3;
      INSERT INTO entries VALUES (9223372036854775807, NULL); CREATE INDEX by_text ON entries(text)
      """)
    let second = try bed.storeIncremental()
    let found = try difference(bed, points[0].id, second.id)
    #expect(found.schema.map(\.name) == ["by_text"] && found.tables.map(\.name) == ["entries"])
    let rows = try #require(found.tables.first?.rows)
    #expect(rows.map(\.key) == [[.integer(3)], [.integer(7)], [.integer(.max)]])
    #expect(rows[0].after == nil && rows[0].before?.map(\.column) == ["id", "text"])
    #expect(rows[1].after?.map(\.column) == ["text"] && rows[1].after?.first?.value == .text("new"))
    #expect(rows[2].before == nil && rows[2].after?.last?.value == .null)
  }

  /// Leaves that are freed as a whole are not written: only the pages above them show it.
  @Test(
    "A difference finds rows that were removed with their pages or came with new ones",
    arguments: [
      "DELETE FROM entries", "DELETE FROM entries WHERE id BETWEEN 300 AND 900", "DELETE FROM entries WHERE id > 5",
      "DELETE FROM entries WHERE id < 1195", "INSERT INTO entries SELECT id + 5000, text FROM entries",
      "DROP TABLE entries; CREATE TABLE entries(id INTEGER PRIMARY KEY, text)",
      "UPDATE entries SET id = -id WHERE id > 600",
    ])
  func wholePages(change: String) throws {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 1200, bytes: 60, pageSize: 512)
    let first = try bed.engine().create(CreateRequest())
    // Debian's SQLite wipes freed content, and would show it this way.
    try bed.change("PRAGMA secure_delete = OFF; \(change)")
    let second = try bed.storeIncremental()
    let whole = try difference(bed, first.id, second.id)
    for (left, right) in [(first.id, second.id), (second.id, first.id)] {
      let quick = try #require(try quickly(bed, left, right), "\(change)")
      let expected = left == first.id ? whole : try difference(bed, left, right)
      requireSame(quick, expected, change)
      #expect(verdicts(quick) == verdicts(expected) && !quick.isEmpty, "\(change)")
    }
  }

  @Test("A difference with the live database includes a fresh commit of an application, and writes nothing")
  func live() throws {
    let bed = try TestBed()
    let point = try bed.makeChain(incrementals: 0)[0]
    let application = try DatabaseApplication(bed.database)
    defer { application.close() }
    try application.run("UPDATE entries SET text = 'x' WHERE id < 4")
    func files() throws -> [String: FolderDigest.Entry] {
      try FolderDigest.of(bed.folder.path, ignoring: ["-shm"]).entries.filter { $0.key.contains("app.db") }
    }
    let before = try files()
    let engine = bed.engine()
    let found = try engine.difference(.point(engine.point(point.id.text)), .live, DifferenceRequest())
    #expect(verdicts(found) == ["entries": Verdict(added: 0, removed: 0, changed: 3)])
    let after = try files()
    #expect(before == after && !before.isEmpty)
    #expect(try SystemFileOperations().list("\(bed.stateFolder)/scratch") == [])
  }
}
