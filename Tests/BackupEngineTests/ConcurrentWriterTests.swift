import BackupEngine
import BackupPolicy
import SQLitePages
import TestSupport
import Testing

/// Backups taken while several processes write, all of them keeping an invariant.
@Suite("Backups beside writers", .ownThread)
struct ConcurrentWriterTests {
  /// Moves money between accounts in one transaction and counts the transfers without a gap.
  private static let ledger = """
    import os, random, sqlite3, sys, time
    parent = os.getppid()
    path, mode, autocheckpoint, seed = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    r = random.Random(seed); c = sqlite3.connect(path, isolation_level=None, timeout=60)
    c.execute("pragma journal_mode=" + mode); c.execute("pragma synchronous=normal"); c.execute("pragma wal_autocheckpoint=" + autocheckpoint)
    print("ready", flush=True)
    while os.getppid() == parent:
      c.execute("begin immediate")
      a, b, sum = r.randrange(200), r.randrange(200), r.randrange(50)
      c.execute("update ledger set balance = balance - ?, note = ? where id = ?", (sum, r.randbytes(r.randrange(400)).hex(), a))
      c.execute("update ledger set balance = balance + ? where id = ?", (sum, b))
      c.execute("insert into counter select coalesce(max(n), 0) + 1, ? from counter", (r.randbytes(60).hex(),))
      if r.random() < .02: c.execute("delete from counter where n < (select max(n) - 300 from counter)")
      c.execute("rollback" if r.random() < .1 else "commit")
      time.sleep(0.001)
    """

  private func prepare(_ bed: TestBed, _ mode: String) throws {
    let connection = try DatabaseConnection(path: bed.database, access: .scratch)
    defer { connection.close() }
    _ = try connection.text("PRAGMA journal_mode = \(mode)")
    try connection.execute(
      """
      CREATE TABLE ledger(id INTEGER PRIMARY KEY, balance INTEGER, note TEXT);
      CREATE TABLE counter(n INTEGER PRIMARY KEY, pad TEXT);
      WITH RECURSIVE i(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM i WHERE n < 199) INSERT INTO ledger SELECT n, 1000, '' FROM i
      """)
  }

  private func requireInvariant(_ path: String, _ what: String) throws {
    let connection = try DatabaseConnection(path: path, access: .readOnly)
    defer { connection.close() }
    let integrity = try IntegrityCheck.run(.full, on: connection)
    #expect(integrity == .passed, "\(what)")
    #expect(try connection.integer("SELECT sum(balance) FROM ledger") == 200_000, "\(what)")
    #expect(
      try connection.integer("SELECT count(*) = max(n) - min(n) + 1 OR count(*) = 0 FROM counter") == 1, "\(what)")
  }

  @Test(
    "Each backup beside writers is consistent, and recover.py reads the same bytes",
    arguments: [("wal", 100), ("delete", 25), ("truncate", 25), ("persist", 25), ("memory", 25)])
  func consistent(mode: String, count: Int) throws {
    let bed = try TestBed()
    try prepare(bed, mode)
    let checkpoints = mode == "wal" ? ["20", "1000"] : ["1000"]
    let writers = try checkpoints.enumerated().map {
      try ProcessInBackground("python3", ["-c", Self.ledger, bed.database, mode, $0.element, "\($0.offset)"])
    }
    defer { for writer in writers { writer.stop() } }
    for writer in writers { try writer.waitForLine("ready") }
    var environment = bed.environment()
    environment.busyTimeout = 20000
    let engine = Engine(
      database: bed.database, folder: bed.backups, credentials: TestBed.credentials(.key), environment: environment)
    var checksums: Set<String> = []
    for index in 0..<count {
      let point = try engine.create(CreateRequest())
      checksums.insert(point.digest ?? "")
      let path = bed.folder.path("out.db")
      try restore(engine, point.id, to: path)
      try requireInvariant(path, "\(mode), backup \(index)")
      if index.isMultiple(of: 10) { try compareWithRecover(bed, point.id) }
      for name in ["out.db", "recovered.db"] { try SystemFileOperations().unlink(bed.folder.path(name)) }
      _ = try engine.delete(point.id.text)
    }
    // The writers really wrote: otherwise this proves nothing.
    #expect(checksums.count > count / 2, "\(checksums.count) different states in \(count) backups")
  }

  private func compareWithRecover(_ bed: TestBed, _ id: PointID) throws {
    let result = try recover(
      backupDir: bed.backups, id: id.text, to: bed.folder.path("recovered.db"), keyFile: bed.keyFile)
    #expect(result.status == 0, "\(result.stderr)")
    #expect(try bed.folder.read("recovered.db") == bed.folder.read("out.db"))
  }
}
