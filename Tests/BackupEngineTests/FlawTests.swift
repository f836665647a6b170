import BackupEngine
import BackupPolicy
import SQLitePages
import TestSupport
import Testing

/// A flaw in the database is not a flaw of the backup.
@Suite("A flawed database", .ownThread)
struct FlawTests {
  /// Flaws of a database whose pages are readable.
  enum Flaw: String, CaseIterable {
    /// `t.a` is declared NOT NULL and contains a NULL, as old ALTERs and imports leave it.
    case violatedConstraint
    /// A row that was stored while `ignore_check_constraints` was on.
    case violatedCheck
    case damagedIndex
    /// A view in syntax that no version of SQLite knows.
    case unknownSyntax
    /// An entry refers to a page that does not exist.
    case damagedSchema
    /// The b-tree of the schema itself.
    case damagedFirstPage

    /// True if SQLite's checks run and find the flaw.
    var isFound: Bool { self != .unknownSyntax }
    /// True if statements on the table still work.
    var isUsable: Bool { [.violatedConstraint, .violatedCheck].contains(self) }
  }

  private func world(_ flaw: Flaw) throws -> (bed: TestBed, bytes: [UInt8]) {
    let bed = try TestBed()
    let application = try DatabaseApplication(
      bed.database,
      """
      CREATE TABLE t(a NOT NULL, b); CREATE INDEX i ON t(b);
      INSERT INTO t SELECT n, hex(randomblob(40)) FROM (\(DatabaseFixture.numbers(400)));
      PRAGMA writable_schema = ON;
      """)
    switch flaw {
    case .violatedConstraint:
      try application.run("UPDATE sqlite_schema SET sql = 'CREATE TABLE t(a, b)' WHERE name = 't'")
      application.close()
      try DatabaseApplication(
        bed.database,
        """
        INSERT INTO t VALUES (NULL, 'x'); PRAGMA writable_schema = ON;
        UPDATE sqlite_schema SET sql = 'CREATE TABLE t(a NOT NULL, b)' WHERE name = 't'
        """
      ).close()
    case .violatedCheck:
      try application.run(
        """
        CREATE TABLE c(n CHECK(n > 0)); PRAGMA ignore_check_constraints = ON; INSERT INTO c VALUES (-1)
        """)
      application.close()
    case .damagedIndex: application.close()
    case .unknownSyntax:
      try application.run(
        "INSERT INTO sqlite_schema VALUES ('view', 'v', 'v', 0, 'CREATE VIEW v AS SELECT BEYOND a FROM t WITHOUT b')")
      application.close()
    case .damagedSchema:
      try application.run(
        "INSERT INTO sqlite_schema VALUES ('table', 'u', 'u', 99999, 'CREATE TABLE u(x)')")
      application.close()
    case .damagedFirstPage: application.close()
    }
    var bytes = try #require(try bed.folder.read("app.db"))
    // The header stays as it is. The last page is one of the index.
    if flaw == .damagedFirstPage { for index in 100..<120 { bytes[index] = 0xa5 } }
    if flaw == .damagedIndex { for index in bytes.count - 4096..<bytes.count { bytes[index] = 0xa5 } }
    _ = try bed.folder.write("app.db", bytes)
    return (bed, bytes)
  }

  @Test("A flawed database is backed up and restored page for page, with its findings", arguments: Flaw.allCases)
  func comesBack(flaw: Flaw) throws {
    let (bed, bytes) = try world(flaw)
    let point = try bed.engine().create(CreateRequest()).id
    let verification = try bed.engine().verify(point.text)
    #expect(verification.verified && verification.findings.isEmpty != flaw.isFound, "\(verification.checks)")
    try restore(bed.engine(), point, to: bed.folder.path("out.db"))
    #expect(try bed.folder.read("out.db") == bytes)
  }

  @Test(
    "A restore over a flawed database stores its content as an ordinary backup, and undo restores it",
    arguments: Flaw.allCases
  )
  func safety(flaw: Flaw) throws {
    let (bed, bytes) = try world(flaw)
    let point = try bed.engine().create(CreateRequest()).id
    bed.time.advance(seconds: 1)
    if flaw.isUsable { try bed.change("UPDATE t SET a = -1 WHERE a = 7") }
    let before = try #require(try bed.folder.read("app.db"))
    let safety = try #require(try restoreInPlace(bed.engine(), point).safetyBackupID)
    #expect(try bed.engine().point(safety.text).name.content == .database)
    #expect(try different(bed, bytes) == [])
    bed.time.advance(seconds: 1)
    guard case .plan(let plan) = try bed.engine().planUndo() else { throw BrokenPromise("refused") }
    _ = try bed.engine().restore(plan)
    #expect(try different(bed, before) == [])
  }

