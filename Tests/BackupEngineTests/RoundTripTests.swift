import BackupEngine
import BackupPolicy
import TestSupport
import Testing

@Suite("Restoring a full", .ownThread)
struct RoundTripTests {
  struct Form: Sendable, CustomStringConvertible {
    var encrypt: Bool
    var compress: Bool
    var cipher = ArchiveCipher.aes256GCM
    var secret = TestBed.Secret.key
    var level = 1
    var suffix: String

    var description: String { "\(suffix) \(encrypt ? cipher.rawValue : "plain") \(secret) level \(level)" }
  }

  static let forms = [
    Form(encrypt: true, compress: true, suffix: ".db.gz.enc"),
    Form(encrypt: true, compress: true, secret: .password, suffix: ".db.gz.enc"),
    Form(encrypt: true, compress: true, secret: .both, level: 3, suffix: ".db.gz.enc"),
    Form(encrypt: true, compress: true, level: 6, suffix: ".db.gz.enc"),
    Form(encrypt: true, compress: false, suffix: ".db.enc"),
    Form(encrypt: true, compress: true, cipher: .aes256CBC, secret: .password, suffix: ".db.gz.enc"),
    Form(encrypt: true, compress: false, cipher: .aes256CBC, secret: .password, suffix: ".db.enc"),
    Form(encrypt: false, compress: true, secret: .none, suffix: ".db.gz"),
    Form(encrypt: false, compress: true, secret: .none, level: 9, suffix: ".db.gz"),
    Form(encrypt: false, compress: false, secret: .none, suffix: ".db"),
  ]

  @Test("A full in every form is restored, and recover.py reads the same bytes", arguments: forms)
  func everyForm(_ form: Form) throws {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 9000, bytes: 400)
    let engine = bed.engine(form.secret)
    var request = CreateRequest()
    request.archive.encrypt = form.encrypt
    request.archive.compress = form.compress
    request.archive.cipher = form.cipher
    request.archive.level = CompressionLevel(form.level)!
    let point = try engine.create(request)
    #expect(point.filename == "backup_20231116_143022\(form.suffix)")

    let verification = try engine.verify("latest")
    #expect(verification.verified, "\(verification.checks)")
    #expect(try engine.point("latest").metadata.status == .verified)

    let restored = bed.folder.path("restored.db")
    try restore(engine, point.id, to: restored)
    let recovered = bed.folder.path("recovered.db")
    let result = try recover(
      backupDir: bed.backups, id: point.id.text, to: recovered, password: TestBed.password, keyFile: bed.keyFile)
    #expect(result.status == 0, "\(result.stderr)")
    #expect(try bed.folder.read("restored.db") == bed.folder.read("recovered.db"))
    #expect(try bed.integrity(at: restored) == .passed)
    #expect(try sameRows(bed.database, restored))
  }

  @Test("gunzip on a plain archive gives the database", arguments: [1, 6])
  func gunzip(level: Int) throws {
    let bed = try TestBed()
    try bed.makeDatabase(rows: 9000, bytes: 400)
    var request = CreateRequest()
    request.archive.encrypt = false
    request.archive.level = CompressionLevel(level)!
    let point = try bed.engine(.none).create(request)
    let result = try Shell.run("gzip", ["-dc", "\(bed.backups)/\(point.filename)"])
    #expect(result.status == 0, "\(result.stderr)")
    _ = try bed.folder.write("gunzipped.db", result.output)
    #expect(try sameRows(bed.database, bed.folder.path("gunzipped.db")))
  }

  @Test("An empty database is restored empty", arguments: [true, false])
  func emptyDatabase(encrypt: Bool) throws {
    let bed = try TestBed()
    _ = try bed.folder.write("app.db", [])
    let engine = bed.engine(encrypt ? .key : .none)
    var request = CreateRequest()
    request.archive.encrypt = encrypt
    let point = try engine.create(request)
    #expect(point.pageCount == 0)
    #expect(try engine.verify(point.id.text).verified)
    try restore(engine, point.id, to: bed.folder.path("restored.db"))
    #expect(try bed.folder.read("restored.db") == [])
    let result = try recover(
      backupDir: bed.backups, id: point.id.text, to: bed.folder.path("recovered.db"), keyFile: bed.keyFile)
    #expect(result.status == 0, "\(result.stderr)")
    #expect(try bed.folder.read("recovered.db") == [])
  }

  @Test("Metadata has exactly the documented keys")
  func metadataKeys() throws {
    let bed = try TestBed()
    try bed.makeDatabase()
    let point = try bed.engine().create(CreateRequest())
    guard case .object(let keys)? = JSONValue(parsing: try bed.folder.read("backups/.metadata/\(point.id).json") ?? [])
    else { throw HoldfastError(.failed, "no metadata") }
    let seed = [
      "backup_id", "filename", "created_at", "backup_type", "status", "original_size", "compressed_size", "encrypted",
      "compressed", "checksum", "checksum_algorithm", "schema_version", "table_counts", "total_records", "description",
      "tags", "verified", "verification_date", "verification_errors",
    ]
    let ours = [
      "kind", "parent_id", "chain_id", "sequence", "repository_id", "page_size", "page_count", "pages_stored", "digest",
      "cipher", "database_path", "host", "duration_ms", "holdfast_version", "free_pages", "tables", "anomalies",
      "accepted_at", "pinned", "database_mode", "database_owner", "database_group", "findings", "findings_date",
      "findings_sqlite_version",
    ]
    #expect(Set(keys.keys) == Set(seed + ours))
    #expect(keys["table_counts"] == .object(["marker": .integer(1), "entries": .integer(100)]))
    #expect(keys["total_records"] == .integer(101))
    #expect(keys["sequence"] == .integer(1))
  }

  @Test("Two backups in one second get two IDs and follow each other")
  func sameSecond() throws {
    let bed = try TestBed()
    try bed.makeDatabase()
    let ids = try (0..<3).map { _ in try bed.engine().create(CreateRequest()).id.text }
    #expect(ids == ["backup_20231116_143022", "backup_20231116_143022_001", "backup_20231116_143022_002"])
    #expect(try bed.engine().list().map(\.metadata.sequence) == [3, 2, 1])
  }
}

/// Restores to a new file and fails the test if the restore is refused.
func restore(_ engine: Engine, _ id: PointID, to path: String) throws {
  let request = RestoreRequest(pointID: id, target: .newFile(path: path))
  switch try engine.planRestore(request) {
  case .plan(let plan): _ = try engine.restore(plan)
  case .refuse(let refusal): throw refusal.error
  }
}

/// Restores into the engine's own database.
@discardableResult
func restoreInPlace(_ engine: Engine, _ id: PointID) throws -> RestoreOutcome {
  let request = RestoreRequest(pointID: id, target: .database(path: try engine.requireDatabase()))
  switch try engine.planRestore(request) {
  case .plan(let plan): return try engine.restore(plan)
  case .refuse(let refusal): throw refusal.error
  }
}

/// Whether two databases dump to the same SQL, by the sqlite3 shell.
func sameRows(_ left: String, _ right: String) throws -> Bool {
  try Shell.run("sqlite3", [left, ".dump"]).output == Shell.run("sqlite3", [right, ".dump"]).output
}
