import BackupPolicy
import Glibc
import SQLitePages

/// Backs the database up into a scratch folder, verifies, restores to a file, and compares: everything but the repository's
/// own folder is the real thing. The scratch folder and all in it are gone afterwards.
package struct EndToEndProbe {
  private let service: BackupService
  private let request: CreateRequest
  private let progress: Progress

  package init(_ service: BackupService, _ request: CreateRequest, progress: Progress) {
    self.service = service
    self.request = request
    self.progress = progress
  }

  /// - Returns: what each step gave; it ends with the first that failed.
  /// - Throws: `interrupted`.
  package func run() throws -> [Finding] {
    let scratch: ScratchFolder
    do {
      scratch = try ScratchFolder(beside: service.folder, needing: try neededSpace(), service.environment.files)
    } catch let error as HoldfastError {
      return [Finding("probe", .problem, error.message, advice: error.hint ?? "choose another --backup-dir")]
    }
    defer { scratch.remove() }
    var findings: [Finding] = []
    do {
      try probe(in: scratch.path, &findings)
    } catch let error as HoldfastError {
      if error.code == .interrupted { throw error }
      findings.append(
        Finding(
          "probe", .problem, error.message, advice: error.hint ?? "the same step fails for real backups: mend it first")
      )
    }
    return findings
  }

  /// The archive, hardly compressible, and the restored file.
  private func neededSpace() throws -> Int64 {
    let size = try service.environment.files.status(service.requireDatabase())?.size ?? 0
    return size.multipliedClamped(by: 2).addingClamped(16 << 20)
  }

  private func probe(in folder: String, _ findings: inout [Finding]) throws {
    let probe = scratchService(folder)
    let point = try probe.create(request, progress: progress)
    findings.append(
      Finding(
        "probe: back up", .ok,
        "\(ByteCount(point.compressedSize)) for \(ByteCount(point.originalSize ?? 0)) in \(point.durationMS ?? 0) ms"))
    let verification = try probe.verify(point.id.text, depth: .full, progress: progress)
    guard verification.verified else {
      findings.append(
        Finding(
          "probe: verify", .problem, verification.errors.joined(separator: "; "),
          advice: "check the database with PRAGMA integrity_check, and disk and memory of this machine"))
      return
    }
    findings.append(Finding("probe: verify", .ok, verification.checks.map(\.name).joined(separator: ", ")))
    let restored = "\(folder)/restored.db"
    try restore(point.id, to: restored, probe)
    findings.append(Finding("probe: restore", .ok, "into a scratch file"))
    findings.append(try compare(point.id, restored, probe))
  }

  /// With a memory of its own: this host's memory of real repositories stays out of it.
  private func scratchService(_ folder: String) -> BackupService {
    var environment = service.environment
    environment.stateFolder = "\(folder)/state"
    return BackupService(
      database: service.database, folder: "\(folder)/backups", credentials: service.credentials,
      defaults: service.defaults, environment: environment)
  }

  private func restore(_ id: PointID, to path: String, _ probe: BackupService) throws {
    switch try probe.planRestore(RestoreRequest(pointID: id, target: .newFile(path: path))) {
    case .plan(let plan): _ = try probe.restore(plan, progress: progress)
    case .refuse(let refusal): throw HoldfastError(.refused, refusal.reason, hint: refusal.hint)
    }
  }

  private func compare(_ id: PointID, _ restored: String, _ probe: BackupService) throws -> Finding {
    let point = try probe.point(id.text)
    guard try holds(point, contentOf: restored, .readOnly, probe) else {
      return Finding(
        "probe: compare", .problem, "the restored file is not what was backed up",
        advice: "check disk and memory of this machine")
    }
    guard try holds(point, contentOf: service.requireDatabase(), .observer, probe) else {
      return Finding(
        "probe: compare", .ok,
        "the restored file is what was backed up, page for page; the database was written to since")
    }
    return Finding("probe: compare", .ok, "the restored file is the database, page for page")
  }

  private func holds(
    _ point: StoredPoint, contentOf path: String, _ access: DatabaseConnection.Access, _ probe: BackupService
  ) throws -> Bool {
    do {
      let connection = try DatabaseConnection(path: path, access: access, busyTimeout: service.environment.busyTimeout)
      defer { connection.close() }
      let snapshot = try DatabaseSnapshot(connection, scratchPath: "\(probe.folder)/.tmp-copy-\(getpid())")
      defer { snapshot.end() }
      // An empty database has nothing to compare.
      return try probe.holds(point, contentOf: snapshot, progress: progress) ?? (snapshot.geometry.pageCount == 0)
    } catch let error as DatabaseError {
      throw HoldfastError(error)
    }
  }
}

/// A folder of our own that goes with everything in it.
private struct ScratchFolder {
  let path: String

  /// Beside the repository or, where nothing may be created there, inside it.
  init(beside repository: String, needing bytes: Int64, _ files: any FileOperations) throws {
    let name = ".holdfast-doctor-\(getpid())-\(try SecretBytes.random(4).hex)"
    let beside = "\(repository.parentPath)/\(name)"
    do {
      try files.makeFolders(repository.parentPath)
      try files.makeFolder(beside)
      path = beside
    } catch let error as HoldfastError where error.code == .permissionDenied {
      path = "\(repository)/\(name)"
      try files.makeFolder(path)
    }
    let free = try files.freeSpace(path)
    guard free >= bytes else {
      remove()
      throw HoldfastError(
        .noSpace, "the probe needs \(ByteCount(bytes)) beside \(repository), and \(ByteCount(free)) are free",
        hint: "free some space; --no-probe leaves the probe out")
    }
  }

  func remove() {
    Self.remove(path)
  }

  /// Depth first; links are removed and not followed.
  private static func remove(_ path: String) {
    if unlink(path) == 0 { return }
    for name in (try? SystemFileOperations().list(path)) ?? [] { remove("\(path)/\(name)") }
    rmdir(path)
  }
}
