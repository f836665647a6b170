import BackupPolicy
import Glibc
import Names

/// Collects the facts of a restore and lets ``RestorePolicy`` decide.
struct RestorePlanner {
  let repository: Repository
  let environment: EngineEnvironment
  /// The folder of the repository that gets the safety backup; it may be missing.
  let home: String

  func decide(_ request: RestoreRequest, _ point: StoredPoint) throws -> RestoreDecision {
    // Before the facts are collected, because the chain of a refused backup cannot be read.
    if let refusal = RestorePolicy.refusal(of: point.id, condition(of: point)) { return .refuse(refusal) }
    var facts = try facts(request, repository.chain(of: point))
    facts.point.otherDatabase = try repository.otherDatabase(of: point)
    try addAlternatives(to: &facts.point, point)
    return RestorePolicy.decide(request, facts)
  }

  /// The backups that a person may prefer to one with a flaw or one that lost content.
  private func addAlternatives(to facts: inout PointFacts, _ point: StoredPoint) throws {
    let findings = point.metadata.findingsInWords
    guard findings != nil || point.metadata.status == .anomalous else {
      // A usual backup is restored also if the others cannot be listed.
      facts.accident = (try? repository.points())?.accident(before: point)
      return
    }
    let all = try repository.points()
    facts.accident = all.accident(before: point)
    if let findings {
      facts.flaw = .init(findings: findings, newestSound: all.newestSound.map { .init($0.id, $0.metadata.created) })
    }
    guard point.metadata.status == .anomalous else { return }
    facts.newestUsual = all.newestUsual.map { .init($0.id, $0.metadata.created) }
  }

  func facts(_ request: RestoreRequest, _ chain: PointChain) throws -> RestoreFacts {
    let files = environment.files
    let folder = request.target.path.parentPath
    try requireUsableName(request.target.path)
    if let refusal = RestorePolicy.refusal(of: request.target.path, in: folder, try condition(of: folder)) {
      throw refusal.error
    }
    let target = try TargetInspector(request.target.path, environment).inspect()
    let home = try existing(home)
    return RestoreFacts(
      point: pointFacts(chain), target: target, freeSpaceTarget: try files.freeSpace(folder),
      freeSpaceRepository: try files.freeSpace(home),
      sameFileSystem: try files.status(folder)?.device == files.status(home)?.device,
      ownership: try FileOwnershipFacts(target.path, chain.point, environment))
  }

  /// SQLite's journal has the name of the database and 8 bytes more.
  ///
  /// - Throws: `usage`.
  private func requireUsableName(_ path: String) throws {
    let bytes = path.lastComponent.utf8.count
    guard bytes > 247 else { return }
    throw HoldfastError(
      .usage, "SQLite cannot write a database under the name \(path): it has \(bytes) bytes, more than 247",
      hint: "restore to another file with a shorter name: --to \("\(path.parentPath)/restored.db".shellWord)")
  }

  private func pointFacts(_ chain: PointChain) -> PointFacts {
    let point = chain.point
    let metadata = point.metadata
    return PointFacts(
      Point(point), imageSize: metadata.originalSize ?? metadata.compressedSize, archiveSize: chain.archiveBytes,
      checksum: chain.fingerprint,
      integrityKnown: metadata.digest.flatMap { [UInt8](hex: $0) }
        .map { CheckMemo(repository: repository).passed($0, chain) } ?? false,
      chain: chain.links.count > 1 ? chain.links.map(\.id) : [])
  }

  /// The folder, or the nearest one above it that exists.
  private func existing(_ folder: String) throws -> String {
    let isThere = try environment.files.status(folder)?.kind == .folder
    return isThere || folder.parentPath == folder ? folder : try existing(folder.parentPath)
  }

  private func condition(of folder: String) throws -> FolderCondition {
    guard try environment.files.status(folder)?.kind == .folder else { return .missing }
    return access(folder.raw, W_OK) == 0 ? .writable : .readOnly
  }

  private func condition(of point: StoredPoint) -> PointCondition {
    if point.name.content == .raw { return .rawCopy }
    if point.archiveMissing { return .archiveMissing }
    guard point.metadata.status == .failed else { return .whole }
    if let broken = point.brokenLink {
      return .chainBroken(
        reason: broken.error(for: point.id).message, advice: repository.advice(besides: broken.id))
    }
    return .failed(
      reason: (point.problems + point.metadata.verificationErrors).first,
      advice: repository.advice(besides: point.id))
  }
}

extension FileOwnershipFacts {
  /// - Parameters:
  ///   - path: the file that is to be restored.
  ///   - point: the backup from which it is restored.
  init(_ path: String, _ point: StoredPoint, _ environment: EngineEnvironment) throws {
    let (files, folder) = (environment.files, path.parentPath)
    guard let status = try files.status(folder) else {
      throw HoldfastError(.failed, "the folder \(folder) no longer exists", hint: "create the folder first")
    }
    self.init(
      recorded: point.metadata.databaseAttributes,
      isAuthentic: point.isAuthenticated && point.name.encrypted && point.metadata.cipher == .aes256GCM,
      isFromHere: point.metadata.host == environment.host, existing: try files.attributes(ofDatabase: path),
      folder: status.attributes, process: .current)
  }
}
