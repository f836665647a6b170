import BackupEngine
import BackupPolicy
import Logging
import SQLitePages

/// A database, a repository and a host's state folder in one temporary folder.
package final class TestBed: Sendable {
  package let folder: TemporaryFolder
  package let time: ManualTime
  package var database: String { folder.path("app.db") }
  package var backups: String { folder.path("backups") }
  package var stateFolder: String { folder.path("state") }
  package var keyFile: String { folder.path("key") }

  /// The key in ``keyFile``.
  package static let key = [UInt8](0..<32)
  package static let password = "correct horse battery staple"

  package enum Secret: Sendable, CaseIterable {
    case key
    case password
    case both
    case none
  }

  /// - Parameter base: the folder in which all of its files are created.
  package init(in base: String? = nil) throws {
    folder = try TemporaryFolder(in: base)
    time = ManualTime(Timestamp(iso8601: "2023-11-16T14:30:22.000Z")!)
    _ = try folder.write("key", Array(Self.key.hex.utf8))
  }

  package static func credentials(_ secret: Secret) -> Credentials {
    let password = SecretBytes(Array(Self.password.utf8))
    let key = SecretBytes(Self.key)
    return switch secret {
    case .key: Credentials(key: key)
    case .password: Credentials(password: password)
    case .both: Credentials(password: password, key: key)
    case .none: Credentials()
    }
  }

  package func environment(files: any FileOperations = UnflushedFileOperations()) -> EngineEnvironment {
    var environment = EngineEnvironment(
      files: files, now: { [time] in time.now() }, monotonic: { SystemClock.monotonic() }, host: "test-host",
      stateFolder: stateFolder, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    environment.passwordIterations = 10000
    environment.busyTimeout = 500
    environment.repositoryPatience = LockPatience(milliseconds: 500)
    return environment
  }

  package func engine(
    _ secret: Secret = .key, files: any FileOperations = UnflushedFileOperations(), database: String? = nil
  ) -> Engine {
    engine(Self.credentials(secret), files: files, database: database)
  }

  package func engine(
    _ credentials: Credentials, files: any FileOperations = UnflushedFileOperations(), database: String? = nil
  ) -> Engine {
    Engine(
      database: database ?? self.database, folder: backups, credentials: credentials,
      environment: environment(files: files))
  }

  /// Creates a database of about `rows` rows of `bytes` bytes of text each.
  package func makeDatabase(
    at path: String? = nil, rows: Int = 100, bytes: Int = 200, journal: String = "wal", pageSize: Int = 4096,
    encoding: String = "UTF-8", marker: String = "first"
  ) throws {
    let connection = try DatabaseConnection(path: path ?? database, access: .scratch)
    defer { connection.close() }
    try connection.execute("PRAGMA page_size = \(pageSize); PRAGMA encoding = '\(encoding)'")
    _ = try connection.text("PRAGMA journal_mode = \(journal)")
    try connection.execute("CREATE TABLE marker(text); INSERT INTO marker VALUES ('\(marker)')")
    try connection.execute("CREATE TABLE entries(id INTEGER PRIMARY KEY, text)")
    try connection.execute(
      """
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < \(rows))
      INSERT INTO entries SELECT i, substr(hex(i * 7919) || ' the quick brown fox ' || hex(randomblob(\(bytes / 4))), 1, \(bytes)) FROM n
      """)
  }

  /// Runs statements on the database as an application would: on a connection of its own, closed
  /// afterwards.
  package func change(_ sql: String, at path: String? = nil) throws {
    let connection = try DatabaseConnection(path: path ?? database, access: .writer)
    defer { connection.close() }
    try connection.execute(sql)
  }

  package func marker(at path: String? = nil) throws -> String? {
    let connection = try DatabaseConnection(path: path ?? database, access: .observer)
    defer { connection.close() }
    return try connection.text("SELECT text FROM marker")
  }

  package func integrity(at path: String? = nil) throws -> IntegrityCheck.Outcome {
    let connection = try DatabaseConnection(path: path ?? database, access: .observer)
    defer { connection.close() }
    return try IntegrityCheck.run(.full, on: connection)
  }

  /// The database as one image file, by SQLite's own backup API in another process.
  package func reference(to path: String) throws {
    let result = try Shell.run("sqlite3", [database, ".backup '\(path)'"])
    guard result.status == 0 else { throw HoldfastError(.failed, result.stderr) }
  }
}

/// Chains of incrementals in a test bed.
extension TestBed {
  /// Stores an incremental through an engine of its own; a second passes.
  ///
  /// - Throws: if the result is not an incremental.
  @discardableResult
  package func storeIncremental(
    _ secret: Secret = .key, _ request: CreateRequest = CreateRequest(),
    files: any FileOperations = UnflushedFileOperations()
  ) throws -> PointMetadata {
    time.advance(milliseconds: 1000)
    switch try engine(secret, files: files).store(request, kind: .incremental) {
    case .stored(let point, _) where point.kind == .incremental: return point
    case .stored(_, let reason): throw HoldfastError(.failed, "a full was stored: \(reason)")
    case .unchanged(let id): throw HoldfastError(.failed, "nothing was stored since \(id)")
    }
  }

  /// Creates a full and then `count` incrementals, each of some rows; oldest first.
  package func makeChain(
    _ secret: Secret = .key, _ request: CreateRequest = CreateRequest(), incrementals count: Int = 3, rows: Int = 60
  ) throws -> [PointMetadata] {
    try makeDatabase(rows: rows, bytes: 300, marker: "0")
    var points = [try engine(secret).create(request)]
    for step in 1...max(1, count) where count > 0 {
      try change(
        "UPDATE marker SET text = '\(step)'; UPDATE entries SET text = text || '\(step)' WHERE id % 20 = \(step)")
      points.append(try storeIncremental(secret, request))
    }
    return points
  }

  /// Every page of the database as SQLite's pager sees it now.
  package func image(at path: String? = nil) throws -> [UInt8] {
    let application = try DatabaseApplication(path ?? database)
    defer { application.close() }
    return try application.image()
  }

  /// Restores a backup to a new file and returns its bytes.
  package func restored(_ id: PointID, _ secret: Secret = .key) throws -> [UInt8] {
    let path = folder.path("restored-\(id).db")
    try? SystemFileOperations().unlink(path)
    let request = RestoreRequest(pointID: id, target: .newFile(path: path))
    switch try engine(secret).planRestore(request) {
    case .plan(let plan): _ = try engine(secret).restore(plan)
    case .refuse(let refusal): throw refusal.error
    }
    defer { try? SystemFileOperations().unlink(path) }
    return try folder.read("restored-\(id).db") ?? []
  }

  /// Restores a backup with `contrib/recover.py` and returns its bytes.
  package func recovered(_ id: PointID) throws -> [UInt8] {
    let path = folder.path("recovered-\(id).db")
    let result = try recover(
      backupDir: backups, id: id.text, to: path, password: Self.password, keyFile: keyFile)
    guard result.status == 0 else { throw HoldfastError(.failed, "recover.py: \(result.stderr)") }
    defer { try? SystemFileOperations().unlink(path) }
    return try folder.read("recovered-\(id).db") ?? []
  }

  package func archivePath(_ point: PointMetadata) -> String { "\(backups)/\(point.filename)" }
}
