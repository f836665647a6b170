import BackupPolicy
import Glibc
import SQLitePages

/// Backs the database up into a folder beside the repository, verifies, restores to a file, and
/// compares. Everything is real except the repository's own folder. Decrypted content goes to this
/// host's scratch folder. All of it is removed afterwards.
package struct EndToEndProbe {
  private let engine: Engine
  private let archive: ArchiveOptions
  private let progress: Progress

  package init(_ engine: Engine, _ archive: ArchiveOptions, progress: Progress) {
    self.engine = engine
    self.archive = archive
    self.progress = progress
  }

  /// - Returns: the result of each step, up to the first step that failed.
  /// - Throws: `interrupted`.
  package func run() throws -> [Finding] {
    var folders: [ScratchFolder] = []
    let scratch = "\(engine.environment.stateFolder)/scratch"
    let missing = missingFolders(scratch)
    defer {
      for folder in folders { folder.remove() }
      // Removes only empty folders.
      for folder in missing { rmdir(folder) }
    }
    do {
      folders.append(try ScratchFolder.beside(engine.folder, needing: neededSpace(), engine.environment.files))
      folders.append(try ScratchFolder(in: scratch, needing: neededSpace(), engine.environment.files))
    } catch let error as HoldfastError {
      return [Finding("probe", .problem, error.message, advice: error.hint ?? "choose another --backup-dir")]
    }
    var findings: [Finding] = []
    do {
      try probe(in: folders[0].path, decryptingIn: folders[1].path, &findings)
    } catch let error as HoldfastError {
      if error.code == .interrupted { throw error }
      findings.append(
        Finding(
          "probe", .problem, error.message, advice: error.hint ?? "the same step fails for real backups: fix it first")
      )
    }
    return findings
  }

  /// This folder and the folders above it that do not exist yet, deepest first.
  private func missingFolders(_ path: String) -> [String] {
    var missing: [String] = []
    var folder = path
    while folder != "/", folder != ".", (try? engine.environment.files.status(folder)) == nil {
      missing.append(folder)
      folder = folder.parentPath
    }
    return missing
  }

  /// Room for the archive, if it hardly compresses, or for the restored file.
  private func neededSpace() throws -> Int64 {
    let size = try engine.environment.files.status(engine.requireDatabase())?.size ?? 0
    return size.addingClamped(16 << 20)
  }

  private func probe(in folder: String, decryptingIn scratch: String, _ findings: inout [Finding]) throws {
    let probe = scratchService(folder, scratch)
    let point = try probe.create(CreateRequest(archive), progress: progress)
    findings.append(
      Finding(
        "probe: back up", .ok,
        "\(ByteCount(point.compressedSize)) for \(ByteCount(point.originalSize ?? 0)) in \(point.durationMS ?? 0) ms"))
    let verification = try probe.verify(point.id.text, depth: .full, progress: progress)
    guard verification.verified else {
      findings.append(
        Finding(
          "probe: verify", .problem, verification.errors.joined(separator: "; "),
          advice: "check the database with PRAGMA integrity_check, and this machine's disk and memory"))
      return
    }
    if !verification.findings.isEmpty {
      findings.append(
        Finding(
          "probe: content", .problem,
          "SQLite's checks found a flaw in the database: \(verification.findings.joined(separator: "; "))",
          advice: "backups contain it unchanged; run PRAGMA integrity_check in the application for details"))
    }
    findings.append(Finding("probe: verify", .ok, verification.checks.map(\.name).joined(separator: ", ")))
    let restored = "\(scratch)/restored.db"
    try restore(point.id, to: restored, probe)
    findings.append(Finding("probe: restore", .ok, "into a scratch file"))
    findings.append(try compare(point.id, restored, probe))
  }

  /// Has its own state folder, so that this host's records about real repositories are not mixed
  /// in.
  private func scratchService(_ folder: String, _ scratch: String) -> Engine {
    var environment = engine.environment
    environment.stateFolder = "\(scratch)/state"
    return Engine(
      database: engine.database, folder: "\(folder)/backups", credentials: engine.credentials,
      defaults: engine.defaults, environment: environment
    ).keepingOpen()
  }

  private func restore(_ id: PointID, to path: String, _ probe: Engine) throws {
    switch try probe.planRestore(RestoreRequest(pointID: id, target: .newFile(path: path))) {
    case .plan(let plan): _ = try probe.restore(plan, progress: progress)
    case .refuse(let refusal): throw HoldfastError(.refused, refusal.reason, hint: refusal.hint)
    }
  }

  private func compare(_ id: PointID, _ restored: String, _ probe: Engine) throws -> Finding {
    let point = try probe.point(id.text)
    guard try holds(point, contentOf: restored, .readOnly, probe) else {
      return Finding(
        "probe: compare", .problem, "the restored file differs from the backup",
        advice: "check this machine's disk and memory")
    }
    guard try holds(point, contentOf: engine.requireDatabase(), .observer, probe) else {
      return Finding(
        "probe: compare", .ok,
        "the restored file is equal to the backup, page for page; the database has changed since")
    }
    return Finding("probe: compare", .ok, "the restored file is equal to the database, page for page")
  }

  private func holds(
    _ point: StoredPoint, contentOf path: String, _ access: DatabaseConnection.Access, _ probe: Engine
  ) throws -> Bool {
    do {
      let connection = try DatabaseConnection(path: path, access: access, busyTimeout: engine.environment.busyTimeout)
      defer { connection.close() }
      let snapshot = try DatabaseSnapshot(connection, scratchPath: probe.repository().scratch().path(.copy))
      defer { snapshot.end() }
      // An empty database has no pages to compare.
      return try probe.holds(point, contentOf: snapshot, progress: progress) ?? (snapshot.geometry.pageCount == 0)
    } catch let error as DatabaseError {
      throw HoldfastError(error)
    }
  }
}

