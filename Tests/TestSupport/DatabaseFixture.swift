/// A database with content of every kind: rows, overflow pages, an index, a freelist.
package struct DatabaseFixture: Sendable {
  package var pageSize = 4096
  package var encoding = "UTF-8"
  package var journalMode = "delete"
  package var reservedBytes: Int32 = 0
  package var rows = 60

  package init(
    pageSize: Int = 4096, encoding: String = "UTF-8", journalMode: String = "delete", reservedBytes: Int32 = 0,
    rows: Int = 60
  ) {
    self.pageSize = pageSize
    self.encoding = encoding
    self.journalMode = journalMode
    self.reservedBytes = reservedBytes
    self.rows = rows
  }

  /// Creates it and returns the application's connection, still open.
  package func create(at path: String) throws -> DatabaseApplication {
    try DatabaseApplication(
      path,
      """
      PRAGMA page_size = \(pageSize);
      PRAGMA encoding = '\(encoding)';
      PRAGMA journal_mode = \(journalMode);
      PRAGMA synchronous = OFF;
      CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, body BLOB);
      CREATE INDEX item_name ON item (name);
      CREATE TABLE gone (body BLOB);
      INSERT INTO gone SELECT zeroblob(3000) FROM (\(Self.numbers(10)));
      INSERT INTO item SELECT n, 'näme ' || n, randomblob(100 + n * 37 % 3000) FROM (\(Self.numbers(rows)));
      DELETE FROM gone;
      """, reserved: reservedBytes)
  }

  /// A query that gives `n` from 1 to `count`.
  package static func numbers(_ count: Int) -> String {
    "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < \(count)) SELECT n FROM c"
  }
}
