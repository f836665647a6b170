import BackupPolicy
import Glibc
import Names

/// Collects the facts of a restore and lets ``RestorePolicy`` decide.
struct RestorePlanner {
  let repository: Repository
  let environment: EngineEnvironment

  func decide(_ request: RestoreRequest, _ point: StoredPoint) throws -> RestoreDecision {
    if point.name.content == .raw { return .refuse(Self.rawRefusal(point)) }
    if point.archiveMissing { return .refuse(Self.missingRefusal(point)) }
    if point.metadata.status == .failed { return .refuse(failedRefusal(point)) }
    var facts = try facts(request, repository.chain(of: point))
    facts.point.otherDatabase = try repository.otherDatabase(of: point)
    if let findings = point.metadata.findingsInWords {
      let all = try repository.points()
      facts.point.flaw = .init(
        findings: findings, newestSound: all.newestSound.map { .init($0.id, $0.metadata.created) })
      facts.point.created = point.metadata.created
    }
    return RestorePolicy.decide(request, facts)
  }

  func facts(_ request: RestoreRequest, _ chain: PointChain) throws -> RestoreFacts {
    let files = environment.files
    let folder = request.target.path.parentPath
    guard try files.status(folder)?.kind == .folder else {
      throw HoldfastError(
        .failed, "cannot restore to \(request.target.path): there is no folder \(folder)",
        hint: "create the folder first: mkdir -p \(folder)")
    }
    guard access(folder.raw, W_OK) == 0 else {
      throw HoldfastError(
        .permissionDenied, "cannot restore to \(request.target.path): the folder \(folder) cannot be written",
        hint: "a restore needs room beside the database; run as a user who may write there")
    }
    let target = try TargetInspector(request.target.path, environment).inspect()
    return RestoreFacts(
      point: pointFacts(chain), target: target, freeSpaceTarget: try files.freeSpace(folder),
      freeSpaceRepository: try files.freeSpace(repository.folder),
      sameFileSystem: try files.status(folder)?.device == files.status(repository.folder)?.device,
      ownership: try FileOwnershipFacts(target.path, chain.point, environment))
  }

  private func pointFacts(_ chain: PointChain) -> PointFacts {
    let point = chain.point
    let metadata = point.metadata
    return PointFacts(
      id: metadata.id, status: metadata.status.rawValue, authenticated: point.isAuthenticated,
      imageSize: metadata.originalSize ?? metadata.compressedSize, archiveSize: chain.archiveBytes,
      pageSize: metadata.pageSize, pageCount: metadata.pageCount, checksum: chain.fingerprint,
      chain: chain.links.count > 1 ? chain.links.map(\.id) : [])
  }

  private static func rawRefusal(_ point: StoredPoint) -> RestoreRefusal {
    RestoreRefusal(
      .refused, "\(point.id) is a copy of damaged files as they were found, not a database to restore",
      hint: "contrib/recover.py writes it out as a tar of those files")
  }

  private func failedRefusal(_ point: StoredPoint) -> RestoreRefusal {
    if let broken = point.brokenLink {
      let error = broken.error(for: point.id)
      return RestoreRefusal(error.code, error.message, hint: repository.advice(besides: broken.id))
    }
    let why = (point.problems + point.metadata.verificationErrors).first ?? "its status is failed"
    return RestoreRefusal(
      .verificationFailed, "\(point.id) cannot be restored: \(why)",
      hint: "\(repository.advice(besides: point.id)); holdfast verify \(point.id) looks at this one again")
  }

  private static func missingRefusal(_ point: StoredPoint) -> RestoreRefusal {
    RestoreRefusal(
      .pointNotFound, "the archive of \(point.id) is missing", hint: "holdfast list shows the points that are there")
  }
}