/// A temporary folder (0700) that is removed with all its contents. It is locked while it is in
/// use, so that the next run can remove the leftovers of a killed one.
struct ScratchFolder {
  let path: String
  private let descriptor: Int32
  private static let prefix = ".holdfast-doctor-"

  /// Beside the repository; inside it if the folder above is not writable.
  static func beside(
    _ repository: String, needing bytes: Int64, _ files: any FileOperations
  ) throws -> ScratchFolder {
    do {
      return try ScratchFolder(in: repository.parentPath, needing: bytes, files)
    } catch let error as HoldfastError where error.code == .permissionDenied {
      return try ScratchFolder(in: repository, needing: bytes, files)
    }
  }

  init(in folder: String, needing bytes: Int64, _ files: any FileOperations) throws {
    try files.makeFolders(folder)
    Self.removeLeftovers(in: folder)
    path = "\(folder)/\(Self.prefix)\(getpid())-\(try SecretBytes.random(4).hex)"
    try files.makeFolder(path)
    descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    _ = flock(descriptor, LOCK_EX | LOCK_NB)
    let free = try files.freeSpace(path)
    guard free >= bytes else {
      remove()
      throw HoldfastError(
        .noSpace, "the probe needs \(ByteCount(bytes)) in \(folder), but only \(ByteCount(free)) are free",
        hint: "free some space, or use --no-probe")
    }
  }

  func remove() {
    Self.remove(path)
    if descriptor >= 0 { close(descriptor) }
  }

  private static func removeLeftovers(in folder: String) {
    for name in (try? SystemFileOperations().list(folder)) ?? [] where name.hasPrefix(prefix) {
      let path = "\(folder)/\(name)"
      let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
      guard descriptor >= 0 else { continue }
      defer { close(descriptor) }
      if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { remove(path) }
    }
  }

  /// Depth first; links are removed and not followed.
  private static func remove(_ path: String) {
    if unlink(path) == 0 { return }
    for name in (try? SystemFileOperations().list(path)) ?? [] { remove("\(path)/\(name)") }
    rmdir(path)
  }
}
