import Names
import SQLitePages
import TestSupport
import Testing

@Suite("Rows counted from pages", .ownThread)
struct RowCensusTests {
  let folder: TemporaryFolder
  var path: String { folder.path("app.db") }

  init() throws { folder = try TemporaryFolder() }

  /// Counts through a snapshot's pages, in pieces that arrive out of order.
  private func census(_ connection: DatabaseConnection) throws -> [Identifier: Int64] {
    let snapshot = try DatabaseSnapshot(connection, scratchPath: folder.path("scratch"))
    defer { snapshot.end() }
    let geometry = snapshot.geometry
    let census = try #require(RowCensus(pageSize: geometry.pageSize, pageCount: geometry.pageCount))
    for first in stride(from: UInt32(1), through: geometry.pageCount, by: 3).reversed() {
      var bytes = [UInt8](repeating: 0, count: geometry.pageSize * Int(min(3, geometry.pageCount - first + 1)))
      try bytes.withUnsafeMutableBytes {
        try snapshot.read(first: first, count: $0.count / geometry.pageSize, into: $0)
        census.add(UnsafeRawBufferPointer($0), first: first)
      }
    }
    return census.counts(try connection.tableRoots())
  }

  @Test(
    "The counts equal count(*) for every page size, after deletes and beside free pages",
    arguments: [512, 1024, 4096, 65536])
  func equalsCount(pageSize: Int) throws {
    let application = try DatabaseConnection(path: path, access: .scratch)
    try application.execute("PRAGMA page_size = \(pageSize); PRAGMA journal_mode = wal")
    try application.execute(
      """
      CREATE TABLE a(id INTEGER PRIMARY KEY, text);
      CREATE TABLE b(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
      CREATE INDEX a_text ON a(text);
      CREATE TABLE "it's odd" (x); INSERT INTO "it's odd" VALUES (1), (2);
      CREATE TABLE empty(x); CREATE TABLE blobs(x);
      CREATE VIEW v AS SELECT * FROM a;
      CREATE VIRTUAL TABLE doc USING fts5(body); INSERT INTO doc VALUES ('text');
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
        INSERT INTO a SELECT i, hex(randomblob(i % 90)) FROM n;
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)
        INSERT INTO b SELECT hex(randomblob(12)), i FROM n;
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)
        INSERT INTO blobs SELECT randomblob(50000) FROM n;
      DELETE FROM a WHERE id % 3 = 0 OR id BETWEEN 1000 AND 2500; DELETE FROM b WHERE v % 5 = 0;
      DELETE FROM blobs WHERE rowid > 5;
      """)
    let counts = try census(application)
    #expect(Set(counts.keys) == ["a", "b", "it's odd", "empty", "blobs"])
    for (table, count) in counts {
      #expect(try application.integer("SELECT count(*) FROM \"\(table)\"") == count, "\(table)")
    }
  }

  @Test("A damaged b-tree ends the count of its own table only, and never goes in circles")
  func damaged() throws {
    let census = try #require(RowCensus(pageSize: 512, pageCount: 4))
    var pages = [UInt8](repeating: 0, count: 4 * 512)
    // Page 2 is an interior page whose right-most child is itself, page 3 one with a child past the end, page 4 a leaf.
    pages[512] = 5
    pages[512 + 11] = 2
    pages[1024] = 5
    pages[1024 + 8] = 0x7f
    pages[1536] = 13
    pages[1536 + 4] = 7
    pages.withUnsafeBytes { census.add($0, first: 1) }
    #expect(census.counts(["circle": 2, "outside": 3, "leaf": 4, "nowhere": 9, "zero": 0]) == ["leaf": 7])
  }

  @Test("The count survives garbage on every page", arguments: 0..<8)
  func garbage(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let census = try #require(RowCensus(pageSize: 512, pageCount: 64))
    var pages = random.bytes(64 * 512)
    for page in 0..<64 { pages[page * 512] = [2, 5, 10, 13].randomElement(using: &random)! }
    pages.withUnsafeBytes { census.add($0, first: 1) }
    _ = census.counts(["a": 1, "b": 2, "c": 40])
  }
}
