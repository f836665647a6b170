import BackupEngine
import BackupPolicy
import SQLitePages

/// Chains of incrementals in a test bed.
extension TestBed {
  /// Stores an incremental through a service of its own; a second passes.
  ///
  /// - Throws: if the result is not an incremental.
  @discardableResult
  package func storeIncremental(
    _ secret: Secret = .key, _ request: CreateRequest = CreateRequest(),
    files: any FileOperations = UnflushedFileOperations()
  ) throws -> PointMetadata {
    time.advance(milliseconds: 1000)
    switch try service(secret, files: files).store(request, kind: .incremental) {
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
    var points = [try service(secret).create(request)]
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
    switch try service(secret).planRestore(request) {
    case .plan(let plan): _ = try service(secret).restore(plan)
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