  /// Bytes of the database that differ, except those that a live restore sets.
  private func different(_ bed: TestBed, _ bytes: [UInt8]) throws -> [Int] {
    let now = try #require(try bed.folder.read("app.db"))
    guard now.count == bytes.count else { return [now.count] }
    let rewritten = Set(LiveInstall.rewrittenBytes.joined())
    return now.indices.filter { now[$0] != bytes[$0] && !rewritten.contains($0) }
  }

  @Test("A flawed backup warns in the plan and names the newest backup without a flaw")
  func plan() throws {
    let bed = try TestBed()
    try bed.makeDatabase(journal: "delete")
    let sound = try bed.engine().create(CreateRequest()).id
    _ = try bed.engine().verify(sound.text)
    bed.time.advance(seconds: 3600)
    try SystemFileOperations().unlink(bed.database)
    let (other, bytes) = try world(.violatedConstraint)
    withExtendedLifetime(other) {}
    _ = try bed.folder.write("app.db", bytes)
    let flawed = try bed.engine().create(CreateRequest()).id
    _ = try bed.engine().verify(flawed.text)
    #expect(try bed.engine().point("latest").id == flawed, "the flaw may be older than any backup")
    let request = RestoreRequest(pointID: flawed, target: .newFile(path: bed.folder.path("out.db")))
    guard case .plan(let plan) = try bed.engine().planRestore(request) else { throw BrokenPromise("refused") }
    #expect(plan.warnings.contains { $0.contains("NULL value in t.a") })
    #expect(plan.warnings.contains("the newest backup without a flaw is \(sound), 1 h older"))
  }

  @Test("A backup that older versions called failed is flawed and not failed")
  func oldVerdict() throws {
    let (bed, bytes) = try world(.violatedConstraint)
    let point = try bed.engine().create(CreateRequest())
    let path = "backups/.metadata/\(point.id).json"
    var text = String(decoding: try #require(try bed.folder.read(path)), as: UTF8.self)
    text = text.replacing("\"completed\"", with: "\"failed\"").replacing(
      "\"verification_errors\" : []",
      with: "\"verification_errors\" : [\"sqlite_integrity_check: NULL value in t.a\"]")
    _ = try bed.folder.write(path, Array(text.utf8))
    let read = try bed.engine().point("latest").metadata
    #expect(read.status == .completed && read.findings == ["NULL value in t.a"] && read.verificationErrors == [])
    try restore(bed.engine(), point.id, to: bed.folder.path("out.db"))
    #expect(try bed.folder.read("out.db") == bytes)
  }

  @Test("A flawed backup whose archive is also damaged is failed")
  func damagedArchive() throws {
    let (bed, _) = try world(.violatedConstraint)
    let point = try bed.engine().create(CreateRequest())
    _ = try bed.engine().verify(point.id.text)
    var bytes = try #require(try bed.folder.read("backups/\(point.filename)"))
    bytes[bytes.count - 40] ^= 1
    _ = try bed.folder.write("backups/\(point.filename)", bytes)
    #expect(try !bed.engine().verify(point.id.text).verified)
    #expect(try bed.engine().point(point.id.text).metadata.status == .failed)
    #expect(throws: HoldfastError.self) {
      try restore(bed.engine(), point.id, to: bed.folder.path("out.db"))
    }
  }

  @Test("A flawed database gets its guard backup")
  func guarded() throws {
    let (bed, _) = try world(.violatedConstraint)
    let point = try bed.engine().createGuard(CreateRequest())
    #expect(point.pinned && point.verified && point.findings == ["NULL value in t.a"])
  }

  @Test("A flawed database gets incrementals on its fulls", arguments: [Flaw.violatedConstraint, .unknownSyntax])
  func incrementals(flaw: Flaw) throws {
    let (bed, _) = try world(flaw)
    let full = try bed.engine().create(CreateRequest())
    _ = try bed.engine().verify(full.id.text)
    let result = try Python.run(
      script:
        "import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); c.execute('pragma writable_schema=on'); c.execute('update t set b=1 where a=7'); c.commit()",
      arguments: [bed.database])
    #expect(result.status == 0, "\(result.stderr)")
    let point = try bed.storeIncremental()
    #expect(try bed.restored(point.id) == bed.folder.read("app.db"))
    #expect(try bed.engine().verify(point.id.text).verified)
  }

