import BackupPolicy
import Glibc

/// Collects the facts of a restore and lets ``RestorePolicy`` decide.
struct RestorePlanner {
  let repository: Repository
  let environment: EngineEnvironment

  func decide(_ request: RestoreRequest, _ point: StoredPoint) throws -> RestoreDecision {
    if point.name.content == .raw { return .refuse(Self.rawRefusal(point)) }
    if point.archiveMissing { return .refuse(Self.missingRefusal(point)) }
    if point.metadata.status == .failed { return .refuse(Self.failedRefusal(point)) }
    return RestorePolicy.decide(request, try facts(request, point))
  }

  func facts(_ request: RestoreRequest, _ point: StoredPoint) throws -> RestoreFacts {
    let files = environment.files
    let folder = request.target.path.parentPath
    guard try files.status(folder)?.kind == .folder else {
      throw HoldfastError(
        .failed, "cannot restore to \(request.target.path): there is no folder \(folder)",
        hint: "create the folder first")
    }
    guard access(folder, W_OK) == 0 else {
      throw HoldfastError(
        .permissionDenied, "cannot restore to \(request.target.path): the folder \(folder) cannot be written",
        hint: "a restore needs room beside the database; run as a user who may write there")
    }
    let target = try TargetInspector(request.target.path, environment).inspect()
    return RestoreFacts(
      point: pointFacts(point), target: target, freeSpaceTarget: try files.freeSpace(folder),
      freeSpaceRepository: try files.freeSpace(repository.folder),
      sameFileSystem: try files.status(folder)?.device == files.status(repository.folder)?.device)
  }

  private func pointFacts(_ point: StoredPoint) -> PointFacts {
    let metadata = point.metadata
    return PointFacts(
      id: metadata.id, status: metadata.status.rawValue, authenticated: point.isAuthenticated,
      imageSize: metadata.originalSize ?? metadata.compressedSize, archiveSize: metadata.compressedSize,
      pageSize: metadata.pageSize, pageCount: metadata.pageCount, checksum: metadata.checksum)
  }

  private static func rawRefusal(_ point: StoredPoint) -> RestoreRefusal {
    RestoreRefusal(
      .refused, "\(point.id) is a copy of damaged files as they were found, not a database to restore",
      hint: "contrib/recover.py writes it out as a tar of those files")
  }

  private static func failedRefusal(_ point: StoredPoint) -> RestoreRefusal {
    let why = (point.problems + point.metadata.verificationErrors).first ?? "its status is failed"
    return RestoreRefusal(
      .verificationFailed, "\(point.id) cannot be restored: \(why)",
      hint: "use another point; holdfast verify \(point.id) looks at this one again")
  }

  private static func missingRefusal(_ point: StoredPoint) -> RestoreRefusal {
    RestoreRefusal(
      .pointNotFound, "the archive of \(point.id) is missing", hint: "holdfast list shows the points that are there")
  }
}
