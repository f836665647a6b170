import BackupEngine
import BackupPolicy
import SQLitePages
import TestSupport
import Testing

@Suite("Verify", .ownThread)
struct VerifyTests {
  private func outcomes(_ verification: Verification) -> [String: Check.Outcome] {
    Dictionary(uniqueKeysWithValues: verification.checks.map { ($0.name, $0.outcome) })
  }

  private func world(_ setup: String) throws -> (bed: TestBed, point: PointID) {
    let bed = try TestBed()
    let result = try Python.run(
      script: "import sqlite3,sys\nc=sqlite3.connect(sys.argv[1],isolation_level=None)\n" + setup,
      arguments: [bed.database])
    guard result.status == 0 else { throw BrokenPromise(result.stderr) }
    return (bed, try bed.engine().create(CreateRequest()).id)
  }

  @Test("A full verification reports every check by its name and stores the result")
  func named() throws {
    let bed = try TestBed()
    try bed.makeDatabase()
    let point = try bed.engine().create(CreateRequest())
    let first = try bed.engine().verify(point.id.text)
    #expect(
      first.checks.map(\.name) == [
        Check.Name.file, Check.Name.size, Check.Name.checksum, Check.Name.decryption, Check.Name.decompression,
        Check.Name.digest, Check.Name.integrity, Check.Name.foreignKeys,
      ])
    #expect(first.checks.allSatisfy { $0.outcome == .passed })
    let again = try bed.engine().verify(point.id.text)
    #expect(again.verified && again.checks.contains { $0.detail?.contains("before") == true })
    #expect(try Shell.run("find", [bed.backups, "-name", ".tmp-*"]).stdout == "")
  }

  @Test("A quick verification needs no key, and leaves verified as it was")
  func quick() throws {
    let bed = try TestBed()
    try bed.makeDatabase()
    let point = try bed.engine().create(CreateRequest())
    let verification = try bed.engine(.none).verify(point.id.text, depth: .quick)
    #expect(verification.verified)
    #expect(verification.checks.map(\.name) == [Check.Name.file, Check.Name.size, Check.Name.checksum])
    #expect(try bed.engine().point("latest").metadata.verified == false)
  }

  @Test(
    "An unknown collation or function skips the check and blocks nothing",
    arguments: [
      "c.create_collation('mine', lambda a,b: (a>b)-(a<b)); c.execute('create table marker(text collate mine)'); c.execute(\"insert into marker values('first')\"); c.execute('create index i on marker(text)')",
      "c.create_function('mine',1,lambda a:a,deterministic=True); c.execute('create table marker(text)'); c.execute(\"insert into marker values('first')\"); c.execute('create index i on marker(mine(text))')",
    ])
  func unknownExtension(setup: String) throws {
    let (bed, point) = try world(setup)
    let verification = try bed.engine().verify(point.text)
    #expect(verification.verified, "\(verification.errors)")
    let integrity = verification.checks.first { $0.name == Check.Name.integrity }
    #expect(
      integrity?.outcome == .skipped && integrity?.detail?.contains("mine") == true, "\(String(describing: integrity))")
    let outcome = try restoreInPlace(bed.engine(), point)
    #expect(outcome.warnings.contains { $0.contains("mine") })
  }

  @Test("Foreign-key violations are a warning")
  func foreignKeys() throws {
    let (bed, point) = try world(
      "c.executescript('create table a(id integer primary key); create table b(a references a(id)); insert into b values(7)')"
    )
    let verification = try bed.engine().verify(point.text)
    #expect(verification.verified)
    #expect(outcomes(verification)[Check.Name.foreignKeys] == .warning)
    try restore(bed.engine(), point, to: bed.folder.path("out.db"))
  }

  @Test("A corrupt page is a finding: its backup verifies, restores and reports it")
  func corruptPage() throws {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 2000, journal: "delete")
    var bytes = try bed.folder.read("app.db") ?? []
    for index in 4096 * 20..<4096 * 21 { bytes[index] = 0x5a }
    _ = try bed.folder.write("app.db", bytes)
    let point = try bed.engine().create(CreateRequest())
    let verification = try bed.engine().verify(point.id.text)
    #expect(verification.verified && !verification.findings.isEmpty)
    #expect(outcomes(verification)[Check.Name.integrity] == .warning)
    #expect(outcomes(verification)[Check.Name.decryption] == .passed)
    let metadata = try bed.engine().point("latest").metadata
    #expect(metadata.status == .verified && metadata.verified && metadata.findings == verification.findings)
    #expect(metadata.findingsSQLiteVersion == DatabaseConnection.libraryVersion)
    #expect(metadata.findingsDate == bed.time.now())
    try restore(bed.engine(), point.id, to: bed.folder.path("out.db"))
    #expect(try bed.folder.read("out.db") == bytes)
  }
}