  @Test("A flawed backup passes a drill that reports and records the findings", arguments: [false, true])
  func drill(quick: Bool) throws {
    let (bed, _) = try world(.violatedConstraint)
    _ = try bed.engine().create(CreateRequest())
    let record = try bed.engine().drill(bed.engine().point("latest"), DrillRequest(isQuick: quick))
    #expect(record.passed, "\(record.checks)")
    #expect(record.checks.first { $0.name == Check.Name.integrity }?.outcome == .warning)
    let point = try bed.engine().point("latest").metadata
    #expect(
      point.findings == ["NULL value in t.a"] && point.findingsDate != nil && point.verified == !quick, "\(point)")
  }

  @Test("A sound backup that passed a drill is a backup without a flaw")
  func drilledSound() throws {
    let bed = try TestBed()
    try bed.makeDatabase(journal: "delete")
    _ = try bed.engine().create(CreateRequest())
    _ = try bed.engine().drill(bed.engine().point("latest"), DrillRequest())
    let point = try bed.engine().point("latest").metadata
    #expect(point.findings == [] && point.findingsDate != nil)
  }

  @Test("A restore records the findings of its check")
  func restored() throws {
    let (bed, _) = try world(.violatedConstraint)
    let point = try bed.engine().create(CreateRequest())
    try restore(bed.engine(), point.id, to: bed.folder.path("out.db"))
    let found = try bed.engine().point("latest").metadata
    #expect(found.findings == ["NULL value in t.a"] && !found.verified)
  }

  @Test("An incremental of a flawed database passes a drill if its full was never checked", arguments: [false, true])
  func drillOfIncremental(quick: Bool) throws {
    let (bed, _) = try world(.violatedConstraint)
    _ = try bed.engine().create(CreateRequest())
    try bed.change("UPDATE t SET b = 'changed' WHERE a = 7")
    let point = try bed.storeIncremental()
    let record = try bed.engine().drill(bed.engine().point(point.id.text), DrillRequest(isQuick: quick))
    #expect(record.passed && record.subject.archives == 2, "\(record.checks)")
  }

  @Test("An incremental of a flawed database fails a drill if its full is sound")
  func drillOnSoundFull() throws {
    let bed = try TestBed()
    let application = try DatabaseApplication(
      bed.database, "CREATE TABLE t(a, b); INSERT INTO t VALUES (1, 'x'); PRAGMA writable_schema = ON;")
    _ = try bed.engine().create(CreateRequest())
    try application.run(
      """
      INSERT INTO t VALUES (NULL, 'y');
      UPDATE sqlite_schema SET sql = 'CREATE TABLE t(a NOT NULL, b)' WHERE name = 't'
      """)
    application.close()
    let point = try bed.storeIncremental()
    let record = try bed.engine().drill(bed.engine().point(point.id.text), DrillRequest())
    #expect(record.failure?.step == .integrity, "\(record.checks)")
  }
}

/// A dependency on the application does not prevent a backup from being proven.
@Suite("A collation of the application", .ownThread)
struct UnknownCollationTests {
  private func world() throws -> TestBed {
    let bed = try TestBed()
    let result = try Python.run(
      script: """
        import sqlite3, sys
        c = sqlite3.connect(sys.argv[1], isolation_level=None)
        c.create_collation('trophy', lambda x, y: (x > y) - (x < y))
        c.executescript('''create table t(id integer primary key, a text collate trophy); create index i on t(a);
          create table w(k text collate trophy primary key, v) without rowid;
          insert into t(a) values('x'),('y'); insert into w values('k', 1)''')
        """, arguments: [bed.database])
    guard result.status == 0 else { throw BrokenPromise(result.stderr) }
    _ = try bed.engine().create(CreateRequest())
    return bed
  }

  @Test("A check that needs the collation is skipped in drills as in verify, and tables without it are counted")
  func drill() throws {
    let bed = try world()
    let record = try bed.engine().drill(bed.engine().point("latest"), DrillRequest())
    #expect(record.passed, "\(record.checks)")
    let counts = record.checks.first { $0.name == "row_counts" }
    #expect(counts?.outcome == .passed)
    #expect(counts?.detail == "1 table; not counted: w: needs no such collation sequence: trophy")
    #expect(try bed.engine().drillFigures().newestProven != nil)
  }

  @Test("Diff names an unknown collation, without a path of ours")
  func difference() throws {
    let bed = try world()
    let point = try bed.engine().point("latest")
    let difference = try bed.engine().difference(.point(point), .live, DifferenceRequest())
    #expect(difference.tables.map(\.name) == ["w"])
    #expect(difference.tables.first?.skipped == "needs the collation trophy, which only the application has")
  }
}
